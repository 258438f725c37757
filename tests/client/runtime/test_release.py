"""The release: the same on the market and on its machines, and told to the market by whoever starts it."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from distributedmarket.agent import api
from distributedmarket.runtime import release
from market.kit import settings
from market.machines import release as expected
from market.ops.run import release as told


def test_what_decides_changes_the_digest_and_words_about_it_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = release.digest()
    assert len(before) == 64
    for name, file, comment, line in (
        ("LOCK", release.LOCK, "# words\n\n", "pyspark==9.9.9\n"),
        ("POM", release.POM, "<!-- words -->\n\n<project", None),
    ):
        other = tmp_path / file.name
        text = file.read_text()
        if line is None:
            other.write_text(text.replace("<project", comment, 1))
        else:
            other.write_text(comment + text)
        monkeypatch.setattr(release, name, other)
        assert release.digest() == before
        changed = text + line if line else text.replace("<hadoop.version>3", "<hadoop.version>4")
        other.write_text(changed)
        assert release.digest() != before
        monkeypatch.setattr(release, name, file)


def test_python_is_that_of_the_runtime_and_before_there_is_one_that_of_the_agent(tmp_path: Path) -> None:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert release.current(tmp_path).python == own
    (tmp_path / "lib" / "python3.99").mkdir(parents=True)
    assert release.current(tmp_path).python == "3.99"


def test_the_market_expects_what_it_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    loaded = settings.load()
    loaded.paths.run.mkdir()
    told.write(loaded)
    here = release.current(loaded.paths.runtime)
    assert asdict(expected.expected()) == asdict(here)
    fits = expected.AgentRelease("1", api.API, expected.Release(**asdict(here)))
    expected.require(fits)
    misfits = {
        "interface for agents": replace(fits, api=api.API + 1),
        "another release": replace(fits, machine=replace(fits.machine, runtime="0" * 64)),
        "install Python": replace(fits, machine=replace(fits.machine, python="3.99")),
    }
    for words, agent in misfits.items():
        with pytest.raises(expected.MisfitError, match=words) as error:
            expected.require(agent)
        assert (error.value.status, error.value.members) == (409, {"code": api.MISFIT})
        assert "stop the agent" in error.value.detail


def test_a_market_that_was_told_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKET_STATE_DIR", str(tmp_path))
    with pytest.raises(expected.UnavailableError, match=r"\./market up"):
        expected.expected()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "release.json").write_text("{")
    with pytest.raises(expected.UnavailableError):
        expected.expected()
