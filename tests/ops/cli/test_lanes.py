"""`./market test`: what it counts, what it calls a failure, and what is left of it."""

from __future__ import annotations

import os
import re
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from market.kit import settings
from market.ops.cli import test
from market.ops.cli.lanes import Lane, Lanes

Script = Callable[[str], Lane]


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    return Lanes(settings.ROOT, tmp_path, dict(os.environ))


def script(program: str, name: str = "one", group: str = "unit", pytest: bool = True) -> Lane:
    return Lane(group, name, [sys.executable, "-c", textwrap.dedent(program)], pytest=pytest)


@pytest.mark.parametrize(
    ("said", "code", "counted"),
    [
        ("12 passed, 3 deselected in 539.36s (0:08:59)", 0, {"passed": 12}),
        (
            "2 failed, 67 passed, 1 skipped, 6 errors in 503.68s",
            1,
            {"passed": 67, "failed": 8, "skipped": 1},
        ),
        ("===== 1 passed, 1 xfailed, 2 warnings in 0.10s =====", 0, {"passed": 2}),
        ("3 passed in 1.00s", -9, {"passed": 3, "failed": 1}),  # it died while it cleared away
        ("....", 0, {"failed": 1}),  # it left before it was through
        ("7 deselected in 0.10s", 5, {"failed": 1}),
        ("Fatal Python error: Segmentation fault", -11, {"failed": 1}),
    ],
)
def test_what_pytest_says_is_counted_and_a_crash_is_a_failure(
    lanes: Lanes, said: str, code: int, counted: dict[str, int]
) -> None:
    end = f"os.kill(os.getpid(), {-code})" if code < 0 else f"sys.exit({code})"
    lane = script(f"import os, sys; print({said!r}, flush=True); {end}")
    assert lanes.run(lane) is (code == 0)
    assert dict(+lane.counts()) == counted


def test_of_a_checker_only_a_failure_counts(lanes: Lanes) -> None:
    fine, wrong = script("", pytest=False), script("raise SystemExit(1)", pytest=False)
    assert lanes.run(fine, wrong) is False
    assert (dict(+fine.counts()), dict(+wrong.counts())) == ({}, {"failed": 1})


def test_progress_is_read_while_it_runs(lanes: Lanes) -> None:
    lane = script("print('...F.s   [ 50%]'); print('..E', end='')")
    lanes.run(lane)
    assert dict(lane.so_far()) == {"passed": 7, "failed": 2}


def test_an_interruption_ends_all_of_it_and_nothing_begins_after_it(lanes: Lanes, tmp_path: Path) -> None:
    """A lane clears away at the signal of the key; what it forgets is ended with it."""
    program = f"""
        import pathlib, subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        pathlib.Path({str(tmp_path / "begun")!r}).write_text(str(child.pid))
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            pathlib.Path({str(tmp_path / "cleared")!r}).touch()
    """
    thread = threading.Thread(target=lanes.run, args=[script(program)])
    thread.start()
    until = time.monotonic() + 30
    while not (tmp_path / "begun").exists() or not (tmp_path / "begun").read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    child = psutil.Process(int((tmp_path / "begun").read_text()))
    lanes.interrupt()
    thread.join(30)
    assert not thread.is_alive()
    assert (tmp_path / "cleared").exists()
    child.wait(30)
    late = script("")
    assert lanes.run(late) is False
    assert late.process is None


@pytest.fixture
def paths() -> settings.Paths:
    return settings.load().paths


@pytest.mark.parametrize(
    ("ends", "last", "code"),
    [
        (["3 passed in 1.00s", "4 passed in 1.00s"], "7 passed, 0 failed", 0),
        (["3 passed in 1.00s", "1 failed, 4 passed in 1.00s"], "7 passed, 1 failed", 1),
        (["3 passed in 1.00s", "a crash"], "3 passed, 1 failed", 1),
        (["no tests ran in 1.00s"], "0 passed, 1 failed", 1),
        ([], "0 passed, 0 failed", 1),
    ],
)
def test_the_last_line_counts_all_lanes_and_each_group_has_its_budget(
    paths: settings.Paths,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ends: list[str],
    last: str,
    code: int,
) -> None:
    def parts(paths: settings.Paths, lanes: Lanes, chosen: list[str]) -> list[Callable[[], object]]:
        made = [script(f"print({end!r})", f"lane{number}") for number, end in enumerate(ends)]
        return [lambda: lanes.run(*made)]

    monkeypatch.setattr(test, "_parts", parts)
    assert test.run_lanes(paths, ["unit"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == last
    assert re.search(r"all .* s +\d+ s within", lines[-2])
    assert all(any(end in line for line in lines) for end in ends), "each lane's output is shown"


@pytest.mark.parametrize(
    ("fails", "last", "code", "named"),
    [
        (["once"], "1 passed, 1 failed", 1, 1),
        (["always"], "1 passed, 1 failed", 1, 0),
        (["once", "always"], "1 passed, 2 failed", 1, 0),
        (["once", "once", "once"], "1 passed, 3 failed", 1, 0),  # too many for bad luck: not run again
    ],
)
def test_what_fails_beside_others_is_run_once_more_and_named(
    paths: settings.Paths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fails: list[str],
    last: str,
    code: int,
    named: int,
) -> None:
    tests = ["import pathlib, pytest", "@pytest.mark.unit\ndef test_passes(): pass"]
    for number, how in enumerate(fails):
        there = tmp_path / f"failed{number}"
        tests.append(
            f"@pytest.mark.unit\ndef test_{how}_{number}():\n"
            f"    file = pathlib.Path({str(there)!r})\n"
            f"    there = file.exists()\n"
            f"    file.touch()\n"
            f"    assert there and {how == 'once'}"
        )
    (tmp_path / "test_luck.py").write_text("\n".join(tests))
    lane = test._pytest(paths, "unit", "unit", "unit", [str(tmp_path / "test_luck.py")])

    def part(lanes: Lanes) -> None:
        lanes.run(lane)
        test._run_again(paths, lanes, [lane])

    monkeypatch.setattr(test, "_parts", lambda paths, lanes, chosen: [lambda: part(lanes)])
    assert test.run_lanes(paths, ["unit"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == last
    unsteady = [line for line in lines if line.startswith("UNSTEADY")]
    assert len(unsteady) == named
    assert all("test_luck.py::test_once_0" in line for line in unsteady)


@pytest.mark.parametrize("few", [True, False])
def test_on_few_cores_a_stack_is_started_when_nothing_else_runs(
    paths: settings.Paths,
    lanes: Lanes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    few: bool,
) -> None:
    """On more it is started beside a test without one, which waits here for that."""
    stack = tmp_path / "stack"
    wait = f"""
        import pathlib, time
        until = time.monotonic() + 30
        while not {few} and not pathlib.Path({str(stack)!r}).exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        print("1 passed in 0.1s")
    """
    said = f"import pathlib; pathlib.Path({str(stack)!r}).touch(); print('1 passed in 0.1s')"
    monkeypatch.delenv("MARKET_TEST_STACK", raising=False)  # of the run that this test is part of
    monkeypatch.setattr(test, "_FEW_CORES", few)
    monkeypatch.setattr(test, "_checkers", lambda paths: [])
    monkeypatch.setattr(
        test, "_stack", lambda paths, group, what: script(said, f"stack-{what}", group, False)
    )
    monkeypatch.setattr(
        test,
        "_pytest",
        lambda paths, group, name, *_: script(wait if group == "unit" else said, name, group),
    )
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda part: part(), test._parts(paths, lanes, ["unit", "browser"])))
    names = [lane.name for lane in lanes.started]
    assert sorted(names) == ["browser", "stack-start", "stack-stop", "unit"]
    assert {lane.code for lane in lanes.started} == {0}
    if few:
        assert names == ["unit", "stack-start", "browser", "stack-stop"]
        assert lanes.started[1].began >= lanes.started[0].ended


def test_every_test_of_a_running_stack_is_in_one_lane() -> None:
    """By its file's mark: what no lane looks at would never run."""
    tests = settings.ROOT / "tests"
    for group in ("cluster", "browser"):
        marked = {
            path
            for path in tests.rglob("test_*.py")
            if re.search(rf"^pytestmark = .*pytest\.mark\.{group}\b", path.read_text(), re.MULTILINE)
        }
        lanes = [
            {path for folder in folders for path in (settings.ROOT / folder).rglob("test_*.py")}
            for name, (its, folders) in test.ON_A_STACK.items()
            if its == group
        ]
        assert sum(map(len, lanes)) == len(set().union(*lanes)), "no file is in two lanes"
        outside = {
            path for path in marked - set().union(*lanes) if "pytest.mark.alone" not in path.read_text()
        }
        assert outside == set()
        used = {path for path in tests.rglob("test_*.py") if f"mark.{group}" in path.read_text()}
        assert used - marked - {Path(__file__)} == set(), "a mark is the whole file's"
