"""`./market soak`: jobs at a steady pace for hours, and which of the market's processes grows meanwhile."""

from __future__ import annotations

import argparse
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from distributedmarket.cli.text import counted
from distributedmarket.client import MarketApiError, MarketClient
from distributedmarket.errors import DistributedMarketError, SetupError
from market.kit.settings import Settings
from market.kit.vocabulary import ENDED
from market.ops.cli import own_market
from market.ops.cli.stack import console
from market.ops.run.memory import Growth, Meter
from market.ops.run.supervisor import Supervisor

_HOUR_S = 3600.0
_SAMPLE_S = 15.0
_TOLD_S = 600.0  # how often a line says how it goes, where there is no terminal
_MOST_OPEN = 20
_MOST_PERCENT = 2.0
_LEAST_MIB = 1.0  # less in an hour is what a process needs for itself, whatever part of it that is
_WARM_UP_S = 1800.0  # after so much, or a quarter of the time if that is less, what is cached is cached
_MOST_HOURS, _MOST_JOBS = 24 * 14, 3600
_SUCCEEDED = "succeeded"
PROGRAM = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print(spark.range(0, 1000000, 1, 4).selectExpr("sum(id)").collect())
spark.stop()
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take how long and how much."""
    parser.add_argument(
        "--hours", type=_bounded(_MOST_HOURS), default=1.0, metavar="H", help="how long (default: 1)"
    )
    parser.add_argument(
        "--jobs-per-hour", type=_bounded(_MOST_JOBS), default=60.0, metavar="N", help="default: 60"
    )
    parser.add_argument("--type", default="cpu", metavar="TYPE", help="of the machines (default: cpu)")


def _bounded(most: float):  # type: ignore[no-untyped-def] # argparse names the function in its own errors
    def number(text: str) -> float:
        value = float(text)
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"{text} must be more than 0 and at most {most}")
        return value

    return number


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Soak; return 0 unless a service grows, or a job failed. Raises SetupError."""
    supervisor = Supervisor(settings)
    if not supervisor.running():
        raise SetupError("the stack is down: start it with ./market up")
    jobs = Jobs(_member(settings), chosen.type, _HOUR_S / chosen.jobs_per_hour)
    _lent(jobs.person, chosen.type)
    meter, began = Meter(), time.monotonic()
    wanted_s = chosen.hours * _HOUR_S
    try:
        _work(supervisor, jobs, meter, wanted_s)
    except KeyboardInterrupt:
        console.print("\nended: these are the figures so far")
    lasted_s = time.monotonic() - began
    jobs.cancel_open()
    warm_s = began + min(_WARM_UP_S, lasted_s / 4)
    return report(jobs, meter, warm_s, lasted_s)


def _work(supervisor: Supervisor, jobs: Jobs, meter: Meter, wanted_s: float) -> None:
    began = told = time.monotonic()
    with console.status("soaking ...") as shown:
        while (now := time.monotonic()) - began < wanted_s:
            states = supervisor.states().items()
            meter.sample(now, {name: one["pid"] for name, one in states if one["statename"] == "RUNNING"})
            line = f"{(now - began) / _HOUR_S:.2f} of {wanted_s / _HOUR_S:g} h: {jobs.told()}"
            shown.update(line)
            if not console.is_terminal and now - told >= _TOLD_S:
                told = now
                console.print(line)
            until = min(now + _SAMPLE_S, began + wanted_s)
            jobs.follow()
            while time.monotonic() < until:
                jobs.submit_due(time.monotonic() - began)
                time.sleep(min(1.0, max(0.0, until - time.monotonic())))


def _member(settings: Settings) -> Callable[[], MarketClient]:
    """Register somebody new, whose first credits pay for it; return what logs him in."""
    name, password = f"soak-{secrets.token_hex(4)}", secrets.token_hex(16)
    market = own_market.client(settings)
    market.post("/users", {"username": name, "password": password, "email": f"{name}@example.org"}, key="")
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(PROGRAM)
        file.flush()
        market.login(name, password).upload("soak/main.py", Path(file.name))
    return lambda: market.login(name, password)


def _lent(person: MarketClient, machine_type: str) -> None:
    types = person.get("/metadata")["machine_info"]
    if not types.get(machine_type, {}).get("machines"):
        raise SetupError(
            f"nobody lends a machine of type {machine_type}: lend one (./market share), or --type"
        )


@dataclass
class Jobs:
    """The jobs of a soak: submitted when they are due, followed to their end."""

    login: Callable[[], MarketClient]
    machine_type: str
    every_s: float
    submitted: int = 0
    due: int = 0
    held_back: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    open: list[str] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.person = self.login()

    def submit_due(self, since_s: float) -> None:
        """Submit the next one if it is due; none is made up for that was held back or refused."""
        if since_s < self.due * self.every_s:
            return
        self.due = int(since_s / self.every_s) + 1
        if len(self.open) >= _MOST_OPEN:
            self.held_back += 1
            return
        body = {"root_path": "soak", "core_num": 1, "machine_type": self.machine_type, "max_duration": 600}
        try:
            self.open.append(self.person.post("/jobs", body)["job_id"])
            self.submitted += 1
        except DistributedMarketError as error:
            self.refused[str(error)] += 1
            self._renew(error)

    def follow(self) -> None:
        """Look at the open ones; what a market that is busy does not answer is asked again."""
        for job_id in list(self.open):
            try:
                job = self.person.get(f"/jobs/{job_id}")
            except DistributedMarketError as error:
                self._renew(error)
                continue
            if job["status"] in ENDED:
                self.open.remove(job_id)
                self.ended[job["status"]] += 1

    def cancel_open(self) -> None:
        """Cancel what has not ended: nobody waits for it."""
        self.follow()
        for job_id in self.open:
            try:
                self.person.post(f"/jobs/{job_id}/cancel", {})
            except DistributedMarketError as error:
                console.print(f"job {job_id} is not cancelled: {error}")

    def _renew(self, error: DistributedMarketError) -> None:
        """Log in again where a login has ended, as it does after some hours."""
        if isinstance(error, MarketApiError) and error.status == HTTPStatus.UNAUTHORIZED:
            try:
                self.person = self.login()
            except DistributedMarketError as failed:
                self.refused[str(failed)] += 1

    @property
    def failed(self) -> int:
        """How many ended otherwise than well."""
        return sum(count for status, count in self.ended.items() if status != _SUCCEEDED)

    def told(self) -> str:
        """Say how they go."""
        parts = [f"{counted(self.submitted, 'job')} submitted", f"{len(self.open)} open"]
        parts += [f"{count} {status}" for status, count in sorted(self.ended.items())]
        parts += [f"{self.held_back} held back at {_MOST_OPEN} open"] if self.held_back else []
        parts += [f"{sum(self.refused.values())} refused"] if self.refused else []
        return ", ".join(parts)


def report(jobs: Jobs, meter: Meter, warm_s: float, lasted_s: float) -> int:
    """Print the figures; return the exit code."""
    print(f"{lasted_s / _HOUR_S:.2f} h: {jobs.told()}")
    for words, count in jobs.refused.most_common(3):
        print(f"  refused {count} times: {words}")
    grown = {name: series.growth(warm_s) for name, series in sorted(meter.series.items())}
    for line in _table(grown, meter):
        print(line)
    growing = [name for name, one in grown.items() if one is not None and grows(one)]
    if growing:
        print(f"GROWS by more than {_MOST_PERCENT:g} % in an hour: {', '.join(growing)}")
    elif any(grown.values()):
        print(f"no process grows by more than {_MOST_PERCENT:g} % in an hour")
    else:
        print("too short to tell what grows: give --hours more")
    if jobs.failed:
        print(f"{counted(jobs.failed, 'job')} did not succeed: ./market status, and their pages, say why")
    return 1 if growing or jobs.failed else 0


def grows(growth: Growth) -> bool:
    """Tell whether a service grows by more than it may."""
    return growth.percent_per_hour > _MOST_PERCENT and growth.mib_per_hour > _LEAST_MIB


def _table(grown: dict[str, Growth | None], meter: Meter) -> Iterator[str]:
    rows: list[Sequence[str]] = [("service", "MiB (PSS)", "MiB an hour", "% an hour", "")]
    for name, one in grown.items():
        anew = meter.restarted.get(name, 0)
        note = f"started anew {counted(anew, 'time')}" if anew else ""
        figures = (
            (f"{one.now_mib:.0f}", f"{one.mib_per_hour:+.1f}", f"{one.percent_per_hour:+.1f}")
            if one
            else ("-",) * 3
        )
        rows.append((name, *figures, note))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others[:-1]), row[-1]]
        yield "  ".join(cells).rstrip()
