"""The market's REST interface, for one person or for nobody."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from distributedmarket.client.body import Body, Data
from distributedmarket.client.login import Login
from distributedmarket.client.retries import Retries
from distributedmarket.client.transport import READ_S, Request, Transport, refusal
from distributedmarket.client.trust import Trust

PEOPLE, AGENTS = "/market/api/v1", "/market/agent/v1"
_CHUNK = 1 << 20


class MarketClient:
    """Speaks to the market at `url`, with the token of one person or, without one, for nobody.

    Every method raises MarketApiError for a refusal and UnreachableError when nobody answers, after as many
    attempts as `retries` allows. Threads may share it. `prefix` names the interface that it speaks, `trust`
    what the market must show over https.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        retries: Retries | None = None,
        prefix: str = PEOPLE,
        trust: Trust | None = None,
        _login: Login | None = None,
        _transport: Transport | None = None,
    ) -> None:
        self._transport = _transport or Transport(url, trust)
        self._login = _login or Login(token)
        self._retries = retries or Retries()
        self._prefix = prefix

    @property
    def url(self) -> str:
        """The market's address."""
        return self._transport.url

    @property
    def trust(self) -> Trust:
        """By what the market is known."""
        return self._transport.trust

    @property
    def token(self) -> str:
        """The token that is in use; "" for nobody. Never print it."""
        return self._login.token

    def login(self, username: str, password: str) -> MarketClient:
        """Return a client that speaks for a person, and logs in again when the token has expired."""
        anonymous = MarketClient(self.url, retries=self._retries, _transport=self._transport)

        def renew() -> str:
            body = {"username": username, "password": password}
            return str(anonymous.post("/login", body, key="")["access_token"])

        return self._like(_login=Login(renew(), renew))

    def using(self, *, retries: Retries | None = None, prefix: str = "") -> MarketClient:
        """Return a client for the same person with other retries, or for another interface."""
        return self._like(retries=retries or self._retries, prefix=prefix or self._prefix)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        data: Path | Data = None,
        key: str | None = None,
    ) -> Any:
        """Send a request of any kind, with a body as JSON or bytes as they are; return the JSON answered.

        A POST carries a `key` as `post` says. A file is streamed. Parameters that are None are left out.
        """
        if isinstance(data, Path):
            with data.open("rb") as file:
                return self._json(self._request(method, path, query or {}, Body(file)))
        sent = Body(data) if body is None else _as_json(body)
        if method == "POST" and body is None:
            sent = _as_json({})
        request = self._request(method, path, query or {}, sent)
        if method == "POST":
            request.key = uuid.uuid4().hex if key is None else key
        return self._json(request)

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> requests.Response:
        """Return an answer whose bytes have not been read yet: to be read, and closed. None is left out."""
        request = self._request(method, path, query or {})
        request.headers = dict(request.headers) | {k: v for k, v in (headers or {}).items() if v is not None}
        request.stream = True
        return self._checked(request)

    def get(self, path: str, /, **query: Any) -> Any:
        """Return what a route answers."""
        return self._json(self._request("GET", path, query))

    def post(self, path: str, body: object = None, *, key: str | None = None, read_s: float = READ_S) -> Any:
        """Post a body as JSON and return the answer.

        The request carries an `Idempotency-Key` of its own, so that it may be sent again. Give a `key` to
        repeat an earlier call, or "" for none, as for routes without a login, which know no keys: then it is
        sent again only where it certainly did nothing.
        """
        request = self._request("POST", path, {}, _as_json({} if body is None else body))
        request.key = uuid.uuid4().hex if key is None else key
        request.read_s = read_s
        return self._json(request)

    def delete(self, path: str, /, **query: Any) -> Any:
        """Delete something."""
        return self._json(self._request("DELETE", path, query))

    def upload(self, path: str, data: Path | Data) -> Any:
        """Put a file, or bytes, into the person's home; streamed."""
        target = f"/files/{quote(path)}"
        if isinstance(data, Path):
            with data.open("rb") as file:
                return self._json(self._request("PUT", target, {}, Body(file)))
        return self._json(self._request("PUT", target, {}, Body(data)))

    def text(self, path: str, /, **query: Any) -> str:
        """Return a route's bytes as text."""
        return self._checked(self._request("GET", path, query)).content.decode(errors="replace")

    def download(self, path: str, file: Path, /, **query: Any) -> None:
        """Put what a route answers into a file; streamed. Raises BrokenOffError: the file holds a part."""
        request = self._request("GET", path, query)
        request.stream = True
        with self._checked(request) as answer, file.open("wb") as target:
            try:
                for chunk in answer.iter_content(_CHUNK):
                    target.write(chunk)
            except requests.RequestException:
                raise self._transport.broke_off(request) from None

    def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: object = None,
        data: Data = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send any request and return the answer as it is, also a refusal."""
        request = self._request(method, path, query or {}, Body(data) if json is None else _as_json(json))
        request.headers = dict(request.headers) | dict(headers or {})
        return self._transport.send(request, self._login, self._retries)

    def _like(self, **changes: Any) -> MarketClient:
        kept: dict[str, Any] = {
            "retries": self._retries,
            "prefix": self._prefix,
            "_login": self._login,
            "_transport": self._transport,
        }
        return MarketClient(self.url, **(kept | changes))

    def _request(self, method: str, path: str, query: Mapping[str, Any], body: Body | None = None) -> Request:
        body = body or Body(None)
        headers = {"Content-Type": body.media_type} if body.media_type else {}
        asked = {name: _as_text(value) for name, value in query.items()}
        return Request(method, self._prefix + path, asked, body, headers)

    def _json(self, request: Request) -> Any:
        answer = self._checked(request)
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise self._transport.no_market(request) from None

    def _checked(self, request: Request) -> requests.Response:
        answer = self._transport.send(request, self._login, self._retries)
        if not answer.ok or answer.is_redirect:
            with answer:
                raise refusal(request, answer)
        return answer


def _as_text(value: Any) -> Any:
    """Return a value of the query as the market writes it: `true` and `false` are small there."""
    return str(value).lower() if isinstance(value, bool) else value


def _as_json(body: object) -> Body:
    return Body(json.dumps(body).encode(), "application/json")
