from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from market.jobs.submission import submission_lock

JOB = "cd" * 16


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))


def test_it_stays_held_while_the_program_that_inherited_it_runs() -> None:
    with submission_lock.taken(JOB) as descriptor:
        child = subprocess.Popen(["sleep", "60"], pass_fds=(descriptor,))
    try:
        assert submission_lock.held(JOB)
        with pytest.raises(RuntimeError), submission_lock.taken(JOB, patience_s=0.2):
            pass
    finally:
        child.kill()
        child.wait()
    assert not submission_lock.held(JOB)


def test_a_job_that_was_never_submitted_holds_none() -> None:
    assert not submission_lock.held(JOB)
