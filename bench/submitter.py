"""Submission only: the warm submitter against Spark's own `spark-submit`, with the same command line.

`.market/airflow-env/bin/python bench/submitter.py [--pairs 5]` on a running stack. Side by side, in one run
and in turn: the command as Airflow's tasks find it, and Spark's own as shipped, both until they have printed
the application's id and ended (goal: at most 0.35 times as long, and at most 2 s). With `--many 1000` it then
submits that often through the warm one, and prints what that does to its memory.

The applications ask for a machine type that nobody lends, wait, and are killed: nothing runs.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import statistics
import subprocess
import sys
import time
from pathlib import Path

import clone  # noqa: F401

# isort: split

from support import announce, verdict

from market.cluster.clients import resource_manager
from market.hadoop import spark
from market.hadoop.paths import PYTHON_RUNNER, SCRATCH
from market.jobs.life import kill
from market.jobs.submission import warm_submitter
from market.kit import settings
from market.ops.run import submitter
from market.ops.run.services import base_environment

_GOAL, _GOAL_S = 0.35, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--many", type=int, default=0, help="submissions through the warm one after that")
    parser.add_argument("--type", default="gpu", help="a machine type that nobody lends")
    chosen = parser.parse_args()
    loaded = settings.load()
    # What the market starts Spark's own command with, when it has to.
    options = {"SPARK_SUBMIT_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx512m"}
    environment = base_environment(loaded) | spark.environment(loaded) | options
    warm, fresh = (
        submitter.PROGRAMS / "spark-submit",
        Path(environment["SPARK_HOME"]) / "bin" / "spark-submit",
    )
    times: dict[Path, list[float]] = {warm: [], fresh: []}
    if chosen.pairs:
        for number in range(chosen.pairs):
            for program, taken in times.items():
                taken.append(_submit(loaded, program, environment, chosen.type))
            print(f"\r{number + 1} of {chosen.pairs} pairs", end="", file=sys.stderr)
        _compare(times[warm], times[fresh])
    _many(loaded, warm, environment, chosen)


def _compare(warm: list[float], fresh: list[float]) -> None:
    print("\n                  median s   all")
    for title, taken in (("warm submitter", warm), ("Spark's own", fresh)):
        print(f"{title:16} {statistics.median(taken):9.2f}   {' '.join(f'{one:.2f}' for one in taken)}")
    ratio = statistics.median(warm) / statistics.median(fresh)
    middle = statistics.median(warm)
    print(f"ratio {ratio:.2f} {verdict(ratio, most=_GOAL)}, {middle:.2f} s {verdict(middle, most=_GOAL_S)}")


def _submit(loaded: settings.Settings, program: Path, environment: dict[str, str], kind: str) -> float:
    tag = announce(secrets.token_hex(16))
    words = ["--master", "yarn", "--deploy-mode", "cluster", "--proxy-user", "bench", "--queue", kind]
    words += ["--name", f"bench {tag}", "--num-executors", "2", "--executor-cores", "1"]
    words += ["--executor-memory", "512m", "--driver-memory", "512m"]
    conf = {
        "spark.yarn.tags": tag,
        "spark.yarn.am.nodeLabelExpression": kind,
        "spark.yarn.executor.nodeLabelExpression": kind,
        "spark.yarn.stagingDir": loaded.hdfs_uri + SCRATCH,
        "spark.yarn.submit.waitAppCompletion": "false",
    }
    for name, value in conf.items():
        words += ["--conf", f"{name}={value}"]
    started = time.monotonic()
    done = subprocess.run(
        [str(program), *words, loaded.hdfs_uri + PYTHON_RUNNER, "bench"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    taken = time.monotonic() - started
    kill.applications(tag)
    if done.returncode or not re.search(r"application_\d+_\d+", done.stdout):
        raise SystemExit(f"{program} failed:\n{done.stdout}")
    if len(resource_manager().apps(tags=[tag])) != 1:
        raise SystemExit(f"{program}: the ResourceManager has not one application of it:\n{done.stdout}")
    if "not used" in done.stdout:
        raise SystemExit(f"the warm submitter was not used:\n{done.stdout[:500]}")
    return taken


def _many(
    loaded: settings.Settings, warm: Path, environment: dict[str, str], chosen: argparse.Namespace
) -> None:
    if chosen.many:
        print("\nsubmissions   resident MiB   what it says of itself")
    for number in range(chosen.many + 1 if chosen.many else 0):
        if number % max(1, chosen.many // 10) == 0:
            state = warm_submitter.status(str(submitter.socket(loaded)))
            print(f"{number:11}   {_resident_mib(loaded):12.0f}   {state}")
        if number < chosen.many:
            _submit(loaded, warm, environment, chosen.type)


def _resident_mib(loaded: settings.Settings) -> float:
    mark = str(submitter.socket(loaded)).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if mark in words and words[0].endswith(b"java"):
                    kib = re.search(r"VmRSS:\s+(\d+)", (entry / "status").read_text())
                    return int(kib[1]) / 1024 if kib else 0.0
            except OSError:
                continue
    return 0.0


if __name__ == "__main__":
    main()
