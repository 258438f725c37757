"""A job's own record, sent back as a request: what the market says of a job beside what was submitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What `GET /jobs/{job_id}` answers and no request can ask for.
ANSWERED = frozenset(
    {
        *("job_id", "user_id", "status", "reason_code", "reason", "warning", "waiting", "used", "points"),
        "owner",
        *("added_time", "start_time", "end_time", "duration"),
        *("rate", "hold", "used_credit", "cost", "cost_final", "hidden", "application_id", "dag_id"),
    }
)
OF_SWEEPS = ("max_parallel", "point_retries")  # a record of any job names them


def as_request(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a body asks for: of a job's record, which has its `job_id`, only what was submitted."""
    if "job_id" not in body:
        return body
    dropped = ANSWERED | (set(OF_SWEEPS) if body.get("grid") is None else set())
    return {name: value for name, value in body.items() if name not in dropped}
