"""`market run PROGRAM`: from a file on this host to its results on this host."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from distributedmarket.cli import exits, options, text
from distributedmarket.cli.commands.output import fetched, in_words
from distributedmarket.cli.context import Context, confirmed
from distributedmarket.cli.follow import Follower, show_quote
from distributedmarket.cli.output import Live
from distributedmarket.client import UnreachableError
from distributedmarket.errors import SetupError
from distributedmarket.sdk.defaults import with_defaults
from distributedmarket.sdk.job import Job
from distributedmarket.sdk.program.bundle import MOST_BYTES, Program, beside, collect
from distributedmarket.sdk.program.check import check
from distributedmarket.sdk.program.upload import default_root, upload

_NAMED = 3  # files that are named in a line


def run(parser: argparse.ArgumentParser) -> None:
    """Declare `market run`."""
    parser.add_argument("program", type=Path, metavar="PROGRAM", help="a .py, .ipynb or .jar on this host")
    parser.add_argument("arguments", nargs="*", metavar="-- ARGUMENT", help="what the program is given")
    parser.add_argument("--yes", action="store_true", help="do not ask whether to pay")
    parser.add_argument(
        "--with", dest="named", action="append", default=[], metavar="FILE",
        help="a file, folder or pattern of its folder that it needs, beside what its code imports and names",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="what it begins in (default: its own)")
    parser.add_argument("--to", metavar="FOLDER", help="where it goes in your home of the market")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="default: ./results/JOB_ID")
    parser.add_argument("--logs", action="store_true", help="show what the driver prints")
    parser.add_argument("--detach", action="store_true", help="submit it, and do not follow it")
    parser.add_argument("--no-check", action="store_true", help="run it although it looks wrong")
    options.add_job_fields(parser)
    options.examples(
        parser,
        "market run train.py",
        "market run --yes --cores 4 train.py -- --epochs 3",
        "market run --with data/images --max-credits 2 train.py",
        "market run --logs --requirement xgboost-cpu notebook.ipynb",
    )
    parser.set_defaults(run=_run)


def _run(context: Context, chosen: argparse.Namespace) -> int:
    job = options.job_fields(chosen)
    named = [*chosen.named, *beside(job)]
    program = collect(chosen.program, named, chosen.program_arguments, chosen.folder)
    job |= {"root_path": chosen.to or default_root(program), "entry_file": program.entry}
    if chosen.program_arguments:
        job["app_params"] = chosen.program_arguments
    _told(context, program, job, chosen.no_check)
    context.market.credits()  # a login that has expired is told before anything is uploaded
    body = with_defaults(context.market, job)
    _upload(context, program, body["root_path"])
    show_quote(context.output, context.market.quote(**body), body, context.market.credits())
    if not confirmed("Run it?", chosen.yes):
        return exits.REFUSED
    made = _submitted(context, body)
    context.output.line(f"job      {made.id}")
    if chosen.detach:
        context.output.answer(made.record, lambda: None)
        return exits.DONE
    return _followed(context, made, chosen)


def _told(context: Context, program: Program, job: dict[str, Any], no_check: bool) -> None:
    """Tell what looks wrong. Raises SetupError where the job would fail."""
    findings = check(program, job)
    as_json = context.output.as_json
    for one in findings:
        word = context.output.colour("error" if one.fatal else "note", "red" if one.fatal else "yellow")
        context.output.line(f"{word}  {text.clean(one.place)}: {text.clean(one.words)}")
    if not no_check and (fatal := [one for one in findings if one.fatal]):
        told = "; ".join(f"{one.place}: {one.words}" for one in fatal) if as_json else "see above"
        raise SetupError(
            f"the program would fail ({told}); nothing was sent. --no-check runs it all the same"
        )
    if program.size > MOST_BYTES and not job.get("exclude"):
        whole, most = text.size(program.size), text.size(MOST_BYTES)
        words = f"{whole} are much: a market takes {most} beside a program; --exclude what Spark reads itself"
        context.output.line(f"note  {words}")


def _upload(context: Context, program: Program, root: str) -> None:
    live = Live(context.output)
    try:
        sent = upload(context.market, program, root, lambda path: live.show(f"uploading {path}"))
    finally:
        live.clear()
    others = [path for path in sorted(program.files) if path != program.entry]
    shown = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if len(others) > _NAMED else "")
    words = f"program  {program.entry}{' with ' if others else ''}{shown}, {text.size(program.size)}"
    context.output.line(text.clean(f"{words}: {text.counted(len(sent), 'file')} uploaded"))


def _submitted(context: Context, body: dict[str, Any]) -> Job:
    try:
        return context.market.submit(**body)
    except UnreachableError as error:
        if not error.sent:
            raise
        raise SetupError(f"{error}; whether the job was submitted is not known: see market jobs") from None


def _followed(context: Context, job: Job, chosen: argparse.Namespace) -> int:
    follower = Follower(context.output, job, logs=chosen.logs)
    code = follower.outcome()
    if not job.ended:
        return code
    if not context.output.as_json:
        follower.tell_end()
    results = fetched(job, chosen.results)
    words = f"results  {in_words(results)}"
    context.output.answer({**job.record, "results": results}, lambda: context.output.line(words))
    return code
