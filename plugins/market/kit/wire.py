"""What every body that is sent to the market is read with: schemas that refuse what they do not know."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, pre_load, validate

from market.kit.errors import BadInputError
from market.kit.money import parse_credits

LONGEST_REASON = 200  # characters

# Signs that turn the direction of what stands behind them: a name with one reads otherwise than it is.
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Letters and signs by their category, of which nothing is to be seen.
_EMPTY = frozenset("\u115f\u1160\u2800\u3164\uffa0")


class Input(Schema):
    """Base of what is sent: unknown fields are refused, so that a typo is not silently ignored.

    A field that is null is one that was not given.
    """

    class Meta:
        """Options of the schema."""

        unknown = RAISE

    @pre_load
    def _without_nulls(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {name: value for name, value in data.items() if value is not None or name not in self.fields}


def loaded(schema: Schema, body: object) -> dict[str, Any]:
    """Return what a body means. Raises BadInputError with the messages by field."""
    try:
        values: dict[str, Any] = schema.load(body)  # type: ignore[arg-type]
    except ValidationError as error:
        raise BadInputError(_tidy(error.normalized_messages())) from None
    return values


def reason_field(
    required: bool = True, description: str = "why; whom it concerns may read it"
) -> fields.String:
    """Return a field for a reason in words: a line of at most 200 characters."""
    return fields.String(
        required=required,
        validate=[validate.Length(1, LONGEST_REASON), readable],
        metadata={"description": description},
    )


def positive_credits(text: str) -> None:
    """Check a decimal string of credits above zero. Raises marshmallow's ValidationError."""
    try:
        amount_ucr = parse_credits(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None
    if amount_ucr <= 0:
        raise ValidationError("must be more than 0")


def readable(text: str) -> None:
    """Check that a text on one line can be read as it is. Raises marshmallow's ValidationError."""
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text):
        raise ValidationError("may hold no control character, and no line end")
    if not _TURNS.isdisjoint(text):
        raise ValidationError("may hold no sign that changes the direction of writing")
    if all(unicodedata.category(letter)[0] in "ZC" or letter in _EMPTY for letter in text):
        raise ValidationError("must hold something that can be seen")


def _tidy(messages: Mapping[Any, Any]) -> dict[str, object]:
    """Return messages by field, and for those of a mapping by its keys, without marshmallow's own words."""
    return {"body" if field == "_schema" else field: _by_key(found) for field, found in messages.items()}


def _by_key(messages: object) -> object:
    if isinstance(messages, list) and len(messages) == 1 and isinstance(messages[0], Mapping):
        messages = messages[0]  # of one check among several of a field
    if not isinstance(messages, Mapping):
        return messages
    return {key: _of_value(inner) for key, inner in messages.items()}


def _of_value(messages: object) -> object:
    if isinstance(messages, Mapping) and set(messages) <= {"key", "value"}:
        return [message for part in messages.values() for message in part]
    return messages
