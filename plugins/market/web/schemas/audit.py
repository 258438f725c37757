"""The audit's lines."""

from __future__ import annotations

from marshmallow import Schema

from market.web.schemas.common import text, time_ms


class AuditLineSchema(Schema):
    """Something that was refused, ended on sight, made anew, or done by an administrator."""

    at = time_ms()
    kind = text("refusal, unknown_application, rotation, administration and the like")
    actor = text("who did it, as far as is known: a member's name, an address, a service")
    subject = text("what it was done to")
    detail = text()
