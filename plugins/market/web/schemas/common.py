"""Answers that belong to no single part of the market, and fields that all share."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields


def text(description: str = "", **options: Any) -> fields.String:
    """Return a field for text."""
    return fields.String(metadata={"description": description} if description else {}, **options)


def identity(**options: Any) -> fields.String:
    """Return a field for an id: 32 hex digits."""
    return fields.String(metadata={"pattern": "^[0-9a-f]{32}$"}, **options)


def credit(description: str = "", **options: Any) -> fields.String:
    """Return a field for credits: a decimal string with six places."""
    metadata = {"description": description} if description else {}
    return fields.String(metadata={"pattern": r"^-?[0-9]+\.[0-9]{6}$", **metadata}, **options)


def time_ms(**options: Any) -> fields.Integer:
    """Return a field for a time in epoch milliseconds, or null."""
    return fields.Integer(allow_none=True, metadata={"description": "epoch milliseconds"}, **options)


class ProblemSchema(Schema):
    """An error, after RFC 9457."""

    type = text()
    title = text()
    status = fields.Integer()
    detail = text("what happened and what to do")
    code = text("name of a problem that programs tell from others of its status, where it has one")
    errors = fields.Dict(metadata={"description": "messages by field, for bad input"})
    available = credit("for 402")
    needed = credit("for 402")


class HealthSchema(Schema):
    """Whether the market works: `degraded` means that a part other than the database does not answer."""

    status = fields.String(metadata={"enum": ["healthy", "degraded"]})
    parts = fields.Dict(keys=fields.String(), values=fields.String())


class FileSchema(Schema):
    """A file or folder; paths are relative to the home, or to the job's output."""

    path = text()
    size = fields.Integer(metadata={"description": "bytes"})
    is_folder = fields.Boolean()
    modified_time = time_ms(attribute="modified_ms")
