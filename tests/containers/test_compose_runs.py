"""docker-compose.yml on a real engine: it comes up, jobs run, containers are killed, and the data stay.

By command, `./market test containers`: the image takes minutes to build. Skipped, saying why, where no engine
answers; one at another address is named by DOCKER_HOST.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from agents import Agent
from people import Person, person, until
from servers import free_port

from market.kit import settings
from market.kit.vocabulary import ENDED
from market.ops.run.prepare import STEPS

pytestmark = pytest.mark.containers

BASE = "debian:12"
BUILD_S, UP_S, WELL_AGAIN_S, JOB_S = 3600, 900, 300, 300
SERVICES = sorted(
    set(yaml.safe_load((settings.ROOT / "docker-compose.yml").read_text())["services"]) - set(STEPS)
)
DIGITS = settings.ROOT / "examples" / "digits" / "main.py"


def _compose() -> list[str]:
    """Return the words that start compose; skips where there is no engine for it."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no Docker engine answers: start one, or name its address in DOCKER_HOST")
    there = subprocess.run(["docker", "image", "inspect", BASE], capture_output=True)
    if there.returncode and subprocess.run(["docker", "pull", BASE], capture_output=True).returncode:
        pytest.skip(f"the engine has no image {BASE}, and cannot fetch it")
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]) and not subprocess.run([*words, "version"], capture_output=True).returncode:
            return words
    pytest.skip("neither `docker compose` nor docker-compose is installed")


@dataclass
class Containers:
    """The market of this clone in containers, with a name, an image, ports and a volume of its own."""

    compose: list[str]
    folder: Path
    project: str = field(default_factory=lambda: f"market-test-{secrets.token_hex(3)}")

    @property
    def here(self) -> settings.Settings:
        """The settings as this host needs them: which port the API has."""
        return settings.load(self.folder)

    def run(self, *words: str, within_s: float, given: str | None = None) -> str:
        """Run compose; return what it printed. Fails with that if it fails."""
        environment = os.environ | {"COMPOSE_PROJECT_NAME": self.project, "MARKET_IMAGE": f"{self.project}:1"}
        done = subprocess.run(
            [*self.compose, *words],
            cwd=settings.ROOT,
            env=environment,
            input=given,
            stdin=None if given is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within_s,
        )
        assert done.returncode == 0, (words, (done.stdout + done.stderr)[-5000:])
        return done.stdout

    def market(self, *words: str) -> str:
        """Run `./market` in a container."""
        return self.run("exec", "-T", "api-server", "./market", *words, within_s=120)

    def configure(self) -> None:
        """Give the containers ports and an address of the pool that nothing on this host has."""
        ports = {name: free_port() for name in self.here.preferred_ports}
        lines = ["[ports]", *(f"{name} = {port}" for name, port in ports.items())]
        lines += ["[pool]", 'ip_address = "127.0.0.77"', ""]
        script = "cat > /var/lib/market/market.toml"
        self.run(
            "run",
            "--rm",
            "--no-deps",
            "-T",
            "stores",
            "sh",
            "-c",
            script,
            within_s=120,
            given="\n".join(lines),
        )
        (self.folder / "run").mkdir()
        (self.folder / "run" / "ports.json").write_text(json.dumps(ports))

    def states(self) -> dict[str, str]:
        """Return what the engine says of each running service, as `Up 3 minutes (healthy)`."""
        label = "com.docker.compose"
        words = ["docker", "ps", "--filter", f"label={label}.project={self.project}", "--format"]
        words.append(f'{{{{.Label "{label}.service"}}}}\t{{{{.Status}}}}')
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        return dict(line.split("\t") for line in said.splitlines())

    def well(self) -> bool:
        """Tell whether all services run and answer as they should."""
        states = self.states()
        return set(states) == set(SERVICES) and all("(healthy)" in state for state in states.values())

    def process(self, service: str) -> int:
        """Return the first process of a service's container, as this host numbers it; 0 while it has none."""
        identity = self.run("ps", "-q", service, within_s=60).strip()
        words = ["docker", "inspect", "--format", "{{.State.Pid}}", identity]
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    def up(self) -> None:
        """Start all, and wait until all is well."""
        self.run("up", "--detach", "--no-build", within_s=UP_S)
        until(self.well, f"all services healthy (now {self.states()})", UP_S)


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    made = Containers(_compose(), tmp_path_factory.mktemp("containers"))
    try:
        made.run("build", "stores", within_s=BUILD_S)
        made.configure()
        made.up()
        yield made
    finally:
        made.run("down", "--volumes", "--timeout", "60", within_s=UP_S)


@pytest.fixture(scope="module")
def buyer(containers: Containers) -> Person:
    return person(containers.here, "buyer")


@pytest.fixture(scope="module")
def machine(
    containers: Containers, buyer: Person, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Agent]:
    """Lend this host, from the clone, to the market in the containers."""
    folder = tmp_path_factory.mktemp("lender")
    password = folder / "password"
    password.write_text(buyer.password)
    command = [str(settings.ROOT / "market"), "share", "--cores", "1", "--memory", "1g", "--type", "cpu"]
    command += ["--hours", "2", "--password-file", str(password), "--server", containers.here.url("api")]
    state = {"MARKET_STATE_DIR": str(folder / "state")}
    agent = Agent.start(command, "beside", buyer, folder / "agent.log", os.environ | state)
    try:
        agent.wait("active", 300)
        yield agent
    finally:
        agent.process.terminate()
        try:
            agent.process.wait(180)
        except subprocess.TimeoutExpired:
            agent.process.kill()


def _ran(containers: Containers, buyer: Person) -> str:
    """Run the example of the digits to its good end; return the job's id."""
    buyer.put("digits/main.py", DIGITS.read_bytes())
    job_id = buyer.submit("digits")
    job = until(
        lambda: one if (one := buyer.job(job_id))["status"] in ENDED else None, "the job's end", JOB_S
    )
    assert job["status"] == "succeeded", (job["reason"], buyer.log(job_id, file="stderr")[-3000:])
    assert "accuracy" in buyer.log(job_id)
    return job_id


def _receipt(containers: Containers, buyer: Person, job_id: str) -> dict[str, object]:
    """Return the job's final receipt."""

    def final() -> dict[str, object] | None:
        containers.market("settle", "--until", "NOW")
        found: dict[str, object] = buyer.rest.get(f"/jobs/{job_id}/receipt")
        return found if found["final"] else None

    found = until(final, "the final receipt", 120)
    assert found is not None
    return found


def test_status_says_that_all_is_well_and_jobs_are_kept_apart(containers: Containers) -> None:
    told = json.loads(containers.market("status", "--json"))
    assert {one["name"]: one["healthy"] for one in told["services"]} == dict.fromkeys(SERVICES, True)
    assert told["security"] == "kerberos"
    pool = containers.run("exec", "-T", "pool", "./market", "status", "--json", within_s=120)
    (detail,) = (one["detail"] for one in json.loads(pool)["services"] if one["name"] == "pool")
    assert "each container in namespaces" in detail


def test_what_the_engine_does_is_left_to_it(containers: Containers) -> None:
    before = {service: containers.process(service) for service in SERVICES}
    with pytest.raises(AssertionError, match="use docker compose up --detach"):  # from compose's own output
        containers.market("up")
    assert {service: containers.process(service) for service in SERVICES} == before


def test_a_job_runs_on_a_lent_machine_and_is_paid(
    containers: Containers, buyer: Person, machine: Agent
) -> None:
    receipt = _receipt(containers, buyer, _ran(containers, buyer))
    assert float(str(receipt["charge"])) > 0
    assert "the ledger adds up" in containers.market("ledger", "verify")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_is_killed_is_well_again(containers: Containers, service: str) -> None:
    before = containers.process(service)
    os.kill(before, signal.SIGKILL)
    until(lambda: containers.process(service) not in (0, before), f"{service} started again", 60)
    until(containers.well, f"all well after the end of {service}", WELL_AGAIN_S)


def test_jobs_run_after_all_that_and_after_down_and_up_with_all_data(
    containers: Containers, buyer: Person, machine: Agent
) -> None:
    job_id = _ran(containers, buyer)
    receipt = _receipt(containers, buyer, job_id)
    containers.run("down", "--timeout", "60", within_s=UP_S)
    assert containers.states() == {}
    containers.up()
    assert buyer.rest.get(f"/jobs/{job_id}/receipt") == receipt
    assert [one for one in buyer.rest.get(f"/jobs/{job_id}/results")["files"] if one["size"]]
    machine.wait("active", 300)
    _ran(containers, buyer)
