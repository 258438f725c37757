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


class Rows(fields.List):
    """Rows of dataclasses with plain values, which are shown as they are: there may be tens of thousands.

    To ask each field of a schema for each row takes a second for twenty thousand.
    """

    def __init__(self, of: type[Schema], **options: Any) -> None:
        super().__init__(fields.Nested(of), **options)
        self._of = of

    def _serialize(
        self, value: Any, attr: str | None, obj: Any, **options: Any
    ) -> list[dict[str, Any]] | None:
        if value is None:
            return None
        shown = [(name, field.attribute or name) for name, field in self._of().dump_fields.items()]
        return [{name: getattr(row, attribute) for name, attribute in shown} for row in value]


class FileEntrySchema(Schema):
    """A file or folder; paths are relative to the home, or to the job's output."""

    path = text(required=True)
    size = fields.Integer(required=True, metadata={"description": "bytes"})
    is_folder = fields.Boolean()
    modified_time = time_ms(attribute="modified_ms")


class RoomSchema(Schema):
    """What a home holds and may hold; what jobs have left in it counts."""

    used = fields.Integer(required=True, attribute="used_bytes", metadata={"description": "bytes"})
    quota = fields.Integer(
        attribute="quota_bytes", allow_none=True, metadata={"description": "bytes; null: no limit"}
    )
    names = fields.Integer(required=True, metadata={"description": "files and folders"})
    names_quota = fields.Integer(allow_none=True, metadata={"description": "null: no limit"})


class SecretSchema(Schema):
    """A secret of the caller's, without its value."""

    name = text()
    modified_time = time_ms(attribute="modified_ms")
