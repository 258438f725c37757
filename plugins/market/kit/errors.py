"""What can go wrong in a way that a caller can act on; one place turns each into an answer.

The API makes an RFC 9457 problem document of a `MarketError`, the pages a message, the command line a line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from market.kit.money import format_credits


class MarketError(Exception):
    """Base of all errors with a meaning to the caller.

    `detail` says what happened and what to do, in words for the person who caused it.
    """

    status = 500
    title = "Internal error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def members(self) -> Mapping[str, object]:
        """Further members of the problem document."""
        return {}

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that go with the answer."""
        return {}

    @property
    def document(self) -> dict[str, object]:
        """The problem document; `type` is about:blank, so `title` says what kind of problem it is."""
        return {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }


class BadInputError(MarketError):
    """Input that breaks a rule; `errors` maps each field to its messages."""

    status = 422
    title = "Invalid input"

    def __init__(self, errors: Mapping[str, object], detail: str | None = None) -> None:
        super().__init__(detail or "; ".join(_lines("", errors)))
        self.errors = dict(errors)

    @property
    def members(self) -> Mapping[str, object]:
        """The messages by field."""
        return {"errors": self.errors}


class NotLoggedInError(MarketError):
    """No credentials, or none that are valid any more."""

    status = 401
    title = "Not logged in"


class NotEnoughCreditError(MarketError):
    """The available balance is less than what this needs; both figures in micro-credits."""

    status = 402
    title = "Not enough credit"

    def __init__(self, available_ucr: int, needed_ucr: int) -> None:
        self.available_ucr = available_ucr
        self.needed_ucr = needed_ucr
        self._members = {"available": format_credits(available_ucr), "needed": format_credits(needed_ucr)}
        super().__init__(
            f"This needs {self._members['needed']} credits and {self._members['available']} are available. "
            "Lower max_credits, max_duration or core_num, wait for open jobs to end, or lend a machine."
        )

    @property
    def members(self) -> Mapping[str, object]:
        """`available` and `needed`, in credits."""
        return self._members


class RoleMissingError(MarketError):
    """The caller is known, but lacks the role that this needs."""

    status = 403
    title = "Role missing"


class ScopeMissingError(RoleMissingError):
    """The caller speaks by a token for programs that was not made for this; any of `scopes` would do."""

    title = "Scope missing"

    def __init__(self, scopes: Collection[str]) -> None:
        taken = sorted(scopes)
        self.scope = taken[0] if taken else None
        super().__init__(
            f"This needs a token with the scope {' or '.join(taken)}."
            if taken
            else "No token for programs is taken here. Log in with POST /login."
        )

    @property
    def members(self) -> Mapping[str, object]:
        """`scope`: what the token would need; null where no token for programs would do."""
        return {"scope": self.scope}


class NotFoundError(MarketError):
    """Unknown, or another's: the two are not told apart."""

    status = 404
    title = "Not found"


class ConflictError(MarketError):
    """It clashes with what is there."""

    status = 409
    title = "Conflict"


class TooLargeError(MarketError):
    """Over a body limit or the home's quota."""

    status = 413
    title = "Too large"


class OverLimitError(MarketError):
    """Over a limit of rate, open jobs or cores."""

    status = 429
    title = "Over a limit"

    def __init__(self, detail: str, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> Mapping[str, str]:
        """`Retry-After`, where waiting helps."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


class UnavailableError(MarketError):
    """A part of the stack does not answer; trying again later helps."""

    status = 503
    title = "Unavailable"
    again_after_s = 10

    @property
    def headers(self) -> Mapping[str, str]:
        """`Retry-After`: a server of the stack that was restarted is there again about then."""
        return {"Retry-After": str(self.again_after_s)}


class BusyError(UnavailableError):
    """Something that others use was not free in time; nothing was done. Trying again soon helps."""

    again_after_s = 5  # most waits are over by then


def _lines(place: str, messages: object) -> Iterator[str]:
    """Yield `place: words` for each message: `app_params[2]: ...`, `spark_conf spark.master: ...`."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _lines(f"{place}[{key}]" if isinstance(key, int) else f"{place} {key}".lstrip(), inner)
    elif isinstance(messages, list | tuple):
        yield f"{place}: {' '.join(map(str, messages))}"
    else:
        yield f"{place}: {messages}"
