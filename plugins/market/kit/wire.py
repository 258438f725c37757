"""What every body that is sent to the market is read with: schemas that refuse what they do not know."""

from __future__ import annotations

from typing import Any

from marshmallow import RAISE, Schema, ValidationError

from market.kit.errors import BadInputError
from market.kit.money import parse_credits


class Input(Schema):
    """Base of what is sent: unknown fields are refused, so that a typo is not silently ignored."""

    class Meta:
        """Options of the schema."""

        unknown = RAISE


def loaded(schema: Schema, body: object) -> dict[str, Any]:
    """Return what a body means. Raises BadInputError with the messages by field."""
    try:
        values: dict[str, Any] = schema.load(body)  # type: ignore[arg-type]
    except ValidationError as error:
        raise BadInputError(error.normalized_messages()) from None
    return values


def positive_credits(text: str) -> None:
    """Check a decimal string of credits above zero. Raises marshmallow's ValidationError."""
    try:
        amount_ucr = parse_credits(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None
    if amount_ucr <= 0:
        raise ValidationError("must be more than 0")
