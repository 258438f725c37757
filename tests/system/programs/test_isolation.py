"""A job that looks for what is not its own, on a machine of the stack's own host."""

from __future__ import annotations

import json
import os
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from agents import nodemanager
from commands import market
from people import Person

from distributedmarket.agent import sandbox
from market.kit import settings

pytestmark = pytest.mark.cluster

# What one process of the job finds. Reading is what counts: that a name can be listed is not yet a leak.
SPY = """
    import json, os, socket, sys
    from pyspark.sql import SparkSession

    STATE, DATABASE, MARK, VICTIM = json.loads(sys.argv[1])

    def readable(root):
        found = []
        for folder, names, files in os.walk(root):
            for name in files:
                path = os.path.join(folder, name)
                try:
                    with open(path, "rb") as file:
                        file.read(1)
                    found.append(path)
                except OSError:
                    pass
        return found

    def processes():
        found = []
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/environ" % number, "rb") as file:
                    words = file.read()
                with open("/proc/%s/cmdline" % number, "rb") as file:
                    words += file.read()
            except OSError:
                continue
            found.append(words.decode(errors="replace"))
        return found

    def look(_):
        secrets, state = readable(STATE + "/secrets"), readable(STATE)
        own = os.environ["MARKET_MACHINE"]
        try:
            socket.create_connection(tuple(DATABASE), 3).close()
            database = "reached"
        except OSError:
            database = "closed"
        return {
            "uid": os.getuid(),
            "nice": os.nice(0),
            "secrets": secrets,
            "databases": readable(STATE + "/data"),
            "machines": [one for one in readable(STATE + "/machines") if not one.startswith(own + "/")],
            "own": [one for one in readable(own) if not one.startswith((own + "/work/", own + "/conf/"))],
            "rest": [one for one in state if not one.startswith(STATE + "/machines/")],
            "of_others": [one[:200] for one in processes() if "AIRFLOW__" in one or "db_market_app" in one],
            "database": database,
            "environment": [name for name in os.environ if "AIRFLOW" in name or "PASSWORD" in name],
            "temporary": [one for one in readable("/tmp") if one == MARK],
        }

    spark = SparkSession.builder.getOrCreate()
    home = "denied"
    try:
        home = spark.read.text(VICTIM).first()[0]
    except Exception as error:
        home = "denied" if "Permission denied" in str(error) else repr(error)[:300]
    found = {"driver": look(0), "executor": spark.sparkContext.parallelize([0], 1).map(look).collect()[0]}
    print("FOUND " + json.dumps({"home": home, **found}))
"""


@pytest.fixture(scope="module")
def spied(
    stack: settings.Settings,
    machines: list[dict[str, Any]],
    buyer: Person,
    stranger: Person,
) -> dict[str, Any]:
    """Let a stranger's job look around; the buyer has a file in his home."""
    buyer.put("private/diary.txt", "what nobody else may read\n")
    stranger.put("spy/main.py", textwrap.dedent(SPY))
    # On the host, for everybody to read, where a job's own temporary files would be.
    mark = tempfile.NamedTemporaryFile(dir="/tmp", prefix="market-")  # noqa: SIM115 - until the job ended
    Path(mark.name).chmod(0o644)
    words = [
        str(stack.paths.state),
        ["127.0.0.1", stack.port("postgres")],
        mark.name,
        f"{stack.hdfs_uri}/user/{buyer.username}/private/diary.txt",
    ]
    job_id = stranger.submit("spy", app_params=[json.dumps(words)])
    job = stranger.ended(job_id)
    mark.close()
    assert job["status"] == "succeeded", job
    line = next(one for one in stranger.log(job_id).splitlines() if one.startswith("FOUND "))
    found: dict[str, Any] = json.loads(line.removeprefix("FOUND "))
    print(json.dumps(found, indent=1)[:4000])
    return found


@pytest.fixture(scope="module")
def details(stack: settings.Settings, machines: list[dict[str, Any]]) -> dict[str, str]:
    """Return what `./market status` says of each NodeManager of this host."""
    found = json.loads(market("status", "--json").stdout)["services"]
    names = {"pool", *(one["display_name"] for one in machines)}
    return {one["name"]: one["detail"] for one in found if one["name"] in names}


# What is found where this host cannot hide it, and the word for it that status must say.
TOLD = {
    "secrets": "your files",
    "databases": "your files",
    "machines": "your files",
    "own": "your files",
    "rest": "your files",
    "of_others": "other processes",
    "temporary": "/tmp",
}


@pytest.mark.parametrize("role", ["driver", "executor"])
@pytest.mark.parametrize("what", TOLD)
def test_a_job_finds_nothing_of_the_market_s_that_status_does_not_tell_of(
    spied: dict[str, Any], details: dict[str, str], role: str, what: str
) -> None:
    told = all(TOLD[what] in detail for detail in details.values())
    assert spied[role][what] == [] or told, (spied[role][what], details)


@pytest.mark.parametrize("role", ["driver", "executor"])
def test_a_job_finds_no_secret_in_its_environment(spied: dict[str, Any], role: str) -> None:
    assert spied[role]["environment"] == []


@pytest.mark.parametrize(("role", "machine"), [("driver", "pool"), ("executor", "")])
def test_the_database_is_reached_only_where_status_says_so(
    spied: dict[str, Any], details: dict[str, str], role: str, machine: str
) -> None:
    told = [detail for name, detail in details.items() if not machine or name == machine]
    reached = any("which reaches this host's own services" in detail for detail in told)
    assert spied[role]["database"] == ("reached" if reached else "closed")


def test_status_says_of_each_machine_which_protection_this_host_lacks(details: dict[str, str]) -> None:
    weak = sandbox.weakness()
    assert len(details) >= 3
    for name, detail in details.items():
        assert (weak in detail) if weak else ("jobs" not in detail), name


def test_a_job_is_not_the_market_s_account(stack: settings.Settings, spied: dict[str, Any]) -> None:
    owner = Path(stack.paths.secrets).stat().st_uid
    if owner == 0:
        assert {spied["driver"]["uid"], spied["executor"]["uid"]} == {65534}


def test_programs_give_way_to_what_keeps_the_machine(spied: dict[str, Any]) -> None:
    keeper = os.getpriority(os.PRIO_PROCESS, nodemanager("pool"))
    assert {spied[role]["nice"] for role in ("driver", "executor")} == {keeper + 5}


def test_another_s_home_is_closed(spied: dict[str, Any]) -> None:
    assert spied["home"] == "denied"


def test_the_database_lets_nobody_in_without_a_password(stack: settings.Settings) -> None:
    for role in ("postgres", "market_app", "market_owner", "airflow"):
        for password in ("", role, "postgres"):
            with pytest.raises(psycopg2.OperationalError, match="password"):
                psycopg2.connect(
                    host=stack.bind,
                    port=stack.port("postgres"),
                    user=role,
                    password=password or "none",
                    dbname="market",
                )


def test_a_machine_s_token_is_kept_nowhere(
    stack: settings.Settings, machines: list[dict[str, Any]], program: Callable[[str], str]
) -> None:
    """The one-time token is used up before the first job runs, and the machine's files never hold it."""
    for folder in (stack.paths.state / "machines").iterdir():
        for file in (*(folder / "conf").glob("*"), folder / "machine.json"):
            assert not file.is_file() or "token" not in file.read_text(errors="replace")
