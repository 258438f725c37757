"""The body of `POST /jobs` as a specification: read, with defaults where it is silent, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market.hadoop import paths
from market.jobs import folder
from market.jobs.intake import packages, program
from market.jobs.intake.schemas import JobRequestSchema
from market.jobs.spec import JobSpec
from market.kit.errors import BadInputError
from market.kit.money import parse_credits
from market.kit.wire import loaded
from market.people import secrets
from market.people.member import Member


def read(member: Member, body: Mapping[str, Any]) -> tuple[JobSpec, str]:
    """Return the job that a body asks for, and the job's name. Raises BadInputError."""
    request = loaded(JobRequestSchema(), dict(body))
    request["libs"] = program.libraries(member.username, request)
    entry_file = program.entry_file(member.username, request)
    request["requirements"] = packages.asked(member.username, request, entry_file)
    spec = JobSpec.of_request(request, entry_file)
    _check_main_class(spec)
    _check_credits(spec)
    check_surroundings(member, spec)
    spec = packages.looked_up(spec)
    return spec, request.get("job_name") or _stem(entry_file)


def check_surroundings(member: Member, spec: JobSpec) -> None:
    """Check what goes along with a program: the files beside it, its secrets. Raises BadInputError."""
    folder.beside(member.username, spec)
    if both := sorted(set(spec.env) & set(spec.secrets)):
        raise BadInputError({"secrets": [f"{both[0]} stands in env as well; one of the two must go."]})
    if errors := secrets.problems(member.user_id, spec.secrets):
        raise BadInputError({"secrets": errors})


def _check_main_class(spec: JobSpec) -> None:
    if spec.main_class and not spec.is_jar:
        raise BadInputError({"main_class": ["is only for a .jar; a Python program starts at its top"]})


def _check_credits(spec: JobSpec) -> None:
    extend_to, most = (parse_credits(text or "0") for text in (spec.auto_extend_to, spec.max_credits))
    if spec.auto_extend_to and extend_to < most:
        raise BadInputError({"auto_extend_to": ["may not be less than max_credits"]})


def _stem(entry_file: str) -> str:
    return paths.base(entry_file).rsplit(".", 1)[0][:100]
