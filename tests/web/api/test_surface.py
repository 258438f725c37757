"""What all routes share: problem documents, pages of lists, the shield, the document of the interface."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from marshmallow import Schema, fields

from market.kit.errors import BadInputError, MarketError, NotEnoughCreditError, OverLimitError
from market.kit.money import UCR_PER_CREDIT
from market.kit.paging import Listing, Page
from market.people.member import Member
from market.web.api import caller, openapi, query, routing, streams
from market.web.api.app import create_agent_app, create_app

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

    paging = query.Paging("name", "size")

    def things(page: Any) -> dict[str, Any]:
        return {"page": [page.limit, page.offset, page.order_by, page.descending]}

    things.__annotations__["page"] = Annotated[Page, paging.page]
    router.get("/things")(things)

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


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Headers of somebody who is logged in."""
    member = Member("0" * 32, "alice", "alice@example.org")
    monkeypatch.setattr(caller.logins, "of_token", lambda token: token)
    monkeypatch.setattr(caller.members, "of_login", lambda login: member)
    return {"Authorization": "Bearer token"}


def test_unknown_addresses(client: TestClient, somebody: dict[str, str]) -> None:
    for path in ("/api/v1/nowhere", "/api/v2/jobs", "/api/v1/jobs/", "/api/v1/users/me/more"):
        assert client.get(path).status_code == 401, path
        answer = client.get(path, headers=somebody)
        assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/jobs", "GET, HEAD, POST"),
        ("PATCH", "/api/v1/files/a/b", "DELETE, GET, HEAD, POST, PUT"),
        ("POST", "/api/v1/machines/" + "0" * 32, "DELETE, GET, HEAD"),
        ("GET", "/api/v1/jobs/" + "0" * 32 + "/cancel", "POST"),
        ("OPTIONS", "/api/v1/price", "GET, HEAD"),
    ],
)
def test_another_method_names_all_that_the_address_takes(
    client: TestClient, somebody: dict[str, str], method: str, path: str, allowed: str
) -> None:
    assert client.request(method, path).status_code == 401
    answer = client.request(method, path, headers=somebody)
    assert (answer.status_code, answer.headers["content-type"]) == (405, PROBLEM)
    assert answer.headers["allow"] == allowed


def test_another_method_of_a_public_address_needs_no_login(client: TestClient) -> None:
    answer = client.get("/api/v1/login")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = client.delete("/api/v1/health")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("sign", ["%0A", "%09", "%0D", "%00", "%7F", "%C2%85"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jobs{}", 404),
        ("/jobs/{}", 404),
        ("/jobs/" + "0" * 32 + "{}", 404),
        ("/health{}", 404),
        ("/files/a{}b", 422),
        ("/files/a{}", 422),
        ("/jobs/" + "0" * 32 + "/results/{}x", 422),
    ],
)
def test_a_control_character_in_an_address(
    client: TestClient, somebody: dict[str, str], sign: str, path: str, status: int
) -> None:
    for method in ("GET", "PUT", "DELETE", "POST"):
        answer = client.request(method, "/api/v1" + path.format(sign))
        assert (answer.status_code, answer.headers["content-type"]) == (401, PROBLEM)
        answer = client.request(method, "/api/v1" + path.format(sign), headers=somebody)
        assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
        assert ("errors" in answer.json()) is (status == 422)


def test_head_works_where_get_does(client: TestClient, somebody: dict[str, str]) -> None:
    streamed = []

    def bytes_() -> Iterator[bytes]:
        streamed.append(1)
        yield b"x" * 10

    router = routing.router()
    router.get("/stream")(lambda: streams.download(bytes_(), "a.bin", 10))
    client.app.include_router(router, prefix="/api/v1")  # type: ignore[attr-defined]
    for path in ("/api/v1/listed", "/api/v1/things?limit=2", "/api/v1/stream"):
        got, headed = client.get(path), client.head(path)
        assert (headed.status_code, headed.content) == (got.status_code, b"")
        assert headed.headers["content-length"] == got.headers["content-length"] == str(len(got.content))
        assert headed.headers["content-type"] == got.headers["content-type"]
    assert streamed == [1], "nothing is read for HEAD"
    assert client.head("/api/v1/raise/input").status_code == 422
    for route in client.app.routes:  # type: ignore[attr-defined]
        if "GET" in (route.methods or ()):
            assert "HEAD" in route.methods, route.path


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
        *(b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1' + b"0" * 5000 + b"}"),
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
        for method in (getattr(route, "methods", None) or set()) - {"HEAD"}:
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
        good = [
            answer
            for code, answer in operation["responses"].items()
            if code.startswith("2") and code != "206"
        ]
        assert len(good) == (2 if name == "POST /market/api/v1/jobs" else 1), name
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
        "GET /market/api/v1/secrets",
        "PUT /market/api/v1/secrets/{name}",
        "DELETE /market/api/v1/secrets/{name}",
    }
    assert wanted <= {name for name, _ in operations(document)}


def test_every_route_but_the_public_ones_asks_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token each answers 401, before it looks at anything else."""
    client = TestClient(create_app(), raise_server_exceptions=False)
    asked = 0
    routes = create_app().routes
    known = [route for route in routes if getattr(route, "openapi_extra", None)]
    public = {route.path for route in known if route.openapi_extra["public"]}  # type: ignore[attr-defined]
    for route in routes:
        if (getattr(route, "openapi_extra", None) or {}).get("public", True):
            continue
        path = re.sub(r"{(\w+)(:path)?}", "0" * 32, route.path)  # type: ignore[attr-defined]
        every = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
        # Of an address where another method is for everybody, its own methods.
        for method in sorted(route.methods if route.path in public else every):  # type: ignore[attr-defined]
            answer = client.request(method, path)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["content-type"] == PROBLEM
            asked += 1
    assert asked > 200


# What programs that read the document rely on


def test_each_parameter_of_the_query_has_a_type_and_what_bounds_it(document: dict[str, Any]) -> None:
    found = {
        (name, one["name"]): one["schema"]
        for name, operation in operations(document)
        for one in operation["parameters"]
        if one["in"] == "query"
    }
    for place, schema in found.items():
        if schema["type"] == "integer":
            assert {"minimum", "maximum"} <= set(schema), place
        elif schema["type"] == "string" and place[1] != "path":
            assert "maxLength" in schema or len(schema["enum"]) > 1, place
    assert found["GET /market/api/v1/jobs", "limit"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 200,
        "default": 50,
    }
    assert "-added_time" in found["GET /market/api/v1/jobs", "order_by"]["enum"]
    assert found["POST /market/api/v1/jobs", "dry_run"]["type"] == "boolean"


def test_a_dry_run_s_answer_is_documented(document: dict[str, Any]) -> None:
    answers = document["paths"]["/market/api/v1/jobs"]["post"]["responses"]
    shown = {code: answers[code]["content"]["application/json"]["schema"]["$ref"] for code in ("200", "201")}
    assert shown == {"200": "#/components/schemas/Quoted", "201": "#/components/schemas/Submitted"}


def test_bad_input_is_documented_where_it_may_come(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        takes = "requestBody" in operation or any(one["in"] != "path" for one in operation["parameters"])
        assert takes <= ("422" in operation["responses"]), name
        assert ("requestBody" in operation) <= {"408", "413"}.issubset(operation["responses"]), name


@pytest.mark.parametrize("app", [create_app, create_agent_app])
def test_generators_of_clients_find_no_two_things_of_one_name(app: Callable[[], FastAPI]) -> None:
    """They name a class and a file after each schema, each choice, and each object inside another."""
    document = openapi.document(app())
    schemas = document["components"]["schemas"]
    classes = ["File", "Response", "Unset", "Client", "AuthenticatedClient", *schemas]
    for name, schema in schemas.items():
        for part, inner in schema.get("properties", {}).items():
            # A variable for a list of points, and one for the whole, Points.
            file = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
            assert inner.get("type") != "array" or file != part, name
            inner = inner.get("items", inner)
            if "enum" in inner or ("object" in inner.get("type", ()) and "$ref" not in inner):
                classes.append(name + part.title().replace("_", ""))
    for _, operation in operations(document):
        for one in operation["parameters"]:
            if "enum" in one["schema"]:
                classes.append((operation["operationId"] + "_" + one["name"]).title().replace("_", ""))
    lower = [name.lower() for name in classes]
    assert sorted(lower) == sorted(set(lower))


def test_text_is_text_and_bytes_are_bytes(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for answer in operation["responses"].values():
            for media, content in answer.get("content", {}).items():
                if media.startswith("text/"):
                    assert content["schema"] == {"type": "string"}, name
                elif not media.endswith("json"):
                    assert content["schema"]["format"] == "binary", name


def test_a_role_that_is_missing_is_403() -> None:
    with pytest.raises(MarketError) as caught:
        caller.admin(Member("0" * 32, "alice", "alice@example.org"))
    assert caught.value.status == 403
