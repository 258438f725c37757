"""Routes on jobs: submit, look, cancel, and what a job leaves."""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Any

import anyio
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from market.credits import receipt as receipts
from market.jobs import points, store
from market.jobs.intake.cancel import cancel, hide
from market.jobs.intake.extend import extend
from market.jobs.intake.quote import quote
from market.jobs.intake.retry import retry
from market.jobs.intake.schemas import ExtensionSchema, JobRequestSchema, RetrySchema
from market.jobs.intake.submit import submit
from market.jobs.output import log_reader, logs, results
from market.jobs.output import progress as progresses
from market.kit import database
from market.kit.errors import BadInputError
from market.kit.paging import Page
from market.people.member import Member
from market.web.api import routing, streams
from market.web.api.caller import Caller
from market.web.api.routing import FilePath, JobId, Json
from market.web.schemas import jobs as schemas

router = routing.router()

_BYTES = "application/octet-stream"
_MAX_OFFSET = 1 << 62
_MAX_WAIT_S = 30
_LOOK_AGAIN_S = 0.5


@router.post(
    "/jobs",
    status_code=201,
    tags=["jobs"],
    openapi_extra=routing.described(
        takes=JobRequestSchema,
        gives=schemas.SubmittedSchema,
        refuses=(402, 413, 422, 429),
        query={"dry_run": "true: answers 200 with the quote only, and nothing is written"},
    ),
)
def submit_job(request: Request, member: Caller, body: Json) -> Any:
    """Submit a job: hold what it may cost, and run it as soon as there is room."""
    dry = routing.flag(request, "dry_run")
    if dry:
        answer = routing.dumped(schemas.QuotedSchema, quote(member, body))
        return JSONResponse(answer, status_code=200)
    answer = submit(member, body, routing.answering(request, schemas.SubmittedSchema, 201))
    return routing.dumped(schemas.SubmittedSchema, answer)


@router.get("/jobs", tags=["jobs"], openapi_extra=routing.described(gives=schemas.JobSchema, plural="jobs"))
def list_jobs(
    member: Caller,
    page: Annotated[Page, routing.page(*store.ORDER_BY)],
) -> dict[str, Any]:
    """List one's own jobs."""
    listing = store.list_jobs(member, page)
    shown = [routing.dumped(schemas.JobSchema, job) for job in store.all_to_wire(listing.rows)]
    return {"jobs": shown, "total": listing.total}


@router.get(
    "/jobs/{job_id}", tags=["jobs"], openapi_extra=routing.described(gives=schemas.JobSchema, refuses=(404,))
)
def get_job(member: Caller, job_id: JobId) -> dict[str, Any]:
    """Return a job."""
    return _shown(_visible(member, job_id))


@router.post(
    "/jobs/{job_id}/cancel",
    status_code=202,
    tags=["jobs"],
    openapi_extra=routing.described(gives=schemas.JobStatusSchema, refuses=(404,)),
)
def cancel_job(member: Caller, job_id: JobId) -> dict[str, Any]:
    """Stop a job in any status; of an ended one nothing changes."""
    return routing.dumped(schemas.JobStatusSchema, cancel(member, job_id))


@router.post(
    "/jobs/{job_id}/extend",
    tags=["jobs"],
    openapi_extra=routing.described(
        takes=ExtensionSchema, gives=schemas.JobSchema, refuses=(402, 404, 409, 413, 422)
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
        takes=RetrySchema, gives=schemas.SubmittedSchema, refuses=(402, 404, 409, 413, 422, 429)
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
        gives=schemas.PointsSchema,
        refuses=(404, 422),
        query={"format": "json (default) or csv"},
        whole=True,
    ),
)
def list_points(request: Request, member: Caller, job_id: JobId) -> Any:
    """Return the points of a sweep with their parameters and what they reported; of other jobs none."""
    rows = points.of_sweep(_visible(member, job_id).job_id)
    if routing.choice(request, "format", ("json", "csv")) == "csv":
        return Response(points.as_csv(rows), media_type="text/csv; charset=utf-8")
    shown = routing.part(request, "points", [points.to_wire(point) for point in rows])
    return routing.dumped(schemas.PointsSchema, shown)


@router.delete(
    "/jobs/{job_id}",
    status_code=204,
    tags=["jobs"],
    openapi_extra=routing.described(refuses=(404, 409)),
)
def hide_job(member: Caller, job_id: JobId) -> Response:
    """Take an ended job off one's list; its receipt stays."""
    hide(member, job_id)
    return Response(status_code=204)


@router.get(
    "/jobs/{job_id}/receipt",
    tags=["jobs"],
    openapi_extra=routing.described(gives=schemas.ReceiptSchema, refuses=(404,)),
)
def get_receipt(member: Caller, job_id: JobId) -> dict[str, Any]:
    """Return what a job cost so far, by container."""
    _visible(member, job_id)
    with database.transaction() as cursor:
        return routing.dumped(schemas.ReceiptSchema, receipts.receipt(cursor, job_id))


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
        query={"format": "json, or zip for all files in one"},
        whole=True,
    ),
)
def list_results(request: Request, member: Caller, job_id: JobId) -> Any:
    """List a job's result files; before its end, what is there by now."""
    job = _visible(member, job_id)
    if routing.choice(request, "format", ("json", "zip")) == "zip":
        return streams.download(results.zip(job), f"{job.job_name}.zip")
    return routing.dumped(schemas.ResultsSchema, routing.part(request, "files", results.list_files(job)))


@router.get(
    "/jobs/{job_id}/results/{path:path}",
    tags=["jobs"],
    openapi_extra=routing.described(gives=_BYTES, refuses=(404, 422)),
)
def get_result(member: Caller, job_id: JobId, path: FilePath) -> Response:
    """Return a result file's bytes."""
    status, chunks = results.open_file(_visible(member, job_id), path)
    return streams.download(chunks, path, status.size)


@router.get(
    "/jobs/{job_id}/logs",
    tags=["jobs"],
    openapi_extra=routing.described(gives=schemas.LogFilesSchema, refuses=(404, 422), whole=True),
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
        query={
            "offset": "bytes to skip",
            "length": "bytes to return",
            "tail": "instead of both: the last bytes, this many; the header Market-Offset says from where",
            "wait": "seconds, at most 30, to wait for something behind the offset while the job runs",
        },
    ),
)
async def get_log(request: Request, member: Caller, job_id: JobId, container_id: str, file: str) -> Response:
    """Return a log file's bytes from an offset, or its last ones; past its end, nothing."""
    offset = routing.number(request, "offset", 0, 0, _MAX_OFFSET) or 0
    length = routing.number(request, "length", None, 0, _MAX_OFFSET)
    tail = routing.number(request, "tail", None, 0, _MAX_OFFSET)
    until = anyio.current_time() + (routing.number(request, "wait", 0, 0, _MAX_WAIT_S) or 0)
    if tail is not None and {"offset", "length"} & set(request.query_params):
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
