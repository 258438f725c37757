"""`./market test [GROUP ...]`: checkers and pytest, in lanes side by side; the last line counts all tests.

Where there are more than two cores, the checkers, and the tests that need no stack, run beside those of a
running stack, at a lower priority. Two cores are too few for that: what the market starts there becomes so
slow that it is taken for dead. So they come first there. Each folder of tests of the stack is a lane, which
needs nothing that another one leaves; what kills or restarts a part of the stack, or measures what others
would disturb, is marked `alone` and comes last. `MARKET_TEST_LANES` says how many lanes run on the stack at a
time: two by default, one on two cores.

A test of the stack that fails is run once more when the others have ended, to tell what others disturb from
what is broken: if it passes then, it is named as unsteady in the last lines. It has failed all the same.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from market.kit import settings
from market.ops.cli.lanes import Lane, Lanes
from market.ops.install import setup
from market.ops.python_path import python_path

GROUPS = ("unit", "database", "cluster", "browser")
# What needs more than setup installs: only where it is asked for.
BY_COMMAND = ("containers",)
# Seconds on two cores, when all groups run.
_BUDGET_S = {"unit": 240, "database": 480, "cluster": 600, "browser": 180, "containers": 2400}
_BUDGET_IN_ALL_S = 600
_FEW_CORES = len(os.sched_getaffinity(0)) <= 2
_AT_ONCE = int(os.environ.get("MARKET_TEST_LANES", "1" if _FEW_CORES else "2"))
_MOST_UNSTEADY = 2
# What needs a stack, by lane: its group, and where its tests are; the longest first.
ON_A_STACK = {
    "machines": ("cluster", ["tests/system/machines", "tests/security"]),
    "jobs": ("cluster", ["tests/system/jobs"]),
    "programs": ("cluster", ["tests/system/programs", "tests/jobs", "tests/people"]),
    "browser": ("browser", ["tests/system/browser"]),
}
# The tests of the database are two lanes that take about as long: those at a server of Airflow, behind the
# unit tests, and the others.
_SERVERS = ["tests/airflow"]
_ALONE = ("cluster", ["tests/system", "tests/security"])
_NICE = 10
_SHOWN_EVERY_S = 15.0
_LOOK_S = 0.2


def run(paths: settings.Paths, groups: list[str]) -> int:
    """Run the groups (default: all but those by command); return 0 only when everything passed."""
    unknown = [group for group in groups if group not in (*GROUPS, *BY_COMMAND)]
    if unknown:
        there = ", ".join((*GROUPS, *BY_COMMAND))
        print(f"market: no test group {unknown[0]}; there are: {there}", file=sys.stderr)
        return 2
    setup.run(paths, for_tests=True)
    return run_lanes(paths, groups or list(GROUPS))


def run_lanes(paths: settings.Paths, chosen: list[str]) -> int:
    """Do the same where all is set up."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="market-test-") as folder:
        lanes = Lanes(paths.root, Path(folder), _environment(paths, chosen))
        with ThreadPoolExecutor() as threads:
            parts = [threads.submit(part) for part in _parts(paths, lanes, chosen)]
            try:
                _follow(lanes, parts, began)
            except KeyboardInterrupt:
                lanes.interrupt()
                _show_ended(lanes)  # what it had found until then
                raise
        for part in parts:
            part.result()
        return _close(lanes, time.monotonic() - began)


def _parts(paths: settings.Paths, lanes: Lanes, chosen: list[str]) -> list[Callable[[], object]]:
    """Return what runs side by side: each calls one lane after the other."""
    first: list[Lane] = []
    second: list[Lane] = []
    if "unit" in chosen:
        first += [*_checkers(paths), _pytest(paths, "unit", "unit", "unit", [], _NICE)]
    if "database" in chosen:
        others_of = ["tests", *(f"--ignore={folder}" for folder in _SERVERS)]
        first.append(_pytest(paths, "database", "database-servers", "database", _SERVERS, _NICE))
        second.append(_pytest(paths, "database", "database", "database", others_of, _NICE))
    apart = [side for side in (first, second) if side]
    others = _Others(len(apart))
    parts: list[Callable[[], object]] = [partial(_run_apart, lanes, these, others) for these in apart]
    if {"cluster", "browser"} & set(chosen):
        parts.append(lambda: _on_a_stack(paths, lanes, chosen, others))
    for group in BY_COMMAND:
        if group in chosen:
            parts.append(partial(lanes.run, _pytest(paths, group, group, group, [f"tests/{group}"])))
    return parts


class _Others:
    """What runs beside the stack's tests, until all of it has ended."""

    def __init__(self, parts: int) -> None:
        self._left, self._lock, self.ended = parts, threading.Lock(), threading.Event()
        if not parts:
            self.ended.set()

    def one_ended(self) -> None:
        """Count one that has ended."""
        with self._lock:
            self._left -= 1
            if not self._left:
                self.ended.set()


def _run_apart(lanes: Lanes, these: list[Lane], others: _Others) -> None:
    """Run lanes that need no stack, one after the other."""
    try:
        for lane in these:
            lanes.run(lane)
    finally:
        others.one_ended()


def _run_again(paths: settings.Paths, lanes: Lanes, ran: list[Lane]) -> None:
    """Run the tests that failed once more, unless there are too many for bad luck."""
    for lane in ran:
        failed = lane.failed_tests()
        if 0 < len(failed) <= _MOST_UNSTEADY and len(failed) == lane.counts()["failed"]:
            again = _pytest(paths, lane.group, f"{lane.name}-again", lane.marks, failed)
            again.again_of = lane
            lanes.run(again)


def _checkers(paths: settings.Paths) -> list[Lane]:
    commands = {
        "ruff": ["ruff", "check"],
        "ruff-format": ["ruff", "format", "--check"],
        "mypy": ["mypy"],
        "lint-imports": ["lint-imports", "--no-logo", "--no-cache"],
    }
    programs = paths.airflow_env / "bin"
    return [
        Lane("unit", name, [str(programs / words[0]), *words[1:]], nice=_NICE, pytest=False)
        for name, words in commands.items()
    ]


def _pytest(
    paths: settings.Paths, group: str, name: str, marks: str, folders: list[str], nice: int = 0
) -> Lane:
    words = ["-q", "-m", marks, "--durations=25", "-o", f"cache_dir=.pytest_cache/{name}", *folders]
    return Lane(group, name, [str(paths.airflow_env / "bin" / "pytest"), *words], nice=nice, marks=marks)


def _on_a_stack(paths: settings.Paths, lanes: Lanes, chosen: list[str], others: _Others) -> None:
    shared = [
        _pytest(paths, group, name, f"{group} and not alone", folders)
        for name, (group, folders) in ON_A_STACK.items()
        if group in chosen
    ]
    group, folders = _ALONE
    alone = [_pytest(paths, group, "alone", f"{group} and alone", folders)] if group in chosen else []
    group = shared[0].group
    if _FEW_CORES:
        others.ended.wait()
    try:
        if _given_stack() or lanes.run(_stack(paths, group, "start")):
            with ThreadPoolExecutor(_AT_ONCE) as threads:
                list(threads.map(lanes.run, shared))
            for lane in alone:
                lanes.run(lane)
            others.ended.wait()
            _run_again(paths, lanes, [*shared, *alone])
    finally:
        if not _given_stack():
            stop = _stack(paths, group, "stop")
            stop.start(lanes.folder, lanes.root, lanes.environment)  # also after an interruption
            stop.wait()
            lanes.started.append(stop)


def _given_stack() -> bool:
    return bool(os.environ.get("MARKET_TEST_STACK"))


def _stack(paths: settings.Paths, group: str, what: str) -> Lane:
    python = str(paths.airflow_env / "bin" / "python")
    return Lane(group, f"stack-{what}", [python, "tests/whole_stack.py", what], pytest=False)


def _environment(paths: settings.Paths, chosen: list[str]) -> dict[str, str]:
    found = {**os.environ, "PYTHONPATH": python_path(paths.root)}
    if {"cluster", "browser"} & set(chosen):
        found.setdefault("MARKET_TEST_STACK", str(paths.installs / "test-stack"))
    return found


# --- what is shown ----------------------------------------------------------------------------------------


def _follow(lanes: Lanes, parts: list[Future[object]], began: float) -> None:
    """Show each lane's output when it has ended, and how far the others are."""
    told = time.monotonic()
    going = True
    while going:
        going = not all(part.done() for part in parts)
        _show_ended(lanes)
        if going and time.monotonic() - told > _SHOWN_EVERY_S:
            told = time.monotonic()
            running = [_progress(lane) for lane in list(lanes.started) if lane.running]
            print(f"{told - began:4.0f} s: {', '.join(running)}", flush=True)
        time.sleep(_LOOK_S)


def _show_ended(lanes: Lanes) -> None:
    for lane in list(lanes.started):
        if lane.code is not None and not lane.shown:
            lane.shown = True
            _show(lane)


def _progress(lane: Lane) -> str:
    counted = lane.so_far()
    if not counted.total():
        return lane.name
    failed = f" ({counted['failed']} failed)" if counted["failed"] else ""
    return f"{lane.name} {counted.total()}{failed}"


def _show(lane: Lane) -> None:
    head = f"--- {lane.name}, {lane.ended - lane.began:.0f} s: {' '.join(lane.command[1:])} "
    print(head.ljust(110, "-"), lane.said().rstrip(), sep="\n", flush=True)
    if lane.code not in (0, 1):
        print(f"market: {lane.name} ended with {lane.code}", flush=True)


def _close(lanes: Lanes, took_s: float) -> int:
    """Print a line for each group and the last one, for people and programs; return the exit code."""
    total: Counter[str] = Counter()
    unsteady = lanes.unsteady()
    print(f"\n{'group':10} {'tests':>6} {'failed':>6} {'skipped':>7} {'time':>6} {'budget':>6}")
    for group in (*GROUPS, *BY_COMMAND):
        mine = [lane for lane in lanes.started if lane.group == group]
        if mine:
            counted = sum((lane.counts() for lane in mine if lane.again_of is None), Counter())
            total += counted
            seconds = max(lane.ended for lane in mine) - min(lane.began for lane in mine)
            print(_line(group, counted, seconds, _BUDGET_S[group]))
    print(_line("all", total, took_s, _BUDGET_IN_ALL_S))
    names = [name for those in unsteady.values() for name in those]
    for name in names:
        print(f"UNSTEADY, failed beside other tests and passed by itself, to be mended: {name}")
    print(f"{total['passed']} passed, {total['failed']} failed", flush=True)
    return 0 if total["passed"] and not total["failed"] else 1


def _line(name: str, counted: Counter[str], took_s: float, budget_s: int) -> str:
    within = "within" if took_s <= budget_s else "OVER"
    figures = f"{counted.total():6} {counted['failed']:6} {counted['skipped']:7}"
    return f"{name:10} {figures} {took_s:4.0f} s {budget_s:4} s {within}"
