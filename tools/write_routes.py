"""Write the client's models and routes from the market's OpenAPI document: `python tools/write_routes.py`.

The package in `client/` is installed without the market, so what it knows of the interface lies there as
code. A test holds it to the document.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from market.web.api import openapi
from market.web.api.app import create_app

SDK = Path(__file__).parents[1] / "client" / "distributedmarket" / "sdk"
MODELS, ROUTES = SDK / "models.py", SDK / "routes.py"
PREFIX = "/market/api/v1"
_KEY = "Idempotency-Key"
_JSON = "application/json"
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_NOTE = "\n\nMade by tools/write_routes.py from the OpenAPI document: change the market instead.\n"
_COLUMNS = 106
_SUMMARY = 95

Document = Mapping[str, Any]


def main() -> None:
    """Write both files."""
    for file, text in files(document()).items():
        file.write_text(text)


def document() -> Document:
    """Return the document of the market of this clone."""
    return openapi.document(create_app())


def files(described: Document) -> dict[Path, str]:
    """Return what the files are to hold, formatted."""
    return {
        file: formatted(text, file)
        for file, text in ((MODELS, models(described)), (ROUTES, routes(described)))
    }


def formatted(text: str, file: Path) -> str:
    """Return a module's text as ruff writes it."""
    ruff = Path(sys.executable).with_name("ruff")
    words = [str(ruff), "format", "--quiet", "--stdin-filename", str(file), "-"]
    return subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout


# --- models -----------------------------------------------------------------------------------------------


def models(described: Document) -> str:
    """Return the module of the schemas, each as a TypedDict: what is sent and answered, as it is."""
    schemas = described["components"]["schemas"]
    classes = "\n\n".join(_model(name, schemas[name]) for name in sorted(schemas))
    return (
        f'"""What the market takes and answers. {_NOTE}"""\n\n'
        "from __future__ import annotations\n\n"
        "from typing import TYPE_CHECKING, Any, Literal, TypedDict\n\n"
        "if TYPE_CHECKING:\n    from typing import NotRequired  # from Python 3.11 on\n\n\n"
        f"{classes}\n"
    )


def _model(name: str, schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    lines = [f"class {name}(TypedDict):"]
    summary = schema.get("description") or f"`{name}` of the OpenAPI document."
    lines.append(f'    """{summary}"""\n')
    for field, described in schema.get("properties", {}).items():
        if words := described.get("description"):
            lines += textwrap.wrap(words, _COLUMNS, initial_indent="    # ", subsequent_indent="    # ")
        kind = _type(described)
        lines.append(f"    {field}: {kind if field in required else f'NotRequired[{kind}]'}")
    return "\n".join(lines) + "\n"


def _type(schema: Mapping[str, Any], scope: str = "") -> str:
    """Return the annotation of a schema; `scope` is what the names of models stand behind."""
    if "$ref" in schema:
        return scope + str(schema["$ref"]).rpartition("/")[2]
    kinds = schema.get("type")
    if kinds is None:
        return "Any"
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return " | ".join(dict.fromkeys(_of_kind(kind, schema, scope) for kind in kinds))


def _of_kind(kind: str, schema: Mapping[str, Any], scope: str) -> str:
    if kind == "array":
        return f"list[{_type(schema.get('items', {}), scope)}]"
    if kind == "object":
        return f"dict[str, {_type(schema.get('additionalProperties') or {}, scope)}]"
    if kind == "string" and "enum" in schema:
        return f"Literal[{', '.join(json.dumps(word) for word in schema['enum'] if word is not None)}]"
    return _SCALARS[kind]


# --- routes -----------------------------------------------------------------------------------------------


def operations(described: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield every operation: method, path below the prefix, description."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path.removeprefix(PREFIX), operation


def routes(described: Document) -> str:
    """Return the module with a method for every operation, and another where it answers other types, too."""
    methods = [text for one in operations(described) for text in _methods(*one)]
    return (
        f'"""Every route of the market as a method. {_NOTE}"""\n\n'
        "from __future__ import annotations\n\n"
        "from pathlib import Path\n"
        "from typing import Any, Literal\n"
        "from urllib.parse import quote\n\n"
        "import requests\n\n"
        "from distributedmarket.client import MarketClient\n"
        "from distributedmarket.client.body import Data\n"
        "from distributedmarket.sdk import models\n\n\n"
        "class Routes:\n"
        '    """One method for each operation of the interface, by its name there.\n\n'
        "    A `key` repeats an earlier call with the same body: the first answer comes again. Bytes and\n"
        "    text come as an open answer, to be read and closed. Each raises MarketApiError for a refusal,\n"
        '    with its problem document, and UnreachableError.\n    """\n\n'
        "    def __init__(self, client: MarketClient) -> None:\n"
        "        self._client = client\n\n" + "\n\n".join(methods) + "\n"
    )


def _methods(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    answers = _answers(operation)
    whole = [answer for media, answer in answers if media == _JSON]
    other = [media for media, _ in answers if media != _JSON]
    if whole or not answers:
        yield _method(method, path, operation, " | ".join(dict.fromkeys(whole)) or "None")
    if other:
        formats = whole and _parameter(operation, "format")
        yield _method(method, path, operation, "", suffix="_as" if formats else "")


def _answers(operation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the good answers: (media type, annotation)."""
    found = []
    for status in sorted(operation["responses"]):
        if status.startswith("2"):
            for media, content in operation["responses"][status].get("content", {}).items():
                found.append((media, _type(content["schema"], "models.")))
    return found


def _method(method: str, path: str, operation: Mapping[str, Any], gives: str, suffix: str = "") -> str:
    """Return a method's text; without `gives` it returns the open answer."""
    inside = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
    query, headers = _given(operation, "query"), _given(operation, "header")
    takes = operation.get("requestBody", {}).get("content", {})
    parts, named = [f"{name}: str" for name in inside], []
    sent = [json.dumps(method), _address(path, inside)]
    if _JSON in takes:
        optional = "" if operation["requestBody"]["required"] else " | None = None"
        parts.append(f"body: {_type(takes[_JSON]['schema'], 'models.')}{optional}")
        sent.append("body=body")
    elif takes:
        parts.append("data: Path | Data")
        sent.append("data=data")
    if suffix:  # the form is what the caller wants, and JSON has a method of its own
        forms = [word for word in query["format"]["schema"]["enum"] if word != "json"]
        parts.append(f"format: Literal[{', '.join(map(json.dumps, forms))}]")
    chosen = {name: one for name, one in query.items() if name != "format"}
    named += [f"{name}: {_type(one['schema'])} | None = None" for name, one in chosen.items()]
    if query:
        asked = [f'"{name}": {name}' for name in query if name != "format" or suffix]
        sent.append(f"query={{{', '.join(asked)}}}")
    if not gives:
        named += [f"{_snake(name)}: str | None = None" for name in headers]
        if headers:
            passed = [f'"{name}": {_snake(name)}' for name in headers]
            sent.append(f"headers={{{', '.join(passed)}}}")
    if keyed := any(one["name"] == _KEY for one in operation["parameters"]):
        named.append("key: str | None = None")
    if method == "POST":
        sent.append("key=key" if keyed else 'key=""')
    signature = ", ".join(["self", *parts, *(["*", *named] if named else [])])
    summary = _summary(operation) if not suffix else "Do the same, answered in another form."
    call = f"self._client.{'call' if gives else 'stream'}({', '.join(sent)})"
    body = {
        "": f"        return {call}",
        "None": f"        {call}",
    }.get(gives, f"        answer: {gives} = {call}\n        return answer")
    name = f"{operation['operationId']}{suffix}"
    return (
        f'    def {name}({signature}) -> {gives or "requests.Response"}:\n        """{summary}"""\n{body}\n'
    )


def _summary(operation: Mapping[str, Any]) -> str:
    """Return the docstring of a method; what does not fit in one line goes below."""
    summary = f"{operation['summary'].rstrip('.')}."
    first, _, rest = summary.partition("; ")
    if len(summary) <= _SUMMARY or not rest:
        return summary
    return f"{first}.\n\n        {rest[0].upper()}{rest[1:]}\n        "


def _given(operation: Mapping[str, Any], where: str) -> dict[str, Mapping[str, Any]]:
    return {one["name"]: one for one in operation["parameters"] if one["in"] == where and one["name"] != _KEY}


def _parameter(operation: Mapping[str, Any], name: str) -> bool:
    return any(one["name"] == name for one in operation["parameters"])


def _address(path: str, inside: list[str]) -> str:
    """Return the text of a path; only the last part of one of files may hold slashes."""
    if not inside:
        return json.dumps(path)
    for name in inside:
        escaped = "quote(path)" if name == "path" else f"quote({name}, safe='')"
        path = path.replace(f"{{{name}}}", f"{{{escaped}}}")
    return f'f"{path}"'


def _snake(header: str) -> str:
    return re.sub(r"[^a-z]+", "_", header.lower())


if __name__ == "__main__":
    main()
