"""`Idempotency-Key`: the same request again gets the first answer again, and is not run again.

While a request runs, a transaction holds an advisory lock; the answer is stored in that transaction. So a
process that dies leaves neither a lock nor half an answer, and a twin waits for exactly as long as the first
one runs. Twins wait without a thread: those are needed by the first one.

A request that commits something by itself which may not happen twice stores its answer in that transaction
already (`store`): a process that dies right after it has left the answer as well.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from market.kit import database
from market.kit.clock import now_ms
from market.kit.errors import BadInputError, ConflictError
from market.kit.patience import GUARD

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

_KEPT_MS = 24 * 3600 * 1000
_NOT_KEPT = (401, 429)
MAX_KEY = 255
_POLL_S = 0.05
_PATIENCE_S = 120.0
_CLEANING = 0.02  # share of the stored answers that also remove old ones

# Each running request holds a connection to the database besides the one that its route takes: at most half
# of the pool (`kit.pool.BOUND`), so that no request waits for a connection that only another such one has.
_running = asyncio.Semaphore(16)


@dataclass(frozen=True)
class RequestIdentity:
    """A request as it is recognised again: who, what, with which key, and a digest of the body."""

    user_id: str
    method: str
    target: str
    key: str
    body_sha256: str

    @classmethod
    def of(cls, user_id: str, request: Request, key: str, body: bytes) -> RequestIdentity:
        """Return the identity of a request. Raises BadInputError for a key that is none."""
        if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
            raise BadInputError({HEADER: [f"must be 1 to {MAX_KEY} printable ASCII characters"]})
        query = request.scope.get("query_string", b"").decode("latin-1")
        target = request.url.path + (f"?{query}" if query else "")
        return cls(user_id, request.method, target, key, hashlib.sha256(body).hexdigest())

    @property
    def place(self) -> tuple[str, str, str, str]:
        """The columns of the primary key."""
        return self.user_id, self.method, self.target, self.key

    @property
    def lock(self) -> int:
        """The number of the advisory lock: 63 bits of a digest, so that a chance twin is out of reach."""
        digest = hashlib.sha256("\0".join(self.place).encode(errors="replace")).digest()
        return int.from_bytes(digest[:8], "big") >> 1


class Claim:
    """The right to run a request, and to store its answer; it ends with `keep` or `drop`."""

    def __init__(self, identity: RequestIdentity, stack: ExitStack, cursor: database.Cursor) -> None:
        self._identity, self._stack, self._cursor = identity, stack, cursor

    def keep(self, response: Response) -> None:
        """Store the answer and let the twins have it."""
        with self._stack:
            store(self._cursor, self._identity, response)
            if random.random() < _CLEANING:  # noqa: S311
                _remove_old(self._cursor)

    def drop(self) -> None:
        """Store nothing: the next request with this key runs."""
        self._stack.close()


def store(cursor: database.Cursor, identity: RequestIdentity, response: Response) -> None:
    """Write down the answer to a request, in the caller's transaction."""
    cursor.execute(
        "INSERT INTO idempotency (user_id, method, target, key, body_sha256, status, headers, body,"
        " created_ms) VALUES (%s, %s, %s, %s, %s, %s, jsonb_build_object('content-type', %s::text),"
        " %s, %s) ON CONFLICT (user_id, method, target, key) DO UPDATE SET"
        " (body_sha256, status, headers, body, created_ms) = (excluded.body_sha256, excluded.status,"
        " excluded.headers, excluded.body, excluded.created_ms)",
        [
            *identity.place,
            identity.body_sha256,
            response.status_code,
            response.headers.get("content-type", ""),
            bytes(response.body),
            now_ms(),
        ],
    )


async def answer(identity: RequestIdentity, run: Callable[[], Awaitable[Response]]) -> Response:
    """Return the first answer to this request, or run it and keep its answer.

    401, 429 and 5xx are not kept. Raises BadInputError if the key belongs to another body, and ConflictError
    if the first request does not end.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        async with _running:
            claimed = await run_in_threadpool(_claim, identity)
            if isinstance(claimed, Response):
                return claimed
            if claimed is not None:
                return await _run(claimed, run)
        if time.monotonic() > until:
            raise ConflictError("The first request with this key still runs. Ask again later.")
        await asyncio.sleep(_POLL_S)


async def _run(claim: Claim, run: Callable[[], Awaitable[Response]]) -> Response:
    kept = False
    try:
        response = await run()
        if response.status_code < 500 and response.status_code not in _NOT_KEPT:
            kept = True
            await run_in_threadpool(claim.keep, response)
        return response
    finally:
        if not kept:
            claim.drop()


def _claim(identity: RequestIdentity) -> Response | Claim | None:
    """Return the stored answer, or the right to run; None while another request runs."""
    with ExitStack() as stack:
        cursor = stack.enter_context(database.transaction(GUARD))
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [identity.lock])
        if not cursor.fetchone()[0]:
            return None
        cursor.execute(
            "SELECT body_sha256, status, headers, body FROM idempotency"
            " WHERE user_id = %s AND method = %s AND target = %s AND key = %s AND created_ms > %s",
            [*identity.place, now_ms() - _KEPT_MS],
        )
        row = cursor.fetchone()
        if row is None:
            return Claim(identity, stack.pop_all(), cursor)
    if row.body_sha256 != identity.body_sha256:
        raise BadInputError({HEADER: ["was used for a request with another body; take a new key"]})
    return Response(bytes(row.body), row.status, {**row.headers, REPLAYED: "true"})


def _remove_old(cursor: database.Cursor) -> None:
    cursor.execute(
        "DELETE FROM idempotency WHERE (user_id, method, target, key) IN (SELECT user_id, method, target, key"
        " FROM idempotency WHERE created_ms < %s LIMIT 1000 FOR UPDATE SKIP LOCKED)",
        [now_ms() - _KEPT_MS],
    )
