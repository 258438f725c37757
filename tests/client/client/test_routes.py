"""The client has every route of the market's own document, and asks as it says."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
import write_routes
from servers import Answer, Received, serving

from distributedmarket.client import ONCE, MarketClient
from distributedmarket.sdk.routes import Routes

DOCUMENT = write_routes.document()
OPERATIONS = [*write_routes.operations(DOCUMENT)]


def test_what_was_written_is_current() -> None:
    for file, text in write_routes.files(DOCUMENT).items():
        assert file.read_text() == text, (
            f"run: PYTHONPATH=plugins:client python tools/write_routes.py ({file})"
        )


@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[str(one[2]["operationId"]) for one in OPERATIONS]
)
def test_every_route_is_asked_for_as_the_document_says(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    """Call the method with a value for each parameter, and look at what reaches the other side."""
    received: list[Received] = []

    def answer(request: Received) -> Answer:
        received.append(request)
        return 200, {"Content-Type": "application/json"}, b"{}"

    with serving(answer) as port:
        called = getattr(
            Routes(MarketClient(f"http://127.0.0.1:{port}", retries=ONCE)), operation["operationId"]
        )
        values = {name: _value(name) for name in inspect.signature(called).parameters}
        found = called(**values)
        if hasattr(found, "close"):
            found.close()
    (request,) = received
    asked, _, query = request.path.partition("?")
    assert request.method == method
    expected = path
    for one in operation["parameters"]:
        if one["in"] == "path":
            expected = expected.replace(f"{{{one['name']}}}", "a%20b" if one["name"] != "path" else "a%20b/c")
        elif one["in"] == "query" and one["name"] != "format":
            assert f"{one['name']}=" in query
        elif one["in"] == "header":
            assert request.headers.get(one["name"])
    assert asked == f"{write_routes.PREFIX}{expected}"
    takes = operation.get("requestBody", {}).get("content", {})
    if "application/json" in takes:
        assert json.loads(request.body) == {"a": 1}
    elif takes:
        assert request.body == b"bytes"


def _value(name: str) -> Any:
    """Return something to send for a parameter of a method."""
    values = {
        "body": {"a": 1},
        "data": b"bytes",
        "format": "csv",
        "path": "a b/c",
        "dry_run": True,
        "now": True,
    }
    numbers = ("limit", "offset", "length", "tail", "wait")
    return values.get(name, 7 if name in numbers else "a b")


def test_a_truth_is_written_as_the_market_reads_it() -> None:
    received: list[Received] = []

    def answer(request: Received) -> Answer:
        received.append(request)
        return 200, {}, b'{"quote": {}}'

    with serving(answer) as port:
        routes = Routes(MarketClient(f"http://127.0.0.1:{port}", retries=ONCE))
        routes.submit_job({"root_path": "a", "core_num": 1, "machine_type": "cpu"}, dry_run=True)
    assert received[0].path.endswith("/jobs?dry_run=true")
