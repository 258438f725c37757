"""Members of a running market, and waiting for what they do."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from typing import Any, TypeVar

import requests

from distributedmarket.client import MarketClient
from market.credits.settlement.steps import settle
from market.kit import clock, database, settings
from market.kit.vocabulary import ENDED

T = TypeVar("T")
_everybody: dict[str, Person] = {}


def until(look: Callable[[], T], what: str, deadline_s: float = 180) -> T:
    """Return the first answer that is true; the longer it takes, the less often the market is asked."""
    began = time.monotonic()
    while True:
        found = look()
        waited = time.monotonic() - began
        if found:
            return found
        if waited > deadline_s:
            raise AssertionError(f"{what}: not within {deadline_s} s")
        time.sleep(min(0.1 + waited / 50, 0.5))


@dataclass(frozen=True)
class Person:
    """A member who is logged in."""

    username: str
    user_id: str
    password: str
    rest: MarketClient

    def put(self, path: str, text: str | bytes) -> None:
        """Upload a file with this content."""
        answer = self.send("PUT", f"/files/{path}", data=text.encode() if isinstance(text, str) else text)
        assert answer.status_code == 201, answer.text

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send any request to the market, once; the answer may be a refusal."""
        return self.ask(method, f"{self.rest.url}/market/api/v1{path}", **options)

    def ask(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send a request to any address, with this person's token."""
        headers = {"Authorization": f"Bearer {self.rest.token}"} | options.pop("headers", {})
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, url, headers=headers, timeout=60, **options)

    def submit(self, root: str, **fields: Any) -> str:
        """Submit a small job and return its id."""
        body = {"root_path": root, "core_num": 1, "machine_type": "cpu", "max_duration": 600} | fields
        return str(self.rest.post("/jobs", body)["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job."""
        found: dict[str, Any] = self.rest.get(f"/jobs/{job_id}")
        return found

    def ended(self, job_id: str, deadline_s: float = 240) -> dict[str, Any]:
        """Return a job when it has ended."""
        return until(
            lambda: job if (job := self.job(job_id))["status"] in ENDED else None,
            f"the end of {job_id}",
            deadline_s,
        )

    def receipt(self, job_id: str, deadline_s: float = 60) -> dict[str, Any]:
        """Return an ended job's receipt when it is final: settle until the meter has all of it."""

        def final() -> dict[str, Any] | None:
            found: dict[str, Any] = self.rest.get(f"/jobs/{job_id}/receipt")
            if not found["final"]:
                settle(clock.now_ms())
            return found if found["final"] else None

        return until(final, f"the final receipt of {job_id}", deadline_s)

    def in_status(self, job_id: str, status: str, deadline_s: float = 120) -> None:
        """Wait for a status."""
        until(lambda: self.job(job_id)["status"] == status, f"{job_id} {status}", deadline_s)

    def log(self, job_id: str, role: str = "driver", file: str = "stdout") -> str:
        """Return a log file's text."""
        for one in self.rest.get(f"/jobs/{job_id}/logs")["files"]:
            if (one["role"], one["file"]) == (role, file):
                return self.rest.text(f"/jobs/{job_id}/logs/{one['container_id']}/{file}")
        return ""


def person(stack: settings.Settings, name: str) -> Person:
    """Register somebody new and log him in."""
    username, password = f"{name}-{secrets.token_hex(3)}", secrets.token_hex(12)
    market = MarketClient(stack.url("api"))
    made = market.post(
        "/users", {"username": username, "password": password, "email": f"{username}@example.org"}, key=""
    )
    _everybody[made["user_id"]] = Person(
        username, made["user_id"], password, market.login(username, password)
    )
    return _everybody[made["user_id"]]


def known_to_all(stack: settings.Settings, name: str) -> Person:
    """Return the one person of this name for all processes that test this stack: the first registers him."""
    file = stack.paths.secrets / f"test_{name}"
    with (stack.paths.run / "test-people.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not file.exists():
            made = person(stack, name)
            file.touch(mode=0o600)
            file.write_text(json.dumps([made.username, made.user_id, made.password]))
    username, user_id, password = json.loads(file.read_text())
    return Person(username, user_id, password, MarketClient(stack.url("api")).login(username, password))


def end_open_jobs() -> None:
    """Cancel what a failed test has left: it would hold the machines that the next tests wait for."""
    with database.transaction() as cursor:
        cursor.execute("SELECT job_id, user_id FROM job WHERE ended_ms IS NULL")
        left = [(job_id, _everybody[user_id]) for job_id, user_id in cursor if user_id in _everybody]
    for job_id, owner in left:
        owner.send("POST", f"/jobs/{job_id}/cancel")
