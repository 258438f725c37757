"""What the measurements at a running stack share: somebody new, waiting, and figures of many times."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distributedmarket.client import MarketClient
from market.kit import clock, database, settings
from market.ops.cli import own_market

_DEADLINE_S = 300


def person(loaded: settings.Settings, program: str) -> MarketClient:
    """Register somebody, log him in, and upload a program as bench/main.py."""
    name, password = f"bench-{secrets.token_hex(4)}", secrets.token_hex(16)
    market = own_market.client(loaded)
    market.post("/users", {"username": name, "password": password, "email": f"{name}@example.org"}, key="")
    found = market.login(name, password)
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(program)
        file.flush()
        found.upload("bench/main.py", Path(file.name))
    return found


def announce(tag: str) -> str:
    """Have the market let applications with this tag run: it ends what it does not know. Return the tag."""
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO announced_work VALUES (%s, %s)", [tag, clock.now_ms() + 1000 * _DEADLINE_S]
        )
    return tag


def lent(market: MarketClient, machine_type: str) -> None:
    """End the program when nobody lends a machine of a type: jobs for it would wait for hours, not run."""
    types = market.get("/metadata")["machine_info"]
    if not types.get(machine_type, {}).get("machines"):
        raise SystemExit(f"nobody lends a machine of type {machine_type}: `./market demo` lends two of cpu")


def wait(look: Callable[[], Any], what: str, deadline_s: float = _DEADLINE_S, pause_s: float = 0.5) -> Any:
    """Return the first answer that is true; end the program at the deadline."""
    until = time.monotonic() + deadline_s
    while not (found := look()):
        if time.monotonic() > until:
            raise SystemExit(f"{what}: not within {deadline_s} s")
        time.sleep(pause_s)
    return found


def verdict(figure: float, most: float) -> str:
    """Return a goal's bound, and whether a figure keeps it: `(goal: at most 2: met)`."""
    return f"(goal: at most {most:g}: {'met' if figure <= most else 'NOT met'})"


def p95(times: Sequence[float]) -> float:
    """Return the value that 95 % do not exceed."""
    return sorted(times)[max(0, round(0.95 * len(times)) - 1)]
