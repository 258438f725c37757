"""Hadoop's jars, as a machine gets them: from its market, in the market's version."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from distributedmarket.errors import SetupError
from distributedmarket.runtime.places import Places
from distributedmarket.runtime.release import POM
from distributedmarket.runtime.steps import Step

Fetch = Callable[[Path], object]  # writes Hadoop's archive, as a market gives it, into a file


def step(places: Places, fetch: Fetch) -> Step:
    """Return the step that fetches them. Where the market runs, its own step of this name leaves the same."""
    return Step(
        "hadoop",
        "Hadoop's jars, from the market (about 110 MB)",
        lambda: [POM.read_bytes()],
        lambda: _install(places, fetch),
        about_s=10,
        mib=105,
    )


def _install(places: Places, fetch: Fetch) -> None:
    # Filled aside and put in place in one move: an interrupted download leaves no half of a class path.
    fresh, archive = places.installs / "hadoop.new", places.installs / "hadoop.zip.part"
    shutil.rmtree(fresh, ignore_errors=True)
    fetch(archive)
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(fresh)
    except zipfile.BadZipFile:
        raise SetupError(
            "what the market sent as Hadoop's jars is no zip file: start the agent again"
        ) from None
    finally:
        archive.unlink()
    shutil.rmtree(places.hadoop, ignore_errors=True)
    fresh.rename(places.hadoop)
