"""What all routes share: problem documents, pages of lists, the shield, the document of the interface."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from marshmallow import Schema, fields

from market.kit.errors import BadInputError, MarketError, NotEnoughCreditError, OverLimitError
from market.kit.money import UCR_PER_CREDIT
from market.kit.paging import Listing, Page
from market.people.member import Member
from market.web.api import caller, openapi, routing
from market.web.api.app import create_app

PROBLEM = "application/problem+json"


class ThingSchema(Schema):
    """A row of a list."""

    name = fields.String()


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = create_app()
    router = routing.router()
    errors: dict[str, Exception] = {
        "input": BadInputError({"core_num": ["must be at most 64"]}),
        "credit": NotEnoughCreditError(UCR_PER_CREDIT, 3 * UCR_PER_CREDIT),
        "limit": OverLimitError("Too many open jobs.", retry_after_s=7),
        "fault": RuntimeError("the secret is swordfish"),
    }

    @router.get("/raise/{which}")
    def raises(which: str) -> None:
        raise errors[which]

    @router.get("/things")
    def things(page: Annotated[Page, routing.page("name", "size")]) -> dict[str, Any]:
        return {"page": [page.limit, page.offset, page.order_by, page.descending]}

    @router.get("/listed")
    def listed() -> dict[str, Any]:
        return routing.listed("things", ThingSchema, Listing([{"name": "a"}, {"name": "b"}], 7))

    @router.post("/body")
    async def body(request: Request, body: routing.Json) -> Any:
        return body

    app.include_router(router, prefix="/api/v1")
    return TestClient(app, raise_server_exceptions=False)


def test_each_error_is_a_problem_document_with_its_members(client: TestClient) -> None:
    answer = client.get("/api/v1/raise/input")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["errors"] == {"core_num": ["must be at most 64"]}
    assert "core_num" in answer.json()["detail"]
    answer = client.get("/api/v1/raise/credit")
    assert answer.status_code == 402
    assert (answer.json()["available"], answer.json()["needed"]) == ("1.000000", "3.000000")
    answer = client.get("/api/v1/raise/limit")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"


def test_a_fault_shows_a_number_and_nothing_of_itself(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/api/v1/raise/fault")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == PROBLEM
    for word in ("swordfish", "Traceback", "RuntimeError", ".py"):
        assert word not in answer.text
    number = re.search(r"incident (\w+)", answer.json()["detail"])
    assert number is not None
    assert number.group(1) in caplog.text
    assert "swordfish" in caplog.text


def test_unknown_addresses_and_methods(client: TestClient) -> None:
    assert client.get("/api/v1/nowhere").headers["content-type"] == PROBLEM
    answer = client.put("/api/v1/listed")
    assert (answer.status_code, answer.headers["content-type"]) == (405, PROBLEM)


def test_every_answer_forbids_caching_and_sniffing(client: TestClient) -> None:
    for path in ("/api/v1/listed", "/api/v1/nowhere", "/api/v1/raise/fault"):
        answer = client.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("", [50, 0, "", True]),
        ("limit=200&offset=10", [200, 10, "", True]),
        ("order_by=name", [50, 0, "name", False]),
        ("order_by=-size", [50, 0, "size", True]),
    ],
)
def test_a_page_is_what_the_query_says(client: TestClient, query: str, page: list[object]) -> None:
    assert client.get(f"/api/v1/things?{query}").json() == {"page": page}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1.5",
        "limit=",
        "limit=%D9%A3",
        "offset=-1",
        "offset=1e3",
        "offset=99999999999999999999999",
        "order_by=password",
        "order_by=--name",
        "order_by=name;drop",
    ],
)
def test_a_page_that_is_none(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/v1/things?{query}")
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [query.split("=", 1)[0]]


def test_a_list_says_how_many_there_are(client: TestClient) -> None:
    assert client.get("/api/v1/listed").json() == {"things": [{"name": "a"}, {"name": "b"}], "total": 7}


@pytest.mark.parametrize(
    "sent",
    [
        *(b"{", b"[1]", b"null", b"NaN", b"\xff", b"[" * 100_000, b'{"a": "\\u0000"}', b'{"\\ud800": 1}'),
        *(b'{"a": ' * depth + b"1" + b"}" * depth for depth in (400, 700, 960)),
    ],
)
def test_a_body_that_no_route_takes(client: TestClient, sent: bytes) -> None:
    assert client.post("/api/v1/body", content=sent).status_code == 422


def test_a_body_above_the_limit(client: TestClient) -> None:
    assert client.post("/api/v1/body", content=b"[" + b" " * (1 << 20)).status_code == 413


# The document of the interface


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document(create_app())


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_each_route_is_documented(document: dict[str, Any]) -> None:
    described = {name for name, _ in operations(document)}
    for route in create_app().routes:
        path = getattr(route, "path_format", "").replace(":path", "")
        for method in getattr(route, "methods", None) or ():
            assert f"{method} /market{path}" in described
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["tags"], name
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_each_parameter_of_a_path_is_declared(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        declared = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", name)), name


def test_no_reference_leads_nowhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references
    assert references <= known


def test_what_goes_in_and_comes_out_has_a_schema(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        good = [answer for code, answer in operation["responses"].items() if code.startswith("2")]
        assert len(good) == 1, name
        if "204" not in operation["responses"]:
            assert all(media["schema"] or True for media in good[0]["content"].values()), name
        public = operation["security"] == []
        assert ("401" in operation["responses"]) is (not public or name.endswith("/login")), name


def test_the_routes_of_jobs_and_files_are_all_there(document: dict[str, Any]) -> None:
    job = "/market/api/v1/jobs/{job_id}"
    wanted = {
        "POST /market/api/v1/jobs",
        "GET /market/api/v1/jobs",
        f"GET {job}",
        f"DELETE {job}",
        f"POST {job}/cancel",
        f"POST {job}/extend",
        f"GET {job}/receipt",
        f"GET {job}/progress",
        f"GET {job}/results",
        f"GET {job}/results/{{path}}",
        f"GET {job}/logs",
        f"GET {job}/logs/{{container_id}}/{{file}}",
        "GET /market/api/v1/files",
        "GET /market/api/v1/files/{path}",
        "PUT /market/api/v1/files/{path}",
        "DELETE /market/api/v1/files/{path}",
    }
    assert wanted <= {name for name, _ in operations(document)}


def test_every_route_but_the_public_ones_asks_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token each answers 401, before it looks at anything else."""
    client = TestClient(create_app(), raise_server_exceptions=False)
    asked = 0
    for route in create_app().routes:
        if (getattr(route, "openapi_extra", None) or {}).get("public", True):
            continue
        path = re.sub(r"{(\w+)(:path)?}", "0" * 32, route.path)  # type: ignore[attr-defined]
        for method in route.methods:  # type: ignore[attr-defined]
            answer = client.request(method, path)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["content-type"] == PROBLEM
            asked += 1
    assert asked > 20


def test_a_role_that_is_missing_is_403() -> None:
    with pytest.raises(MarketError) as caught:
        caller.admin(Member("0" * 32, "alice", "alice@example.org"))
    assert caught.value.status == 403
