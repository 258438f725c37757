"""Routes on jobs: submit, look, cancel, and what a job leaves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Annotated, Any

import anyio
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from market.credits import receipt as receipts
from market.jobs import points, store
from market.jobs.intake.cancel import cancel, hide, unhide
from market.jobs.intake.extend import extend
from market.jobs.intake.quote import quote
from market.jobs.intake.retry import retry
from market.jobs.intake.schemas import (
    CancellationSchema,
    ExtensionSchema,
    JobRequestSchema,
    RetrySchema,
)
from market.jobs.intake.submit import submit
from market.jobs.life import waiting
from market.jobs.output import log_reader, logs, results, tables, used
from market.jobs.output import progress as progresses
from market.kit import database
from market.kit.errors import BadInputError
from market.kit.paging import Page
from market.kit.vocabulary import ENDED, JOB_STATUSES, OPEN
from market.machines import supply
from market.people.member import Member
from market.web.api import query, routing, scopes, streams
from market.web.api.caller import Caller
from market.web.api.routing import FilePath, JobId, Json
from market.web.schemas import jobs as schemas

router = routing.router()

_BYTES = "application/octet-stream"
_LOOK_AGAIN_S = 0.5
_MOST_BYTES = 1 << 62

_DRY_RUN = query.Flag("dry_run", "answer 200 with the quote only, and write nothing")
_PAGING = query.Paging(*store.ORDER_BY)
_SCOPE = query.Choice("scope", "one's own jobs, or everybody's, for administrators", ("own", "all"))
_ANY = "any"
_STATUSES = {_ANY: (), "open": OPEN, "ended": ENDED, **{status: (status,) for status in JOB_STATUSES}}
_STATUS = query.Choice("status", "jobs with this status only, or all open, or all ended ones", [*_STATUSES])
_TYPE = query.Search("machine_type", "jobs on this machine type only", 32)
_SEARCH = query.Search("q", "jobs whose name, or whose program's path, has this in it", 100)
_SINCE = query.Whole("since", "jobs submitted from then on, epoch milliseconds", 0, _MOST_BYTES)
_BEFORE = query.Whole("before", "jobs submitted before then, epoch milliseconds", 0, _MOST_BYTES)
_HIDDEN = query.Flag("hidden", "hidden jobs instead: those that were taken off the list")
_PROJECT = query.Identity("project", "a project that one manages, by its id: all jobs that it pays")
_POINTS_FORMAT = query.Choice("format", "how the points are written", ("json", "csv"))
_RESULTS_FORMAT = query.Choice("format", "the list, or all files in one", ("json", "zip"))
_LOG_OFFSET = query.Whole("offset", "bytes to skip", 0, _MOST_BYTES, default=0)
_LOG_LENGTH = query.Whole("length", "bytes to return; by default all", 0, _MOST_BYTES)
_LOG_TAIL = query.Whole(
    "tail", "instead of both: the last bytes, this many; Market-Offset says from where", 0, _MOST_BYTES
)
_LOG_WAIT = query.Whole(
    "wait", "seconds to wait for something behind the offset while the job runs", 0, 30, default=0
)


@router.post(
    "/jobs",
    status_code=201,
    tags=["jobs"],
    openapi_extra=routing.described(
        takes=JobRequestSchema,
        gives=schemas.SubmittedSchema,
        refuses=(402, 413, 422, 429),
        parameters=(_DRY_RUN,),
        also={200: schemas.QuotedSchema},
        scope=scopes.SUBMIT,
    ),
)
def submit_job(request: Request, member: Caller, body: Json) -> Any:
    """Submit a job: hold what it may cost, and run it as soon as there is room."""
    if _DRY_RUN.read(request):
        answer = routing.dumped(schemas.QuotedSchema, quote(member, body))
        return JSONResponse(answer, status_code=200)
    answer = submit(member, body, routing.answering(request, schemas.SubmittedSchema, 201))
    return routing.dumped(schemas.SubmittedSchema, answer)


@router.get(
    "/jobs",
    tags=["jobs"],
    openapi_extra=routing.described(
        gives=schemas.JobSchema,
        plural="jobs",
        refuses=(403, 404),
        parameters=(_SCOPE, _PROJECT, _STATUS, _TYPE, _SEARCH, _SINCE, _BEFORE, _HIDDEN, *_PAGING.parameters),
    ),
)
def list_jobs(request: Request, member: Caller, page: Annotated[Page, _PAGING.page]) -> dict[str, Any]:
    """List one's own jobs, those that a project pays which one manages, or everybody's.

    All conditions hold together.
    """
    wanted = store.Wanted(
        statuses=_STATUSES[_STATUS.read(request)],
        machine_type=_TYPE.read(request),
        search=_SEARCH.read(request),
        since_ms=_SINCE.read(request),
        before_ms=_BEFORE.read(request),
        hidden=_HIDDEN.read(request),
    )
    everybody, project_id = _SCOPE.read(request) == "all", _PROJECT.read(request)
    if everybody and project_id:
        raise BadInputError({"project": ["stands alone: without scope"]})
    if project_id:
        listing = store.list_project_jobs(member, project_id, page, wanted)
    else:
        listing = (store.list_all_jobs if everybody else store.list_jobs)(member, page, wanted)
    shown = [routing.dumped(schemas.JobSchema, job) for job in store.all_to_wire(listing.rows)]
    return {"jobs": shown, "total": listing.total}


@router.get(
    "/jobs/{job_id}",
    tags=["jobs"],
    openapi_extra=routing.described(gives=schemas.JobDetailSchema, refuses=(404,)),
)
def get_job(member: Caller, job_id: JobId) -> dict[str, Any]:
    """Return a job, also to who manages the project that pays; why it waits, or what an ended one used."""
    job, _ = store.overseen_job(member, job_id)
    with database.transaction() as cursor:
        told_use = used.shown(cursor, job)
    told = {**store.to_wire(job), "waiting": waiting.why(job, supply.of), "used": told_use}
    return routing.dumped(schemas.JobDetailSchema, told)


@router.post(
    "/jobs/{job_id}/cancel",
    status_code=202,
    tags=["jobs"],
    openapi_extra=routing.described(
        CancellationSchema,
        schemas.JobStateSchema,
        refuses=(404, 413, 422),
        scope=scopes.SUBMIT,
        body_required=False,
    ),
)
def cancel_job(
    member: Caller, job_id: JobId, body: Annotated[dict[str, Any], routing.body(CancellationSchema)]
) -> dict[str, Any]:
    """Stop a job in any status; of an ended one nothing changes. Who stops another's says why."""
    return routing.dumped(schemas.JobStateSchema, cancel(member, job_id, **body))


@router.post(
    "/jobs/{job_id}/extend",
    tags=["jobs"],
    openapi_extra=routing.described(
        takes=ExtensionSchema, gives=schemas.JobSchema, refuses=(402, 404, 409, 413, 422), scope=scopes.SUBMIT
    ),
)
def extend_job(member: Caller, job_id: JobId, body: Json) -> dict[str, Any]:
    """Let an open job cost more or run longer, at its locked rate."""
    return routing.dumped(schemas.JobSchema, extend(member, job_id, body))


@router.post(
    "/jobs/{job_id}/retry",
    status_code=201,
    tags=["jobs"],
    openapi_extra=routing.described(
        takes=RetrySchema,
        gives=schemas.SubmittedSchema,
        refuses=(402, 404, 409, 413, 422, 429),
        scope=scopes.SUBMIT,
    ),
)
def retry_job(request: Request, member: Caller, job_id: JobId, body: Json) -> dict[str, Any]:
    """Submit an ended job once more as a new one; of a sweep the points that did not succeed."""
    answer = retry(member, job_id, body, routing.answering(request, schemas.SubmittedSchema, 201))
    return routing.dumped(schemas.SubmittedSchema, answer)


@router.get(
    "/jobs/{job_id}/points",
    tags=["jobs"],
    openapi_extra=routing.described(
        gives=schemas.PointListSchema,
        refuses=(404, 422),
        parameters=(_POINTS_FORMAT, *query.PART),
        media=("text/csv",),
    ),
)
def list_points(request: Request, member: Caller, job_id: JobId) -> Any:
    """Return the points of a sweep with their parameters and what they reported; of other jobs none."""
    rows = points.of_sweep(_visible(member, job_id).job_id)
    if _POINTS_FORMAT.read(request) == "csv":
        return Response(points.as_csv(rows), media_type="text/csv; charset=utf-8")
    shown = routing.part(request, "points", [points.to_wire(point) for point in rows])
    return routing.dumped(schemas.PointListSchema, shown)


@router.delete(
    "/jobs/{job_id}",
    status_code=204,
    tags=["jobs"],
    openapi_extra=routing.described(refuses=(404, 409), scope=scopes.SUBMIT),
)
def hide_job(member: Caller, job_id: JobId) -> Response:
    """Take an ended job off one's list; its receipt stays."""
    hide(member, job_id)
    return Response(status_code=204)


@router.post(
    "/jobs/{job_id}/unhide",
    status_code=204,
    tags=["jobs"],
    openapi_extra=routing.described(refuses=(404,), scope=scopes.SUBMIT),
)
def unhide_job(member: Caller, job_id: JobId) -> Response:
    """Put a hidden job onto one's list again."""
    unhide(member, job_id)
    return Response(status_code=204)


@router.get(
    "/jobs/{job_id}/receipt",
    tags=["jobs"],
    openapi_extra=routing.described(gives=schemas.ReceiptSchema, refuses=(404,)),
)
def get_receipt(member: Caller, job_id: JobId) -> dict[str, Any]:
    """Return what a job cost so far, by container, also to who manages the project that pays."""
    job, _ = store.overseen_job(member, job_id)
    with database.transaction() as cursor:
        receipt = {**receipts.receipt(cursor, job_id), "used": used.shown(cursor, job)}
    return routing.dumped(schemas.ReceiptSchema, receipt)


@router.get(
    "/jobs/{job_id}/progress",
    tags=["jobs"],
    openapi_extra=routing.described(gives=schemas.ProgressSchema, refuses=(404,)),
)
def get_progress(member: Caller, job_id: JobId) -> dict[str, Any]:
    """Return how far a running job is."""
    return routing.dumped(schemas.ProgressSchema, progresses.progress(_visible(member, job_id)))


@router.get(
    "/jobs/{job_id}/results",
    tags=["jobs"],
    openapi_extra=routing.described(
        gives=schemas.ResultsSchema,
        refuses=(404, 422),
        parameters=(_RESULTS_FORMAT, *query.PART),
        media=(_BYTES,),
    ),
)
async def list_results(request: Request, member: Caller, job_id: JobId) -> Response:
    """List a job's result files; before its end, what is there by now."""
    packed = _RESULTS_FORMAT.read(request) == "zip"

    def answer(wanted: Callable[[], bool]) -> Response:
        job = _visible(member, job_id)
        if packed:
            return streams.download(results.zip(job, wanted), f"{job.job_name}.zip")
        shown = routing.part(request, "files", results.list_files(job, wanted))
        return JSONResponse(routing.dumped(schemas.ResultsSchema, shown))

    return await streams.while_wanted(request, answer)


@router.delete(
    "/jobs/{job_id}/results",
    status_code=204,
    tags=["jobs"],
    openapi_extra=routing.described(refuses=(404, 409), scope=scopes.SUBMIT),
)
def delete_results(member: Caller, job_id: JobId) -> Response:
    """Delete what an ended job has left in its owner's home; the list of the files stays, and its logs do."""
    results.delete(store.own_job(member, job_id))
    return Response(status_code=204)


@router.get(
    "/jobs/{job_id}/results/{path:path}",
    tags=["jobs"],
    openapi_extra=routing.described(gives=_BYTES, refuses=(404, 422), ranges=True),
)
def get_result(request: Request, member: Caller, job_id: JobId, path: FilePath) -> Response:
    """Return a result file's bytes, or the range of them that is asked for."""
    return streams.file(request, results.open_file(_visible(member, job_id), path), path)


@router.get(
    "/jobs/{job_id}/tables/{path:path}",
    tags=["jobs"],
    openapi_extra=routing.described(gives=schemas.TableSchema, refuses=(404, 413, 422)),
)
def get_table(member: Caller, job_id: JobId, path: FilePath) -> dict[str, Any]:
    """Return the first rows of a result file that is a table: CSV, TSV or Parquet."""
    return routing.dumped(schemas.TableSchema, tables.first_rows(_visible(member, job_id), path))


@router.get(
    "/jobs/{job_id}/logs",
    tags=["jobs"],
    openapi_extra=routing.described(gives=schemas.LogFilesSchema, refuses=(404,), parameters=query.PART),
)
def list_logs(request: Request, member: Caller, job_id: JobId) -> dict[str, Any]:
    """List a job's log files."""
    files = logs.list_files(_visible(member, job_id))
    return routing.dumped(schemas.LogFilesSchema, routing.part(request, "files", files))


@router.get(
    "/jobs/{job_id}/logs/{container_id}/{file}",
    tags=["jobs"],
    openapi_extra=routing.described(
        gives="text/plain",
        refuses=(404, 422),
        parameters=(_LOG_OFFSET, _LOG_LENGTH, _LOG_TAIL, _LOG_WAIT),
    ),
)
async def get_log(request: Request, member: Caller, job_id: JobId, container_id: str, file: str) -> Response:
    """Return a log file's bytes from an offset, or its last ones; past its end, nothing."""
    offset, length, tail = _LOG_OFFSET.read(request) or 0, _LOG_LENGTH.read(request), _LOG_TAIL.read(request)
    until = anyio.current_time() + (_LOG_WAIT.read(request) or 0)
    if tail is not None and {_LOG_OFFSET.name, _LOG_LENGTH.name} & set(request.query_params):
        raise BadInputError({"tail": ["stands alone: without offset and length"]})
    while True:
        job = await run_in_threadpool(_visible, member, job_id)
        if tail is not None:
            offset, chunks = await run_in_threadpool(log_reader.tail, job, container_id, file, tail)
            return streams.text(chunks, offset)
        chunks = await run_in_threadpool(log_reader.read, job, container_id, file, offset, length)
        first = await run_in_threadpool(next, chunks, b"")
        if first or job.ended or anyio.current_time() >= until:
            return streams.text(chain((first,), chunks), offset)
        await anyio.sleep(_LOOK_AGAIN_S)


def _visible(member: Member, job_id: str) -> store.Job:
    return store.visible_job(member, job_id)


def _shown(job: store.Job) -> dict[str, Any]:
    return routing.dumped(schemas.JobSchema, store.to_wire(job))
