"""`./market config`: what is set, where it comes from, whether it is right, and whether it is in force."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pytest

from market.kit import settings
from market.ops.cli import config
from market.ops.run import started_with


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "market.toml"


def run(state: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    config.add_arguments(parser)
    shipped = settings.load(state=state / "nowhere")
    paths = settings.Paths(root=shipped.paths.root, installs=shipped.paths.installs, state=state)
    return config.run(replace(shipped, paths=paths), parser.parse_args(words))


def test_all_is_shown_with_its_file(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own.write_text("[jobs]\nmax_cores = 7\n")
    assert run(own.parent, "show") == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"[jobs] max_cores = 7   (shipped: 64; from {own})" in lines
    assert "[jobs] max_points = 200" in lines
    assert '[types.cpu] weight = "1.000000"' in lines


def test_only_what_differs_is_compared(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(own.parent, "diff") == 0
    assert capsys.readouterr().out == "nothing differs from what is shipped\n"
    own.write_text('[types.cpu]\nweight = "1.000000"\n[types.big]\nweight = "2.000000"\n')
    assert run(own.parent, "diff", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(line["setting"], line["value"], line["shipped"]) for line in found] == [
        ("[types.big] weight", "2.000000", None)
    ]


def test_what_the_services_were_not_started_with_is_told(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = settings.load(state=own.parent)
    started_with.note(loaded)
    assert run(own.parent, "diff") == 0
    assert "nothing differs" in capsys.readouterr().out
    own.write_text("[jobs]\nmax_cores = 7\n")
    assert run(own.parent, "diff") == 0
    assert "max_cores = 7" in (text := capsys.readouterr().out)
    assert "not in force yet" in text
    assert "./market down && ./market up" in text
    started_with.note(loaded)
    own.unlink()  # back to what is shipped: that is not in force either
    assert run(own.parent, "diff") == 0
    assert "[jobs] max_cores = 64   not in force yet" in capsys.readouterr().out
    started_with.forget(loaded)
    assert run(own.parent, "diff") == 0
    assert "not in force" not in capsys.readouterr().out


def test_a_file_is_checked_before_it_is_used(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = tmp_path / "wanted.toml"
    wanted.write_text("[jobs]\nmax_cores = 7\n")
    assert run(own.parent, "check", str(wanted)) == 0
    assert capsys.readouterr().out == f"{wanted} is right\n"
    wanted.write_text("[jobs]\nmax_cores = -7\n")
    with pytest.raises(settings.SettingsError, match=r"wanted.toml: \[jobs\] max_cores"):
        run(own.parent, "check", str(wanted))
    with pytest.raises(settings.SettingsError, match="is missing"):
        run(own.parent, "check", str(tmp_path / "none.toml"))
