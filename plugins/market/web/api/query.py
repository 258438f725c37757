"""Parameters of an address's query: each is read, checked and documented by one definition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Depends, Request

from market.kit import whole
from market.kit.errors import BadInputError
from market.kit.paging import Page
from market.kit.text import is_storable

_MAX_LIMIT = 200
_MAX_OFFSET = 10**9


class Parameter(Protocol):
    """A parameter of the query, as the OpenAPI document shows it."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def schema(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Whole:
    """A whole number within bounds."""

    name: str
    description: str
    lowest: int
    highest: int
    default: int | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """The type in the OpenAPI document."""
        bounds = {"type": "integer", "minimum": self.lowest, "maximum": self.highest}
        return bounds if self.default is None else bounds | {"default": self.default}

    def read(self, request: Request) -> int | None:
        """Return the number, by default the default. Raises BadInputError."""
        text = request.query_params.get(self.name)
        if text is None:
            return self.default
        number = whole.parsed(text, self.highest, self.lowest)
        if number is None:
            raise BadInputError({self.name: [f"must be a whole number from {self.lowest} to {self.highest}"]})
        return number


@dataclass(frozen=True)
class Flag:
    """A yes or no; by default no."""

    name: str
    description: str

    @property
    def schema(self) -> dict[str, Any]:
        """The type in the OpenAPI document."""
        return {"type": "boolean", "default": False}

    def read(self, request: Request) -> bool:
        """Return whether it is said. Raises BadInputError."""
        text = request.query_params.get(self.name, "false").lower()
        if text not in ("true", "false"):
            raise BadInputError({self.name: ["must be true or false"]})
        return text == "true"


@dataclass(frozen=True)
class Choice:
    """One of some words, by default the first."""

    name: str
    description: str
    choices: Sequence[str]

    @property
    def schema(self) -> dict[str, Any]:
        """The type in the OpenAPI document."""
        return {"type": "string", "enum": list(self.choices), "default": self.choices[0]}

    def read(self, request: Request) -> str:
        """Return the word. Raises BadInputError."""
        text = request.query_params.get(self.name, self.choices[0])
        if text not in self.choices:
            raise BadInputError({self.name: [f"must be one of: {', '.join(self.choices)}"]})
        return text


@dataclass(frozen=True)
class Text:
    """A text, which whoever uses it checks."""

    name: str
    description: str
    default: str

    @property
    def schema(self) -> dict[str, Any]:
        """The type in the OpenAPI document."""
        return {"type": "string", "default": self.default}

    def read(self, request: Request) -> str:
        """Return the text."""
        return str(request.query_params.get(self.name, self.default))


@dataclass(frozen=True)
class Identity:
    """The id of something; by default none."""

    name: str
    description: str

    @property
    def schema(self) -> dict[str, Any]:
        """The type in the OpenAPI document."""
        return {"type": "string", "pattern": "^[0-9a-f]{32}$", "maxLength": 32}

    def read(self, request: Request) -> str | None:
        """Return the id; None for none. Raises BadInputError."""
        text = request.query_params.get(self.name)
        if text is not None and not re.fullmatch("[0-9a-f]{32}", text):
            raise BadInputError({self.name: ["must be an id: 32 hex digits"]})
        return text


@dataclass(frozen=True)
class Search:
    """A short text that is looked for; by default none, which finds everything."""

    name: str
    description: str
    longest: int = 254

    @property
    def schema(self) -> dict[str, Any]:
        """The type in the OpenAPI document."""
        return {"type": "string", "maxLength": self.longest, "default": ""}

    def read(self, request: Request) -> str:
        """Return the text without spaces around it. Raises BadInputError."""
        text = request.query_params.get(self.name, "").strip()
        if len(text) > self.longest or not is_storable(text):
            raise BadInputError({self.name: [f"must be a text of at most {self.longest} characters"]})
        return text


@dataclass(frozen=True)
class _Order:
    """The field by which a list is ordered."""

    fields: Sequence[str]
    name: str = "order_by"
    description: str = "a field, or -field for descending; newest first by default"

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": [f"{sign}{field}" for sign in ("", "-") for field in self.fields]}


LIMIT = Whole("limit", "rows to return", 1, _MAX_LIMIT, default=Page.limit)
OFFSET = Whole("offset", "rows to skip", 0, _MAX_OFFSET, default=0)
# Of a list that is whole unless the query says otherwise.
PART = (Whole("limit", "rows to return; by default all", 1, _MAX_LIMIT), OFFSET)


class Paging:
    """`limit`, `offset`, and `order_by`: one of these fields, with - descending."""

    def __init__(self, *fields: str) -> None:
        self._fields = fields
        self.parameters: tuple[Parameter, ...] = (LIMIT, OFFSET, _Order(fields))

    @property
    def page(self) -> Any:
        """The dependency that reads them."""
        return Depends(self.read)

    def read(self, request: Request) -> Page:
        """Return the page that the query asks for. Raises BadInputError."""
        order = request.query_params.get("order_by", "")
        field = order.removeprefix("-")
        if order and field not in self._fields:
            allowed = ", ".join(self._fields)
            raise BadInputError({"order_by": [f"must be one of: {allowed}, or one of them after -"]})
        return Page(
            limit=LIMIT.read(request) or Page.limit,
            offset=OFFSET.read(request) or 0,
            order_by=field,
            descending=not order or order.startswith("-"),
        )
