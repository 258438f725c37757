"""`./market test [GROUP ...]`: checkers and pytest, in lanes side by side; the last line counts all tests.

Tests of a running stack wait much of the time: the checkers, and the tests that need no stack, run beside
them at a lower priority. Each folder of tests of the stack is a lane, which needs nothing that another one
leaves; what kills or restarts a part of the stack, or measures what others would disturb, is marked `alone`
and comes last.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from market.kit import settings
from market.ops.cli.lanes import Lane, Lanes
from market.ops.install import setup
from market.ops.python_path import python_path

GROUPS = ("unit", "database", "cluster", "browser")
# Seconds on two cores, when all groups run.
_BUDGET_S = {"unit": 240, "database": 480, "cluster": 600, "browser": 180}
_BUDGET_IN_ALL_S = 600
# What needs a stack, by lane: its group, and where its tests are. Two cores carry one of them at a time,
# beside the tests that need no stack: with more, what the market starts is so slow that it is taken for dead.
ON_A_STACK = {
    "jobs": ("cluster", ["tests/system/jobs"]),
    "machines": ("cluster", ["tests/system/machines"]),
    "programs": ("cluster", ["tests/system/programs", "tests/jobs", "tests/people"]),
    "browser": ("browser", ["tests/system/browser"]),
}
_ALONE = ("cluster", ["tests/system"])
_NICE = 10
_SHOWN_EVERY_S = 15.0
_LOOK_S = 0.2


def run(paths: settings.Paths, groups: list[str]) -> int:
    """Run the groups (default: all); return 0 only when everything passed."""
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        print(f"market: no test group {unknown[0]}; there are: {', '.join(GROUPS)}", file=sys.stderr)
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
    parts: list[Callable[[], object]] = []
    if "unit" in chosen:
        unit = [*_checkers(paths), _pytest(paths, "unit", "unit", "unit", [], _NICE)]
        parts.append(lambda: [lanes.run(lane) for lane in unit])
    if "database" in chosen:
        parts.append(lambda: lanes.run(_pytest(paths, "database", "database", "database", [], _NICE)))
    if {"cluster", "browser"} & set(chosen):
        parts.append(lambda: _on_a_stack(paths, lanes, chosen))
    return parts


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
    return Lane(group, name, [str(paths.airflow_env / "bin" / "pytest"), *words], nice=nice)


def _on_a_stack(paths: settings.Paths, lanes: Lanes, chosen: list[str]) -> None:
    shared = [
        _pytest(paths, group, name, f"{group} and not alone", folders)
        for name, (group, folders) in ON_A_STACK.items()
        if group in chosen
    ]
    group, folders = _ALONE
    alone = [_pytest(paths, group, "alone", f"{group} and alone", folders)] if group in chosen else []
    group = shared[0].group
    try:
        if _given_stack() or lanes.run(_stack(paths, group, "start")):
            for lane in (*shared, *alone):
                lanes.run(lane)
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
    print(f"\n{'group':10} {'tests':>6} {'failed':>6} {'skipped':>7} {'time':>6} {'budget':>6}")
    for group in GROUPS:
        mine = [lane for lane in lanes.started if lane.group == group]
        if mine:
            counted = sum((lane.counts() for lane in mine), Counter())
            total += counted
            seconds = max(lane.ended for lane in mine) - min(lane.began for lane in mine)
            print(_line(group, counted, seconds, _BUDGET_S[group]))
    print(_line("all", total, took_s, _BUDGET_IN_ALL_S))
    print(f"{total['passed']} passed, {total['failed']} failed", flush=True)
    return 0 if total["passed"] and not total["failed"] else 1


def _line(name: str, counted: Counter[str], took_s: float, budget_s: int) -> str:
    within = "within" if took_s <= budget_s else "OVER"
    figures = f"{counted.total():6} {counted['failed']:6} {counted['skipped']:7}"
    return f"{name:10} {figures} {took_s:4.0f} s {budget_s:4} s {within}"
