"""`./market demo`: the market's main job from end to end, on the real stack."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.table import Table

from distributedmarket.cli import text
from distributedmarket.cli.text import counted
from distributedmarket.client import MarketApiError, MarketClient
from distributedmarket.errors import SetupError
from market.credits.settlement.steps import settle
from market.kit.clock import now_ms
from market.kit.settings import Settings
from market.kit.vocabulary import ACTIVE, ENDED
from market.ops.cli import own_market
from market.ops.cli.stack import bring_up, console, progress, where
from market.ops.run import secrets
from market.ops.run.supervisor import Supervisor

LENDER, BUYER = "lender", "buyer"
_MACHINES = {"demo-machine-1": (1, "1g"), "demo-machine-2": (2, "2g")}
_DEADLINE_S = 300


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Start what is missing, lend, train, settle, and print the receipt; return 0 if the job succeeded."""
    console.rule("The stack")
    if code := bring_up(settings):
        return code
    market = own_market.client(settings)

    console.rule("Two people")
    lender = _person(settings, market, LENDER)
    buyer = _person(settings, market, BUYER)

    console.rule("Two machines")
    lend(settings, lender, LENDER, settings.paths.secrets / f"demo_{LENDER}")

    console.rule("A training program")
    before = _balances(lender, buyer)
    job = _train(settings, buyer)
    if job["status"] != "succeeded":
        console.print(f"[red]The job {job['status']}[/]: {job['reason_code']} {job['reason']}")
        return 1
    _outcome(buyer, job["job_id"])

    console.rule("Settlement")
    _settle(settings)
    _receipt(buyer, job["job_id"])
    _print_balances(before, _balances(lender, buyer))

    console.rule("Where to look")
    where(settings)
    console.print(f"The job's DAG: {settings.url('api')}/dags/{job['dag_id']}")
    for name in (LENDER, BUYER):
        console.print(f"User {name}: password in {settings.paths.secrets / f'demo_{name}'}")
    console.print("The stack stays up and the machines stay lent until ./market down")
    return 0


def _person(settings: Settings, market: MarketClient, name: str) -> MarketClient:
    """Register a person, or find him from an earlier run, and log in."""
    file = settings.paths.secrets / f"demo_{name}"
    secrets.generate_word(file)
    password = file.read_text().strip()
    with progress(f"{name} registers and logs in"):
        body = {"username": name, "password": password, "email": f"{name}@example.org"}
        try:
            market.post("/users", body, key="")
        except MarketApiError as error:
            if error.status != 409:
                raise
        return market.login(name, password)


def lend(settings: Settings, lender: MarketClient, username: str, password_file: Path) -> None:
    """Lend the demo's machines for a person, each by an agent under the supervisor; wait until they work."""
    supervisor = Supervisor(settings)
    for name, (cores, memory) in _MACHINES.items():
        if name in supervisor.extras():
            supervisor.start(name)
            continue
        command = [str(settings.paths.root / "market"), "share", "--name", name, "--type", "cpu"]
        command += ["--cores", str(cores), "--memory", memory, "--hours", "12", "--username", username]
        command += ["--password-file", str(password_file)]
        supervisor.add(
            name, [*command, "--server", settings.url("api")], {"MARKET_STATE_DIR": str(settings.paths.state)}
        )
    with progress("the ResourceManager shows both machines"):

        def active() -> bool:
            machines = lender.get("/machines", limit=200)["machines"]
            return sum(machine["availability"] == ACTIVE for machine in machines) >= len(_MACHINES)

        _until(active, "the machines did not become active: see ./market logs demo-machine-1")
    for machine in lender.get("/machines", limit=200)["machines"]:
        if machine["availability"] == ACTIVE:
            size = f"{counted(machine['core_count'], 'core')}, {text.size(machine['memory_size'] << 20)}"
            console.print(f"  {machine['display_name']} ({machine['machine_type']}): {size}")


def _train(settings: Settings, buyer: MarketClient) -> dict[str, Any]:
    program = settings.paths.root / "examples" / "digits" / "main.py"
    with progress("buyer uploads digits/main.py"):
        buyer.upload("digits/main.py", Path(program))
    body = {
        "root_path": "digits",
        "core_num": 2,
        "machine_type": "cpu",
        "job_name": "digits",
        "app_params": ["--iterations", "20", "--out", "{output}"],
        "max_duration": 900,
    }
    answer = buyer.post("/jobs", body)
    quote = answer["quote"]
    console.print(
        f"  submitted: job {answer['job_id']}; {quote['credits_per_hour']} credits an hour, "
        f"{quote['hold']} held"
    )
    return _follow(buyer, answer["job_id"])


def _follow(buyer: MarketClient, job_id: str) -> dict[str, Any]:
    """Show the job's status as it moves; return the job when it has ended."""
    started, last = time.monotonic(), ""
    with console.status("the job waits") as line:
        while True:
            job = buyer.get(f"/jobs/{job_id}")
            if job["status"] != last:
                last = job["status"]
                console.print(f"  [cyan]{last}[/] after {time.monotonic() - started:.1f} s")
            if last in ENDED:
                return dict(job)
            if time.monotonic() - started > 2 * _DEADLINE_S:
                raise SetupError(f"the job {job_id} has not ended: see {job['dag_id']} in Airflow")
            done = buyer.get(f"/jobs/{job_id}/progress")
            line.update(f"{last}: {done.get('tasks_done', 0)} of {done.get('tasks_total', 0)} tasks")
            time.sleep(1)


def _outcome(buyer: MarketClient, job_id: str) -> None:
    with progress("log and results fetched"):

        def accuracy() -> list[str]:
            files = buyer.get(f"/jobs/{job_id}/logs")["files"]
            driver = [file for file in files if file["role"] == "driver" and file["file"] == "stdout"]
            texts = [buyer.text(f"/jobs/{job_id}/logs/{file['container_id']}/stdout") for file in driver]
            return [line for said in texts for line in said.splitlines() if line.startswith("accuracy")]

        lines = _until(accuracy, "the log does not show the accuracy")
        results = buyer.get(f"/jobs/{job_id}/results")["files"]
    console.print(f"  the log says: [bold]{lines[0]}[/]")
    console.print(
        f"  {counted(len(results), 'result file')}, {text.size(sum(file['size'] for file in results))}"
    )


def _settle(settings: Settings) -> None:
    with progress("./market settle --until NOW"):
        settle(now_ms())


def _receipt(buyer: MarketClient, job_id: str) -> None:
    with progress("receipt"):

        def final() -> Any:
            receipt = buyer.get(f"/jobs/{job_id}/receipt")
            if not receipt["final"]:  # the meter was late to see the end: the next interval has the rest
                settle(now_ms())
            return receipt if receipt["final"] else None

        receipt = _until(final, f"the job {job_id} was not settled")
    table = Table(title=f"Receipt at rate {receipt['rate']}", box=None)
    for column in ("role", "host", "seconds", "vcores", "MiB", "weight", "amount"):
        table.add_column(column, justify="left" if column in ("role", "host") else "right")
    for line in receipt["containers"]:
        cells = (
            line[name] for name in ("role", "host", "seconds", "vcores", "memory_mib", "weight", "amount")
        )
        table.add_row(*map(str, cells))
    console.print(table)
    console.print(f"  charge [bold]{receipt['charge']}[/] credits")


def _balances(*people: MarketClient) -> list[dict[str, Any]]:
    return [person.get(f"/users/{person.get('/users/me')['user_id']}/credits") for person in people]


def _print_balances(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    table = Table(box=None)
    for column in ("", "before", "after", "earned by lending", "spent on jobs", "held"):
        table.add_column(column, justify="right" if column else "left")
    for name, old, new in zip((LENDER, BUYER), before, after, strict=True):
        cells = (old["balance"], new["balance"], new["sharing_credit"], new["using_credit"], new["held"])
        table.add_row(name, *cells)
    console.print(table)


def _until(look: Callable[[], Any], otherwise: str) -> Any:
    """Return the first answer of `look` that holds; raise SetupError with `otherwise` at the deadline."""
    until = time.monotonic() + _DEADLINE_S
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > until:
            raise SetupError(otherwise)
        time.sleep(0.5)
