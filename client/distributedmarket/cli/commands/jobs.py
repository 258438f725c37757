"""`market submit`, `quote`, `jobs`, `job`, `cancel`, `extend`, `retry`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from distributedmarket.cli import exits, find, options, text
from distributedmarket.cli.context import Context, confirmed
from distributedmarket.cli.follow import Follower, show_quote
from distributedmarket.errors import SetupError
from distributedmarket.sdk import Job
from distributedmarket.sdk.defaults import with_defaults

_A_JOB = "its id, the last digits of it, or its name (default: the newest)"


def _add_job(parser: argparse.ArgumentParser, help: str = _A_JOB) -> None:
    parser.add_argument("job", nargs="?", default="", metavar="JOB", help=help)


# --- submit and quote -------------------------------------------------------------------------------------


def submit(parser: argparse.ArgumentParser) -> None:
    """Declare `market submit`."""
    _add_request(parser)
    parser.add_argument("--wait", action="store_true", help="follow it until it has ended")
    options.examples(
        parser,
        "market submit digits --cores 2 -- --iterations 5 --out {output}",
        "market submit --from job.json --wait",
        "market submit digits --grid iterations=1,5,20 -- --iterations {iterations}",
    )
    parser.set_defaults(run=_submit)


def quote(parser: argparse.ArgumentParser) -> None:
    """Declare `market quote`."""
    _add_request(parser)
    options.examples(
        parser, "market quote digits --cores 4 --max-duration 2h", "market quote --from job.json"
    )
    parser.set_defaults(run=_quote)


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "root_path", nargs="?", metavar="FOLDER", help="folder in your home of the market: market files"
    )
    parser.add_argument("--entry-file", metavar="FILE", help="the program in it (default: main.py)")
    parser.add_argument("--from", dest="body", type=Path, metavar="FILE", help="fields of the job, as JSON")
    parser.add_argument("arguments", nargs="*", metavar="-- ARGUMENT", help="what the program is given")
    options.add_job_fields(parser)


def _request(context: Context, chosen: argparse.Namespace) -> dict[str, Any]:
    body = options.read_body(chosen.body) if chosen.body else {}
    body |= options.job_fields(chosen)
    for field, given in (
        ("root_path", chosen.root_path),
        ("entry_file", chosen.entry_file),
        ("app_params", chosen.program_arguments),
    ):
        if given:
            body[field] = given
    if "root_path" not in body:
        raise SetupError("which FOLDER of your home holds the program? (market run uploads one from here)")
    return with_defaults(context.market, body)


def _submit(context: Context, chosen: argparse.Namespace) -> int:
    job = context.market.submit(**_request(context, chosen))
    return _begun(context, job, chosen.wait)


def _begun(context: Context, job: Job, wait: bool) -> int:
    """Say that a job was submitted; with `wait` follow it to its end."""
    if wait:
        return Follower(context.output, job).follow()
    context.output.answer(job.record, lambda: context.output.line(f"job {job.id} submitted"))
    return exits.DONE


def _quote(context: Context, chosen: argparse.Namespace) -> int:
    body = _request(context, chosen)
    found = context.market.quote(**body)
    context.output.answer(found, lambda: show_quote(context.output, found, body, context.market.credits()))
    return exits.DONE


# --- look -------------------------------------------------------------------------------------------------


def jobs(parser: argparse.ArgumentParser) -> None:
    """Declare `market jobs`."""
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N", help="how many, newest first (default: 20)"
    )
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument(
        "--project",
        metavar="PROJECT",
        help="those of all its members that a project pays, by its name or id; for who manages it",
    )
    options.examples(parser, "market jobs", "market jobs --all --json", "market jobs --project digits")
    parser.set_defaults(run=_jobs)


def _jobs(context: Context, chosen: argparse.Namespace) -> int:
    market, of_project = context.market, bool(chosen.project)
    project_id = find.project_id(market, chosen.project) if of_project else None
    found = [job.record for job in market.jobs(None if chosen.all else max(1, chosen.limit), project_id)]
    rows = [
        (
            # Another's job is found by its whole id alone.
            *((job["job_id"], job.get("owner") or "") if of_project else (text.short(job["job_id"]),)),
            job["job_name"],
            job["status"],
            text.at(job.get("added_time")),
            text.of_ms(job.get("duration")),
            text.credits(job.get("used_credit")),
        )
        for job in found
    ]
    headings = ("job", *(("of",) if of_project else ()), "name", "status", "submitted", ">ran", ">credits")
    nothing = "no jobs yet: market run PROGRAM begins one"
    if of_project:
        nothing = "this project pays no jobs yet: market run --project PROJECT PROGRAM begins one"
    context.output.answer({"jobs": found}, lambda: context.output.table(headings, rows, nothing))
    return exits.DONE


def job(parser: argparse.ArgumentParser) -> None:
    """Declare `market job`."""
    _add_job(parser)
    parser.add_argument("--wait", action="store_true", help="follow it until it has ended")
    options.examples(parser, "market job", "market job 3f2a", "market job digits --wait")
    parser.set_defaults(run=_job)


def _job(context: Context, chosen: argparse.Namespace) -> int:
    found = find.job(context.market, chosen.job)
    if chosen.wait:
        return Follower(context.output, found).follow()
    context.output.answer(found.record, lambda: context.output.figures(_figures(found)))
    return exits.DONE


def _figures(found: Job) -> list[tuple[str, str]]:
    record = found.record
    points = ", ".join(f"{number} {status}" for status, number in (record.get("points") or {}).items())
    cores, kind = record.get("core_num") or 0, record.get("machine_type")
    return [
        ("job", found.id),
        ("name", record["job_name"]),
        ("status", found.status),
        ("waits", (record.get("waiting") or {}).get("sentence", "")),
        ("reason", record.get("reason") or ""),
        ("warning", record.get("warning") or ""),
        ("points", points),
        ("program", f"{record.get('entry_file')} in {record.get('root_path')}"),
        ("arguments", " ".join(record.get("app_params") or [])),
        ("size", f"{text.counted(cores, 'executor core')} on {kind}"),
        ("submitted", text.at(record.get("added_time"))),
        ("started", text.at(record.get("start_time"))),
        ("ended", text.at(record.get("end_time"))),
        ("ran", text.of_ms(record.get("duration"))),
        ("cost", f"{text.credits(record.get('used_credit'))} of at most {text.credits(record.get('hold'))}"),
        *text.used(record.get("used")),
        ("paid by", f"project {record['project']}" if record.get("project") else ""),
        ("note", record.get("job_note") or ""),
    ]


# --- change -----------------------------------------------------------------------------------------------


def cancel(parser: argparse.ArgumentParser) -> None:
    """Declare `market cancel`."""
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="its id, the last digits of it, or its name")
    parser.add_argument(
        "--reason", default="", metavar="TEXT", help="why; another's job needs one, and its owner reads it"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options.examples(
        parser,
        "market cancel 3f2a",
        "market cancel 3f2a 77b0 --yes",
        "market cancel 0d2f...THE_WHOLE_ID --reason 'the budget is for the paper'",
    )
    parser.set_defaults(run=_cancel)


def _cancel(context: Context, chosen: argparse.Namespace) -> int:
    found = [find.job(context.market, word) for word in chosen.jobs]
    names = ", ".join(f"{text.clean(job.record['job_name'])} ({text.short(job.id)})" for job in found)
    if not confirmed(f"Cancel {names}?", chosen.yes):
        return exits.REFUSED
    records = [job.cancel(chosen.reason).record for job in found]

    def show() -> None:
        for job in found:
            context.output.line(f"job {job.id} {job.status}")

    context.output.answer({"jobs": records}, show)
    return exits.DONE


def extend(parser: argparse.ArgumentParser) -> None:
    """Declare `market extend`."""
    _add_job(parser)
    parser.add_argument("--max-credits", metavar="CREDITS", help="the most that it may cost, in all")
    parser.add_argument(
        "--max-duration", type=options.seconds, metavar="TIME", help="how long it may run, in all"
    )
    options.examples(parser, "market extend 3f2a --max-duration 4h", "market extend 3f2a --max-credits 5")
    parser.set_defaults(run=_extend)


def _extend(context: Context, chosen: argparse.Namespace) -> int:
    limits = {"max_credits": chosen.max_credits, "max_duration": chosen.max_duration}
    given = {name: value for name, value in limits.items() if value is not None}
    if not given:
        raise SetupError("extend it to what? Give --max-credits or --max-duration")
    found = find.job(context.market, chosen.job).extend(**given)
    most, long = text.credits(found.record.get("hold")), text.duration(found.record.get("max_duration"))
    words = f"job {found.id} may cost {most} credits and run for {long}"
    context.output.answer(found.record, lambda: context.output.line(words))
    return exits.DONE


def retry(parser: argparse.ArgumentParser) -> None:
    """Declare `market retry`."""
    _add_job(parser)
    parser.add_argument("--points", metavar="N,N", help="of a sweep (default: those that did not succeed)")
    parser.add_argument("--wait", action="store_true", help="follow it until it has ended")
    options.examples(parser, "market retry 3f2a --wait", "market retry sweep --points 3,7")
    parser.set_defaults(run=_retry)


def _retry(context: Context, chosen: argparse.Namespace) -> int:
    try:
        points = [int(word) for word in chosen.points.split(",")] if chosen.points else None
    except ValueError:
        raise SetupError(f"--points {chosen.points}: write numbers, as 3,7") from None
    return _begun(context, find.job(context.market, chosen.job).retry(points), chosen.wait)
