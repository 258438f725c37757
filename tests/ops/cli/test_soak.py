"""`./market soak`: which process grows is told by figures, with the jobs that ran meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from distributedmarket.client import MarketApiError
from market.ops.cli import soak
from market.ops.cli.soak import Jobs
from market.ops.run.memory import Growth, Meter, Sample, Series

MIB = 1 << 20
GROWS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
kept = []
print("up", flush=True)
for _ in sys.stdin:
    kept.append(b"x" * (8 << 20))
    print(len(kept), flush=True)
"""


class Person:
    """A member whose market does as it is told."""

    def __init__(self) -> None:
        self.posted: list[str] = []
        self.status = "running"
        self.refusal: MarketApiError | None = None

    def post(self, path: str, body: object) -> Any:
        if self.refusal:
            raise self.refusal
        self.posted.append(path)
        return {"job_id": f"{len(self.posted):032x}"}

    def get(self, path: str) -> Any:
        return {"status": self.status}


def series(*mib: float, every_s: float = 60.0) -> Series:
    held = [Sample(number * every_s, 0, round(one * MIB)) for number, one in enumerate(mib)]
    return Series(1, held)


def test_growth_is_told_from_a_worker_that_comes_and_goes() -> None:
    steady = series(*[100, 100, 160, 100, 100, 160, 100, 160, 100, 100]).growth(0)
    assert steady is not None
    assert steady.mib_per_hour == 0
    assert not soak.grows(steady)
    leak = series(*[100 + number * 0.2 for number in range(60)]).growth(0)
    assert leak is not None
    assert leak.mib_per_hour == pytest.approx(12, rel=0.01)
    assert leak.percent_per_hour == pytest.approx(12 / 105.9 * 100, rel=0.01)
    assert soak.grows(leak)


def test_what_comes_before_the_warm_up_does_not_count() -> None:
    warms = series(*[10, 40, 70, 100, 100, 100, 100, 100, 100])
    all_of_it, later = warms.growth(0), warms.growth(180)
    assert all_of_it is not None
    assert soak.grows(all_of_it)
    assert later is not None
    assert (later.samples, later.mib_per_hour) == (6, 0)
    assert warms.growth(400) is None, "too few to tell"


def test_a_small_process_may_grow_by_a_little() -> None:
    assert not soak.grows(Growth(now_mib=12, mib_per_hour=0.9, percent_per_hour=7.5, samples=100))


def test_a_process_is_measured_with_its_children_and_anew_when_it_is_another_one() -> None:
    meter = Meter()
    process = subprocess.Popen(
        [sys.executable, "-c", GROWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()
        time.sleep(0.5)  # the child has come to its sleep
        for number in range(6):
            meter.sample(number * 60.0, {"grows": process.pid, "gone": 4194305})
            process.stdin.write("more\n")
            process.stdin.flush()
            process.stdout.readline()
        found = meter.series["grows"].growth(0)
        assert found is not None
        assert found.mib_per_hour == pytest.approx(8 * 60, rel=0.05)
        sample = meter.series["grows"].samples[-1]
        assert sample.rss >= sample.pss > 40 * MIB
        assert meter.series["gone"].samples == []
        meter.sample(360.0, {"grows": process.pid + 1})
    finally:
        process.kill()
        process.communicate()
    assert meter.restarted == {"grows": 1}


def test_jobs_come_at_their_pace_and_never_too_many_at_once() -> None:
    person = Person()
    jobs = Jobs(lambda: person, "cpu", every_s=10.0)  # type: ignore[arg-type, return-value]
    for second in range(35):
        jobs.submit_due(second)
    assert jobs.submitted == 4
    jobs.submit_due(1000)
    assert jobs.submitted == 5, "those that a busy market could not take are not made up for"
    for number in range(30):
        jobs.submit_due(2000 + 10 * number)
    assert (len(jobs.open), jobs.held_back) == (20, 15)
    person.status = "succeeded"
    jobs.follow()
    assert (jobs.open, jobs.ended["succeeded"], jobs.failed) == ([], 20, 0)


def test_the_figures_say_what_grows_and_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    person, meter = Person(), Meter()
    jobs = Jobs(lambda: person, "cpu", every_s=10.0)  # type: ignore[arg-type, return-value]
    meter.series = {
        "api-server": series(*[100 + number * 0.2 for number in range(60)]),
        "scheduler": series(*[200] * 60),
        "pool": series(50),
    }
    meter.restarted = {"scheduler": 2}
    assert soak.report(jobs, meter, 0, 3600) == 1
    said = capsys.readouterr().out
    assert "GROWS by more than 2 % in an hour: api-server" in said
    assert "started anew 2 times" in said
    del meter.series["api-server"]
    assert soak.report(jobs, meter, 0, 3600) == 0
    assert "no process grows by more than 2 % in an hour" in capsys.readouterr().out
    jobs.submit_due(0)
    person.status = "failed"
    jobs.follow()
    assert soak.report(jobs, meter, 0, 3600) == 1
    assert "1 job did not succeed" in capsys.readouterr().out
    assert soak.report(Jobs(lambda: person, "cpu", 10.0), Meter(), 0, 5) == 0  # type: ignore[arg-type, return-value]
    assert "too short to tell what grows" in capsys.readouterr().out
