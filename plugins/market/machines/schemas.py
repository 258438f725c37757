"""What people and agents send about machines."""

from __future__ import annotations

import ipaddress

from marshmallow import ValidationError, fields, validate, validates_schema

from market.accounts.schemas import Input
from market.settings import load

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_MIN_PERIOD_S = 60
_PORT = validate.Range(1, 65535)


def _address(text: str) -> None:
    """Check the address of one host. Machines are known to YARN by it, and YARN takes IPv4 only."""
    try:
        found = ipaddress.IPv4Address(text)
    except ValueError:
        raise ValidationError("must be an IPv4 address, like 10.8.0.7") from None
    if found.is_unspecified or found.is_multicast or found == ipaddress.IPv4Address("255.255.255.255"):
        raise ValidationError("must be the address of one host")


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

    @validates_schema(skip_on_field_errors=False)
    def _within_the_limits(self, data: dict[str, object], **_: object) -> None:
        loaded = load()
        limits = loaded.machines
        ranges = {
            "core_count": (1, limits.max_cores),
            "memory_size": (limits.min_memory_mib, limits.max_memory_mib),
            "time_period": (_MIN_PERIOD_S, limits.max_time_period_s),
        }
        wrong: dict[str, list[str]] = {}
        for name, (lowest, highest) in ranges.items():
            given = data.get(name)
            if isinstance(given, int) and not lowest <= given <= highest:
                wrong[name] = [f"must be from {lowest} to {highest}"]
        given_type = data.get("machine_type")
        if isinstance(given_type, str) and given_type not in loaded.types:
            wrong["machine_type"] = [f"there is no such machine type; there are: {', '.join(loaded.types)}"]
        if wrong:
            raise ValidationError(wrong)


class JoinRequestSchema(Input):
    """Body of `POST /machines/{machine_id}/join`: the agent is about to start the NodeManager."""

    token = fields.String(required=True, validate=validate.Length(1, 256))
    service_port = whole(validate=_PORT, metadata={"description": "the port that the NodeManager will use"})
