"""A client of the market's REST interface, for the command line."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests

from market.ops.install.shell import SetupError

_TIMEOUT_S = 60
_CHUNK = 1 << 20
_AGAIN = (429, 503)
_ATTEMPTS = 5


class Rest:
    """Speaks for one person (or for nobody, without a token) to the market at `url`."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no .netrc between the market and its command line
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def login(self, username: str, password: str) -> Rest:
        """Return a client that speaks for this person."""
        answer = self.post("/login", {"username": username, "password": password})
        return Rest(self.url, answer["access_token"])

    def get(self, path: str, **query: Any) -> Any:
        """Return what a route answers."""
        return self._json("GET", path, params=query)

    def post(self, path: str, body: object = None, expect: tuple[int, ...] = ()) -> Any:
        """Post a body; codes in `expect` are answers too, beside 2xx."""
        return self._json("POST", path, expect, json=body if body is not None else {})

    def delete(self, path: str, **query: Any) -> Any:
        """Delete something."""
        return self._json("DELETE", path, params=query)

    def upload(self, path: str, file: Path) -> Any:
        """Put a file into the person's home; streamed."""
        with file.open("rb") as body:
            return self._json("PUT", f"/files/{path}", data=body)

    def text(self, path: str, **query: Any) -> str:
        """Return a route's bytes as text."""
        return self._send("GET", path, params=query).content.decode(errors="replace")

    def download(self, path: str, file: Path) -> None:
        """Put what a route answers into a file; streamed."""
        answer = self._send("GET", path, stream=True)
        try:
            with file.open("wb") as target:
                for chunk in answer.iter_content(_CHUNK):
                    target.write(chunk)
        except requests.RequestException as error:
            raise SetupError(f"the market at {self.url} broke off while it sent {path}: {error}") from None
        finally:
            answer.close()

    def _json(self, method: str, path: str, expect: Iterable[int] = (), **options: Any) -> Any:
        answer = self._send(method, path, expect, **options)
        return answer.json() if answer.content else None

    def _send(self, method: str, path: str, expect: Iterable[int] = (), **options: Any) -> requests.Response:
        for attempt in range(_ATTEMPTS):
            try:
                answer = self._session.request(
                    method, f"{self.url}/market/api/v1{path}", timeout=_TIMEOUT_S, **options
                )
            except requests.RequestException as error:
                raise SetupError(f"the market at {self.url} does not answer: {error}") from None
            if answer.ok or answer.status_code in expect:
                return answer
            if answer.status_code not in _AGAIN or attempt == _ATTEMPTS - 1:
                break
            time.sleep(min(float(answer.headers.get("Retry-After", 1)), 30))
        raise SetupError(f"{method} {path}: {_words(answer)}")


def _words(answer: requests.Response) -> str:
    try:
        problem = answer.json()
        return f"{problem['status']} {problem['title']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason}"
