"""The operator's commands: what each is for, how it is written, and the module that is loaded for it alone.

Standard library only: the launcher reads this before anything is installed.
"""

from __future__ import annotations

from typing import NamedTuple

_DEMO = (
    "Set up what is missing, start the stack, register a lender and a buyer, lend two machines of this host,"
    " train a model, settle, and print the receipt.\n\n"
    "The first time it takes about 10 minutes and 4 GiB of disk in .market/, later about two minutes. It"
    " leaves running: the stack, and two machines that are lent for 12 hours. ./market down stops all of it,"
    " ./market reset deletes its data; without .market/ nothing is left."
)
_SHARE = "Lend this machine: docs/lenders.md says what it needs, what you earn, and how to stop."


class Command(NamedTuple):
    """A command: `run(settings, chosen)` of its `module` returns its exit code.

    With `options` of its own the module has `add_arguments(parser)` as well.
    """

    summary: str
    examples: tuple[str, ...]
    module: str = ""
    options: bool = True
    description: str = ""


COMMANDS = {
    "setup": Command("install what is missing, into .market/", ("./market setup",)),
    "up": Command(
        "start the stack",
        ("./market up", "MARKET_STATE_DIR=/srv/market ./market up     # another stack of this clone"),
        description="Start what does not run, after a setup of what is missing, wait until all is healthy,"
        " and say where the market is. Settings: config/market.toml, your own in .market/market.toml.",
    ),
    "down": Command(
        "stop the stack",
        ("./market down", "./market down --force"),
        description="Stop the stack. While jobs run it names them and asks; the data stays.",
    ),
    "status": Command(
        "show each service, jobs, machines, and where to log in",
        ("./market status", "./market status --json"),
        "market.ops.cli.status",
        options=False,
        description="Ask each service how it is. The exit code is 0 only when all are healthy.",
    ),
    "restart": Command("restart one service", ("./market restart scheduler",)),
    "logs": Command(
        "show the log of a service",
        ("./market logs scheduler", "./market logs api-server -f"),
        description="Show the last 200 lines of the log of a service. Of a job, see ./market logs JOB.",
    ),
    "reset": Command(
        "delete all data of the stack",
        ("./market reset", "./market reset --yes"),
        description="Stop the stack and delete all its data: accounts, jobs, files, credits. Installs stay.",
    ),
    "demo": Command(
        "set up, start, and run the market's main job from end to end (the first time about 10 minutes)",
        ("./market demo",),
        "market.ops.cli.demo",
        options=False,
        description=_DEMO,
    ),
    "share": Command(
        "lend this machine",
        (
            "./market share --cores 2 --memory 4g --type cpu --hours 12",
            "./market share --cores 4 --memory 8g --type cpu --hours 720 --window 22:00-06:00 --name tower",
        ),
        "market.ops.cli.share",
        description=_SHARE,
    ),
    "settle": Command(
        "charge buyers and pay lenders up to a time",
        ("./market settle", "./market settle --until 2026-11-24T10:00:00Z"),
        "market.ops.cli.settle",
    ),
    "ledger": Command("verify the ledger", ("./market ledger verify",), "market.ops.cli.ledger"),
    "alerts": Command(
        "show what needs a look, and acknowledge it",
        ("./market alerts", "./market alerts --acknowledge 12 13"),
        "market.ops.cli.alerts",
        description="Show what needs a look: the newest 200. docs/runbook.md has an entry for each kind.",
    ),
    "backup": Command(
        "copy the database, HDFS and the secrets, while the market runs",
        ("./market backup", "./market backup --to /backups/market"),
        "market.ops.cli.backup",
    ),
    "restore": Command(
        "bring the market back to what it was at a time",
        (
            "./market restore --from /backups/market",
            "./market restore --from /backups/market --at 2026-11-29T01:02:03Z",
        ),
        "market.ops.cli.restore",
    ),
    "metrics": Command(
        "print the figures that Prometheus gets",
        ("./market metrics",),
        "market.ops.cli.metrics",
        options=False,
    ),
    "rotate": Command(
        "give secrets of the market new values, while it runs",
        ("./market rotate member_secrets_key",),
        "market.ops.cli.rotate",
    ),
    "upgrade": Command(
        "bring the market that runs to this clone's release, while jobs run",
        ("./market upgrade --check", "./market upgrade", "./market upgrade --to previous"),
        "market.ops.cli.upgrade",
        description="After `git pull`, or in a newer clone with MARKET_STATE_DIR: install the release beside"
        " the one that runs, take a backup, apply what is new of the tables, and start service by service"
        " anew. Those that did not change run on; --check says what it would do. The way back: --to previous,"
        " as long as no table was taken away.",
    ),
    "soak": Command(
        "run jobs at a steady pace, and tell which process of the market grows",
        ("./market soak --hours 8 --jobs-per-hour 60", "./market soak --hours 1 --type gpu"),
        "market.ops.cli.soak",
        description="Submit small jobs to the market that runs, for hours, and measure the memory of each"
        " service with its children. After a warm-up it tells how much each grows in an hour; the exit code"
        " is 1 when one grows by more than 2 %, or a job failed. Ctrl-C ends it with the figures so far.",
    ),
    "look": Command(
        "show a page of Hadoop's or Spark's servers",
        ("./market look http://127.0.0.1:8088/ws/v1/cluster/info",),
        "market.ops.cli.look",
    ),
    "config": Command(
        "show, check and compare the settings",
        ("./market config show", "./market config check my.toml", "./market config diff"),
        "market.ops.cli.config",
    ),
    "test": Command(
        "run the tests",
        ("./market test unit", "./market test", "MARKET_TEST_LANES=2 ./market test cluster"),
        description="Run the tests: unit needs about a minute, all together some 40 minutes on two cores.",
    ),
    "lock": Command("make requirements*.txt from requirements*.in", ("./market lock",)),
}
