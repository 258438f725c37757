"""`./market upgrade [--check] [--to RELEASE]`: this clone's release in the place of the one that runs."""

from __future__ import annotations

import argparse

from distributedmarket.cli.output import Output
from market.kit.settings import Settings
from market.ops.cli.stack import console, progress
from market.ops.install import setup
from market.ops.run import releases
from market.ops.upgrade import carry_out, plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--check", action="store_true", help="say what it would do, and do nothing")
    parser.add_argument(
        "--to",
        metavar="RELEASE",
        help="go to a release that is here already, as `previous` or by its first digits",
    )
    parser.add_argument("--no-backup", action="store_true", help="take no backup before")


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Upgrade, or say what it would be; return the exit code. Raises SetupError."""
    paths = settings.paths
    words = ["--no-backup"] if chosen.no_backup else []
    if chosen.to:
        words += ["--check"] if chosen.check else []
        return carry_out.run(releases.find(paths.state, chosen.to), settings, *words)
    if chosen.check:
        return _check(settings)
    if not releases.is_release(paths.root):
        plan.look(settings)  # refused before minutes of setup where it is to be refused
        setup.run(paths)
        return carry_out.run(releases.make(paths), settings, *words)
    done = carry_out.switch(settings, progress, console.print, backup=not chosen.no_backup)
    if done.nothing:
        console.print(f"nothing to do: the market runs from {done.release}")
        return 0
    console.print(f"The market runs from {done.release}. Back: ./market upgrade --to {done.before}")
    return 0


def _check(settings: Settings) -> int:
    """Print what an upgrade would do; return 0 where it could be done now."""
    found = plan.look(settings)
    output = Output()
    missing = [] if releases.is_release(settings.paths.root) else setup.lacking(settings.paths)
    output.figures([("install", title) for title in missing])
    if found.nothing and not missing:
        output.line(f"nothing to do: the market runs from {found.release}")
        return 0
    output.figures(list(found.lines()))
    if words := found.refusal():
        output.line(f"not now: {words}")
    return 1 if found.refusal() else 0
