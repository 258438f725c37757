"""`./market status`: readable on 80 columns, with the figures that matter."""

from __future__ import annotations

import pytest
from ledger_world import World

from distributedmarket.cli.output import Output
from market.kit import settings
from market.ops.cli import status
from market.ops.run import overview
from market.ops.run.lifecycle import Health
from market.ops.run.overview import Overview

SUBMITTER = Health(
    "submitter",
    "127.0.0.1",
    True,
    "pid 129; ready; 12 submitted; 96 MiB; no packages are fetched for jobs: bubblewrap is missing,"
    " which keeps those who build them from the market's files",
)
HEALTHS = [
    Health("resourcemanager", "127.0.0.1:8088", True, "pid 124; asks for keys (Kerberos, realm MARKET)"),
    SUBMITTER,
    Health("scheduler", "127.0.0.1", False, "exited: see ./market up"),
]


@pytest.mark.unit
def test_nothing_is_cut_on_eighty_columns() -> None:
    lines = [*status.services_lines(HEALTHS, 80, Output())]
    assert lines[0].split() == ["service", "health", "address", "detail"]
    assert max(map(len, lines)) <= 80
    assert lines[1:3] == [
        "resourcemanager  healthy      127.0.0.1:8088  pid 124",
        "    asks for keys (Kerberos, realm MARKET)",
    ]
    assert lines[3] == "submitter        healthy      127.0.0.1       pid 129; ready; 12 submitted"
    said = " ".join(line.strip() for line in lines[3:-1])
    assert SUBMITTER.detail.partition("96 MiB")[2] in said
    assert lines[-1] == "scheduler        NOT healthy  127.0.0.1       exited: see ./market up"


@pytest.mark.unit
def test_the_last_lines_say_what_there_is_and_where_to_log_in() -> None:
    loaded = settings.load()
    market = Overview({"queued": 1, "running": 2}, {"active": 1})
    shown = dict(status.summary(loaded, HEALTHS, market, "abc"))
    assert shown["services"] == "1 of 3 are not healthy: scheduler"
    assert shown["jobs"] == "3 open jobs: 1 queued, 2 running"
    assert shown["machines"] == "1 machine: 1 active"
    assert shown["address"] == loaded.url("api")
    assert loaded.service.admin in shown["log in"]
    shown = dict(status.summary(loaded, HEALTHS[:2], Overview(), "abc"))
    assert (shown["services"], shown["jobs"]) == ("all healthy", "no open jobs")
    assert dict(status.summary(loaded, HEALTHS, None, "abc"))["jobs"] == "the database does not answer"


@pytest.mark.database
def test_open_jobs_and_machines_are_counted_by_how_they_are(world: World) -> None:
    member = world.member()
    jobs = [world.job(member) for _ in range(3)]
    world.stand(jobs[0], "queued")
    world.end_job(jobs[2], 1)
    world.machine(member)
    found = overview.look()
    assert found is not None
    assert sum(found.jobs.values()) == 2
    assert found.jobs["queued"] == 1
    assert sum(found.machines.values()) == 1
