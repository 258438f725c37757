"""What a job left on its page: the page's own scripts, against a server that plays the market."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import servers
from system.browser.conftest import Page

from market.web import pages

pytestmark = pytest.mark.browser

STATIC = Path(pages.__file__).parent / "static"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
FILES = {
    "loss.png": PICTURE,
    "metrics.json": b'{"accuracy": 0.9547123, "note": "x", "epochs": 3}',
    "model/_SUCCESS": b"",
    "model/part-0.json": b'{"a": 1}',
    "page.html": b"<script>document.title = 'taken'</script><b>bold</b>",
    "picture.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='document.title=1'/>",
    "weights.bin": b"\x00\x01\x02",
    "k=1/\xc3\xbc b.csv": b"n\n1\n",
}
TABLE = {"columns": [{"name": "n", "type": "text"}], "rows": [["<i>1</i>"], [None]], "more": True}
HTML = """<!doctype html><title>Results</title><meta charset=utf-8><body data-api="" data-front="/">
<main id=main><h1>x</h1><a id=result-zip hidden></a><dl id=result-figures hidden></dl>
<div id=result-list data-empty=None></div>
<div id=result-view hidden><h3 id=result-name tabindex=-1></h3><button id=result-close>Close</button>
<div id=result-shown></div><p id=result-note></p></div></main>
<script src=/market.js></script><script src=/session.js></script><script src=/results.js></script>
<script>market.results("1"); market.results("1");</script>"""
# As every page of the market is sent.
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline';"
    " script-src 'self' 'unsafe-inline'"  # for this test's own line
)


def market(path: str, _: Mapping[str, str]) -> servers.Answer:
    place = unquote(urlsplit(path).path)
    if place == "/":
        return 200, {"Content-Type": "text/html", "Content-Security-Policy": POLICY}, HTML.encode()
    if place.endswith(".js"):
        return 200, {"Content-Type": "text/javascript"}, (STATIC / place[1:]).read_bytes()
    if place == "/jobs/1/results":
        files = [{"path": name, "size": len(data), "sha256": None} for name, data in listed().items()]
        return 200, {"Content-Type": "application/json"}, json.dumps({"files": files}).encode()
    if place.startswith("/jobs/1/tables/"):
        return 200, {"Content-Type": "application/json"}, json.dumps(TABLE).encode()
    data = listed().get(place.removeprefix("/jobs/1/results/"))
    return (404, {}, b"") if data is None else (200, {"Content-Type": "application/octet-stream"}, data)


def listed() -> dict[str, bytes]:
    return {name.encode("latin-1").decode(): data for name, data in FILES.items()}


def test_a_tree_with_figures_and_each_file_looked_at_as_what_it_is(page: Page) -> None:
    with servers.answering(market) as port:
        page.driver.switch_to.default_content()
        page.driver.get(f"http://127.0.0.1:{port}/")
        page.shows(f"Download all (8 files, {sum(map(len, FILES.values()))} B)")
        page.until(lambda: "0.954712" in page.find("#result-figures").text, "the figures of metrics.json")
        tree = page.find("#result-list")
        assert "model/" in tree.text
        assert "Markers of Spark's" in tree.text
        assert "_SUCCESS" not in tree.text

        def look(name: str) -> str:
            page.find(f'button[aria-label="View {name}"]').click()
            page.until(lambda: page.find("#result-name").text == name, name)
            page.until(lambda: page.find("#result-note").text != "Loading …", "what it is")
            return page.find("#result-shown").text

        assert look("page.html") == FILES["page.html"].decode()
        assert look("picture.svg") == FILES["picture.svg"].decode()
        assert look("weights.bin") == ""
        assert "no text" in page.find("#result-note").text
        look("loss.png")
        image = page.find("#result-shown img")
        assert (image.get_attribute("src") or "").startswith("data:image/png;base64,")
        page.until(
            lambda: page.driver.execute_script("return arguments[0].naturalWidth", image), "its pixels"
        )
        assert "<i>1</i>" in look("k=1/ü b.csv")
        assert "2 rows; the file has more." in page.find("#result-note").text
        assert page.driver.title == "Results"
        page.find("#result-close").click()
        assert not page.find("#result-view").is_displayed()
        page.driver.get("about:blank")
