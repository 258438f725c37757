"""Bodies of the routes on jobs. The fields of a job are defined once, in jobs/spec.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, pre_load, validate, validates_schema

from market.hadoop import allocation
from market.jobs import fields as kinds
from market.jobs import grid, spec
from market.jobs.intake import record
from market.kit import settings
from market.kit.wire import Input, positive_credits, reason_field

_RequestedSpec: Any = Input.from_dict(kinds.of_request(spec.wires()))


class CancellationSchema(Input):
    """Body of `POST /jobs/{job_id}/cancel`, which needs none for one's own job."""

    reason = reason_field(
        required=False, description="its owner reads it; whoever stops another's job must give one"
    )


class JobRequestSchema(_RequestedSpec):
    """Body of `POST /jobs`. Paths are relative: root_path to the home, the others to root_path.

    It may be a job's own record, as `GET /jobs/{job_id}` answers it: the same job is submitted again then.
    """

    job_name = kinds.text(100)

    @pre_load
    def _of_record(self, data: Any, **kwargs: Any) -> Any:
        return record.as_request(data) if isinstance(data, Mapping) else data

    @validates_schema
    def _sweep(self, data: dict[str, Any], **kwargs: Any) -> None:
        if data["grid"] is None:
            alone = {name: ["is for a sweep: give a grid, too"] for name in record.OF_SWEEPS if name in data}
            if alone:
                raise ValidationError(alone)
            return
        if errors := grid.problems(data["grid"], data["app_params"]):
            raise ValidationError(errors, "grid")
        longest = {name: max(map(grid.text, values), key=len) for name, values in data["grid"].items()}
        kinds.check_params([grid.filled(item, longest) for item in data["app_params"]])
        most = settings.load().jobs.max_points
        if (points := grid.size(data["grid"])) > most:
            raise ValidationError(f"has {points} points; at most {most} are allowed", "grid")

    @validates_schema
    def _size(self, data: dict[str, Any], **kwargs: Any) -> None:
        loaded = settings.load()
        errors: dict[str, Any] = {}
        if data["machine_type"] not in loaded.types:
            errors["machine_type"] = [f"there is no such machine type; there are: {', '.join(loaded.types)}"]
        if data["core_num"] % data["executor_cores"]:
            errors["executor_cores"] = [f"must divide the {data['core_num']} cores evenly"]
        if (beside := allocation.off_heap_mib(data["spark_conf"])) > 0:
            heap, most = data.get("executor_memory", loaded.jobs.executor_memory_mib), allocation.most_mib()
            if allocation.container_mib(heap, beside) > most:
                problem = (
                    f"is too much beside executor_memory: all of it may have {most} MiB for each executor"
                )
                errors["spark_conf"] = {allocation.OFF_HEAP_SIZE: [problem]}
        if errors:
            raise ValidationError(errors)


class ExtensionSchema(Input):
    """Body of `POST /jobs/{job_id}/extend`: both are absolute, at the job's locked rate."""

    max_credits = fields.String(validate=positive_credits)
    max_duration = kinds.whole(1, spec.MAX_DURATION_S, "seconds")

    @validates_schema
    def _something(self, data: dict[str, Any], **kwargs: Any) -> None:
        if not data:
            raise ValidationError("max_credits or max_duration is needed", "max_credits")


class RetrySchema(Input):
    """Body of `POST /jobs/{job_id}/retry`: which points of a sweep; without it all that did not succeed."""

    points = fields.List(kinds.whole(0, 1 << 20), validate=validate.Length(min=1))
