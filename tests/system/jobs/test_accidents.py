"""Whatever dies while a job is submitted: YARN gets it exactly once, and it comes to a true end.

`MARKET_ACCIDENTS=all` runs every process against every moment, with the warm submitter and with Spark's own
command; without it a few of them are run. A moment is made exact by a gate: Spark's own command waits for a
file, since it reads `spark-env.sh` before it starts, and the warm submitter is stopped.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import warm_submitter
from agents import command_line
from people import Person, person, until

from market.cluster.clients import resource_manager
from market.cluster.resourcemanager import App
from market.kit import settings
from market.ops.run import leftovers
from market.ops.run.supervisor import Supervisor

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

SERVICES = ("scheduler", "triggerer", "api-server", "dag-processor")
OF_THE_TASK = ("task", "worker", "spark-submit", "both")
# `before`: spark-submit has begun; `submitted`: YARN has the application, the market has not stored it;
# `stored`: the task waits without a process, and which way it was submitted has no part in it any more.
MOMENTS = ("before", "submitted", "stored")
QUICK = {
    ("own", "spark-submit", "before"),
    ("warm", "task", "submitted"),
    ("warm", "scheduler", "submitted"),
    ("warm", "triggerer", "stored"),
}
ALL = {
    (way, process, moment)
    for way in ("own", "warm")
    for process in (*OF_THE_TASK, *SERVICES, *(("submitter",) if way == "warm" else ()))
    for moment in MOMENTS
    if moment != "stored" or (way, process) in {("warm", one) for one in SERVICES}
}
CHOSEN = sorted(ALL if os.environ.get("MARKET_ACCIDENTS") == "all" else QUICK)
PROGRAM = """
import time
from pyspark.sql import SparkSession
SparkSession.builder.getOrCreate().range(10).count()
time.sleep(600)
"""


class OwnGate:
    """Holds every spark-submit of Spark's own at its beginning while it is shut."""

    def __init__(self, stack: settings.Settings) -> None:
        self._shut = stack.paths.run / "test-gate"
        self._reached = stack.paths.run / "test-gate.reached"
        self._hook = stack.paths.conf / "spark" / "spark-env.sh"
        self._hook.write_text(
            f'echo $$ >> "{self._reached}"\nwhile [ -e "{self._shut}" ]; do sleep 0.1; done\n'
        )

    def shut(self) -> None:
        self._reached.unlink(missing_ok=True)
        self._shut.touch()

    def open(self) -> None:
        self._shut.unlink(missing_ok=True)

    def pid(self, job_id: str) -> int:
        """Return the process of the spark-submit that came here first."""
        text = until(lambda: self._reached.exists() and self._reached.read_text(), "spark-submit", 60)
        return int(str(text).split()[0])

    def remove(self) -> None:
        self.open()
        self._hook.unlink(missing_ok=True)
        self._reached.unlink(missing_ok=True)


class WarmGate:
    """Holds the warm submitter while it is shut: a command waits for it, for some seconds."""

    def __init__(self, stack: settings.Settings) -> None:
        self._stack = stack
        self._stopped = 0

    def shut(self) -> None:
        # Only one that answers: a command does not wait for one that is still starting.
        until(lambda: warm_submitter.said(self._stack), "the warm submitter", 60)
        self._stopped = warm_submitter.pid(self._stack)
        os.kill(self._stopped, signal.SIGSTOP)

    def open(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._stopped, signal.SIGCONT)

    def pid(self, job_id: str) -> int:
        """Return the process of the job's spark-submit."""

        def found() -> int:
            every = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
            return min((pid for pid in every if f"spark.yarn.tags={job_id}" in command_line(pid)), default=0)

        return until(found, "spark-submit", 60)

    def remove(self) -> None:
        if self._stopped:
            self.open()


@pytest.fixture(scope="module")
def gate(stack: settings.Settings, request: pytest.FixtureRequest) -> Iterator[OwnGate | WarmGate]:
    """A gate before every submission, of the one way or the other."""
    supervisor = Supervisor(stack)
    if request.param == "own":
        supervisor.stop("submitter")
    made = OwnGate(stack) if request.param == "own" else WarmGate(stack)
    try:
        yield made
    finally:
        made.remove()
        if request.param == "own":
            supervisor.start("submitter")


@pytest.fixture
def buyer(stack: settings.Settings) -> Person:
    """Somebody for each accident: what a job may still cost is held until the next settlement."""
    return person(stack, "buyer")


@pytest.mark.parametrize(("gate", "victim", "moment"), CHOSEN, indirect=["gate"])
def test_a_job_is_submitted_once_whatever_dies(
    stack: settings.Settings,
    machines: list[dict[str, Any]],
    buyer: Person,
    admin: requests.Session,
    gate: OwnGate | WarmGate,
    victim: str,
    moment: str,
) -> None:
    buyer.put("accident/main.py", PROGRAM)
    gate.shut()
    # No machine has room for the executor: the driver starts on the pool's machine, and waits there.
    job_id = buyer.submit("accident", executor_memory=12288)
    submitting = gate.pid(job_id)
    task = _parent(submitting)
    if moment == "before":
        _kill(stack, victim, task, submitting)
        gate.open()
    else:
        gate.open()
        if moment == "submitted":
            until(lambda: _apps(job_id), "the application", 180)
        else:
            until(lambda: buyer.job(job_id)["status"] in ("accepted", "running"), "YARN has it", 120)
        _kill(stack, victim, task, submitting)
    until(lambda: _answers(buyer, job_id), f"the application of {job_id} is known", 200)
    assert len(_apps(job_id)) == 1
    assert buyer.send("POST", f"/jobs/{job_id}/cancel").status_code == 202
    job = buyer.ended(job_id, 90)
    assert (job["status"], job["application_id"]) == ("cancelled", _apps(job_id)[0].application_id)
    run = until(lambda: _ended_run(stack, admin, job_id), "the end of the DAG run", 150)
    assert (run["state"], run["note"]) == ("failed", f"cancelled by {buyer.username}")
    assert [app.state for app in _apps(job_id)] == ["KILLED"]
    assert _orphans(stack) == []


def _orphans(stack: settings.Settings) -> list[int]:
    """Return the workers of a scheduler that has ended: they keep what it had locked in the database."""
    stray = []
    for pid in leftovers.find(stack.paths.state):
        try:
            leader = os.getpgid(pid)
        except ProcessLookupError:
            continue  # it has ended meanwhile
        if command_line(pid)[0].startswith("airflow worker") and not Path(f"/proc/{leader}").exists():
            stray.append(pid)
    return stray


def _kill(stack: settings.Settings, victim: str, task: int, submitting: int) -> None:
    if victim not in OF_THE_TASK:
        victims = [int(Supervisor(stack).states()[victim]["pid"])]
    else:
        victims = {
            "task": [task],
            "worker": [_parent(task)],
            "spark-submit": [submitting],
            "both": [task, submitting],
        }[victim]
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            assert victim == "spark-submit", "only spark-submit may have ended by itself by now"


def _parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("PPid:")).split()[1])


def _apps(job_id: str) -> list[App]:
    return resource_manager().apps(tags=[job_id])


def _answers(buyer: Person, job_id: str) -> bool:
    """Tell whether the market has stored the job's application; its server may be starting again."""
    try:
        return bool(buyer.send("GET", f"/jobs/{job_id}").json().get("application_id"))
    except (requests.RequestException, ValueError):
        return False


def _ended_run(stack: settings.Settings, admin: requests.Session, job_id: str) -> Any:
    answer = admin.get(f"{stack.url('api')}/api/v2/dags/job_{job_id}/dagRuns", timeout=30)
    runs = answer.json().get("dag_runs", [])
    return runs[0] if runs and runs[0]["state"] in ("success", "failed") else None
