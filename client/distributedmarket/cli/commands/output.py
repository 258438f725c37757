"""`market logs`, `results`: what a job leaves."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from distributedmarket.cli import exits, find, options, text
from distributedmarket.cli.context import Context, confirmed
from distributedmarket.errors import SetupError
from distributedmarket.sdk import Job, models

_A_JOB = "its id, the last digits of it, or its name (default: the newest)"


def logs(parser: argparse.ArgumentParser) -> None:
    """Declare `market logs`."""
    parser.add_argument("job", nargs="?", default="", metavar="JOB", help=_A_JOB)
    parser.add_argument("-f", "--follow", action="store_true", help="go on as it grows, until the job ends")
    parser.add_argument(
        "--file", default="stdout", metavar="FILE", help="stdout, stderr, ... (default: stdout)"
    )
    parser.add_argument(
        "--role", default="driver", choices=("driver", "executor", "build"), help="whose (default: driver)"
    )
    parser.add_argument("--point", type=int, metavar="N", help="of a sweep")
    parser.add_argument("--tail", type=int, metavar="BYTES", help="the last bytes only")
    parser.add_argument("--list", action="store_true", help="which files there are")
    options.examples(
        parser, "market logs -f", "market logs 3f2a --file stderr --tail 10000", "market logs 3f2a --list"
    )
    parser.set_defaults(run=_logs)


def _logs(context: Context, chosen: argparse.Namespace) -> int:
    job = find.job(context.market, chosen.job)
    if chosen.list:
        return _list_logs(context, job)
    if chosen.tail is not None:
        if chosen.follow:
            raise SetupError("--tail and --follow do not go together")
        newest = job.newest_log(chosen.file, chosen.role, chosen.point)
        lines = iter([job.log_tail(newest, max(0, chosen.tail)).decode(errors="replace")] if newest else [])
    else:
        lines = job.logs(chosen.file, chosen.role, chosen.point, chosen.follow)
    if context.output.as_json:
        context.output.answer({"job_id": job.id, "text": "".join(lines)}, lambda: None)
        return exits.DONE
    shown = text.printed if context.output.is_terminal else str
    for line in lines:
        sys.stdout.write(shown(line))
        sys.stdout.flush()
    return exits.DONE


def _list_logs(context: Context, job: Job) -> int:
    files = job.log_files()
    rows = [
        (one["role"], one["file"], text.size(one["size"]), one["host"], one["container_id"]) for one in files
    ]
    headings = ("role", "file", ">size", "machine", "container")
    context.output.answer(
        {"files": files}, lambda: context.output.table(headings, rows, "no logs yet: the job has not run")
    )
    return exits.DONE


# --- results ----------------------------------------------------------------------------------------------


def results(parser: argparse.ArgumentParser) -> None:
    """Declare `market results`."""
    words = parser.add_subparsers(required=True, metavar="list|get|rm")
    options.examples(
        parser,
        "market results 3f2a",
        "market results get 3f2a",
        "market results get 3f2a 'model/*' --to model-of-monday",
        "market results rm 3f2a",
    )
    listed = words.add_parser("list", help="which files there are (also without this word)")
    listed.add_argument("job", nargs="?", default="", metavar="JOB", help=_A_JOB)
    listed.set_defaults(run=_list)
    fetched = words.add_parser("get", help="fetch them")
    fetched.add_argument("job", nargs="?", default="", metavar="JOB", help=_A_JOB)
    fetched.add_argument("paths", nargs="*", metavar="PATH", help="only these; * stands for anything")
    fetched.add_argument("--to", type=Path, metavar="FOLDER", help="default: ./results/JOB_ID")
    fetched.set_defaults(run=_get)
    deleted = words.add_parser("rm", help="delete what an ended job has left, to make room")
    deleted.add_argument("job", metavar="JOB", help="its id, the last digits of it, or its name")
    deleted.add_argument("--yes", action="store_true", help="do not ask")
    deleted.set_defaults(run=_remove)
    for leaf in (listed, fetched, deleted):
        options.common(leaf)


def _list(context: Context, chosen: argparse.Namespace) -> int:
    job = find.job(context.market, chosen.job)
    files = job.results()
    rows = [(one["path"], text.size(one["size"])) for one in files]
    nothing = "no results" if job.ended else "no results yet"
    context.output.answer({"files": files}, lambda: context.output.table(("file", ">size"), rows, nothing))
    return exits.DONE


def _get(context: Context, chosen: argparse.Namespace) -> int:
    found = fetched(find.job(context.market, chosen.job), chosen.to, chosen.paths)
    context.output.answer(found, lambda: context.output.line(f"results  {in_words(found)}"))
    return exits.DONE


def fetched(job: Job, folder: Path | None = None, patterns: Sequence[str] = ()) -> dict[str, Any]:
    """Fetch a job's results; return where they lie, which they are, and their bytes. Raises SetupError."""
    files: list[models.Result] = []

    def wanted(path: str) -> bool:
        return not patterns or any(path == word or fnmatchcase(path, word) for word in patterns)

    try:
        place = job.fetch(folder, wanted, files.append)
    except OSError as error:
        raise SetupError(f"the results cannot be stored: {error.filename}: {error.strerror}") from None
    return {
        "folder": str(place),
        "files": [one["path"] for one in files],
        "size": sum(one["size"] for one in files),
    }


def in_words(results: Mapping[str, Any]) -> str:
    """Return what was fetched, in words."""
    if not results["files"]:
        return "none"
    count = text.counted(len(results["files"]), "file")
    return f"{count}, {text.size(results['size'])}, in {text.clean(results['folder'])}/"


def _remove(context: Context, chosen: argparse.Namespace) -> int:
    job = find.job(context.market, chosen.job)
    name = f"{text.clean(job.record['job_name'])} ({text.short(job.id)})"
    if not confirmed(f"Delete the results of {name}?", chosen.yes):
        return exits.REFUSED
    job.delete_results()
    context.output.answer({"job_id": job.id}, lambda: context.output.line(f"deleted the results of {name}"))
    return exits.DONE
