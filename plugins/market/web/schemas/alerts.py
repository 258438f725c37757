"""Alerts."""

from __future__ import annotations

from marshmallow import Schema, fields

from market.web.schemas.common import text, time_ms


class AlertSchema(Schema):
    """What an operator should know of; docs/runbook.md has an entry for each kind."""

    alert_id = fields.Integer(required=True)
    kind = text("unregistered_node, ledger, backup and the like")
    subject = text("what it is about")
    detail = text()
    first = time_ms()
    at = time_ms()
    times = fields.Integer(required=True, metadata={"description": "how often it was raised since `first`"})
    acknowledged = time_ms()
    acknowledged_by = fields.String(allow_none=True, required=True)
    cleared = time_ms()
