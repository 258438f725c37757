"""Answers that belong to no single part of the market."""

from __future__ import annotations

from marshmallow import Schema, fields


class ProblemSchema(Schema):
    """An error, after RFC 9457."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True, metadata={"description": "what happened and what to do"})
    errors = fields.Dict(metadata={"description": "messages by field, for bad input"})
    available = fields.String(metadata={"description": "credits, for 402"})
    needed = fields.String(metadata={"description": "credits, for 402"})


class HealthSchema(Schema):
    """Whether the market works: `degraded` means that a part other than the database does not answer."""

    status = fields.String(required=True, metadata={"enum": ["healthy", "degraded"]})
    parts = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
