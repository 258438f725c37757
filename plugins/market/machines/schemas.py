"""What people and agents send about machines."""

from __future__ import annotations

import ipaddress
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from market.kit.settings import load
from market.kit.wire import Input
from market.machines import addresses, hours
from market.machines.release import AgentRelease, Release

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_MIN_PERIOD_S = 60
_PORT = validate.Range(1, 65535)
_POSITIVE = validate.Range(1, 2**31 - 1)


def _address(text: str) -> None:
    """Check the address of one host. Machines are known to YARN by it, and YARN takes IPv4 only."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise ValidationError("must be an IPv4 address, like 10.8.0.7") from None
    if not addresses.is_host(address):
        raise ValidationError("must be the address of one host")


def _hours(text: str) -> None:
    try:
        hours.parse(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _zone(text: str) -> None:
    try:
        hours.zone(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def whole(**options: object) -> fields.Integer:
    """Return a field for a whole number; a string or a fraction is refused, not rounded."""
    return fields.Integer(strict=True, **options)  # type: ignore[arg-type]


class MachineRequestSchema(Input):
    """Body of `POST /machines`: what is lent, of which type, for how long."""

    core_count = whole(required=True)
    memory_size = whole(required=True, metadata={"description": "MiB"})
    time_period = whole(required=True, metadata={"description": "seconds"})
    machine_type = fields.String(required=True)
    ip_address = fields.String(
        validate=_address, metadata={"description": "by default the server chooses: the caller's address"}
    )
    service_port = whole(validate=_PORT, metadata={"description": "the NodeManager's own port"})
    name = fields.String(
        validate=validate.Regexp(
            f"^{_NAME}\\Z", error="must be up to 64 letters, digits, '.', '_' and '-', with no sign first"
        ),
        metadata={"description": "what others see instead of an address"},
    )
    hours = fields.String(
        validate=_hours, metadata={"description": "of the day, as 22:00-06:00; by default all of them"}
    )
    time_zone = fields.String(validate=_zone, metadata={"description": "that the hours are meant in"})

    @validates_schema(skip_on_field_errors=False)
    def _within_the_limits(self, data: dict[str, object], **_: object) -> None:
        loaded = load()
        wrong = _out_of_range(data)
        given_type = data.get("machine_type")
        if isinstance(given_type, str) and given_type not in loaded.types:
            wrong["machine_type"] = [f"there is no such machine type; there are: {', '.join(loaded.types)}"]
        if wrong:
            raise ValidationError(wrong)


class JoinRequestSchema(Input):
    """Body of `POST /machines/{machine_id}/join`: the agent is about to start the NodeManager."""

    token = fields.String(required=True, validate=validate.Length(1, 256))
    service_port = whole(validate=_PORT, metadata={"description": "the port that the NodeManager will use"})
    host_cores = whole(
        validate=_POSITIVE, metadata={"description": "cores of the host, up to which it may be resized"}
    )
    host_memory = whole(validate=_POSITIVE, metadata={"description": "MiB of the host"})


class AgentReleaseSchema(Input):
    """Body of `POST /handshake`: what an agent is, and what its machine runs jobs with."""

    agent_version = fields.String(required=True, validate=validate.Length(1, 40))
    api = whole(required=True, validate=_POSITIVE, metadata={"description": "version of this interface"})
    runtime = fields.String(
        required=True,
        validate=validate.Regexp(r"^[0-9a-f]{64}\Z", error="must be 64 hex digits"),
        metadata={"description": "digest of the machine's runtime, SHA-256"},
    )
    python = fields.String(
        required=True,
        validate=validate.Regexp(r"^\d{1,2}\.\d{1,2}\Z", error="must be like 3.11"),
        metadata={"description": "version of the Python that runs jobs, as 3.11"},
    )

    @post_load
    def _as_release(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        machine = Release(data.pop("runtime"), data.pop("python"))
        agent = AgentRelease(data.pop("agent_version"), data.pop("api"), machine)
        return data | {"agent": agent}


class AgentJoinSchema(AgentReleaseSchema):
    """Body of `POST /machines/{machine_id}/join`: the agent is about to start the NodeManager."""

    token = fields.String(required=True, validate=validate.Length(1, 256))
    service_port = whole(
        required=True, validate=_PORT, metadata={"description": "the port that the NodeManager will use"}
    )
    host_cores = whole(
        required=True,
        validate=_POSITIVE,
        metadata={"description": "cores of the host, up to which it may be resized"},
    )
    host_memory = whole(required=True, validate=_POSITIVE, metadata={"description": "MiB of the host"})


class HeartbeatSchema(AgentReleaseSchema):
    """Body of `POST /machines/{machine_id}/heartbeat`."""

    known = fields.String(
        load_default="",
        validate=validate.Length(max=64),
        metadata={"description": "version of the last answer; empty: answer at once"},
    )
    wait_s = whole(
        load_default=0,
        validate=validate.Range(0, 3600),
        metadata={"description": "seconds for which nothing new is waited for; at most 10 are"},
    )


class ResizeRequestSchema(Input):
    """Body of `POST /machines/{machine_id}/resize`: what is lent from now on; what is left out stays."""

    core_count = whole()
    memory_size = whole(metadata={"description": "MiB"})

    @validates_schema(skip_on_field_errors=False)
    def _within_the_limits(self, data: dict[str, object], **_: object) -> None:
        wrong = _out_of_range(data)
        if not data:
            wrong["core_count"] = ["say what changes: core_count, memory_size, or both"]
        if wrong:
            raise ValidationError(wrong)


def _out_of_range(data: dict[str, object]) -> dict[str, list[str]]:
    limits = load().machines
    ranges = {
        "core_count": (1, limits.max_cores, ""),
        "memory_size": (limits.min_memory_mib, limits.max_memory_mib, " MiB"),
        "time_period": (_MIN_PERIOD_S, limits.max_time_period_s, " seconds"),
    }
    wrong: dict[str, list[str]] = {}
    for name, (lowest, highest, unit) in ranges.items():
        given = data.get(name)
        if isinstance(given, int) and not lowest <= given <= highest:
            wrong[name] = [f"must be from {lowest} to {highest}{unit}"]
    return wrong
