"""The log pane's own scripts, against servers that play the market: what it shows, marks and finds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import servers
from system.browser.conftest import Page

from market.web import pages

pytestmark = pytest.mark.browser

CHUNK = 256 * 1024  # what the script reads at once
TEXT = "Wärme 温度 🎈 Ende\n"
STATIC = Path(pages.__file__).parent / "static"
HTML = """<!doctype html><meta charset=utf-8>
<div data-job=1 data-status=running data-open><div id=log-viewer hidden>
<select id=log-file></select><input type=checkbox id=log-follow checked><a id=log-download></a>
<input type=checkbox id=log-wrap checked>
<input id=log-search><button id=log-back></button><button id=log-on></button><span id=log-count></span>
<pre id=log-text></pre><p id=log-note></p></div><div id=failure hidden><p></p><pre></pre></div></div>
<script>
const market = {
  api: "", size: String, get: async (path) => (await fetch(path)).json(),
  poll: async (work, ms) => { await work(); setTimeout(() => market.poll(work, ms), 20); },
};
</script><script src=/logtext.js></script><script src=/logs.js></script>"""


class Log:
    """Answers as the market, one byte of a file each time; `before` is the rest of a letter before it."""

    def __init__(self, before: bytes) -> None:
        self.bytes = before + TEXT.encode()
        # Of a longer file the pane begins at an offset: here just behind the first byte of a letter.
        self.begin = 1 if before else 0
        self.size = self.begin + CHUNK if before else len(self.bytes)

    def answer(self, path: str, _: Mapping[str, str]) -> servers.Answer:
        address = urlsplit(path)
        if address.path == "/":
            return 200, {"Content-Type": "text/html"}, HTML.encode()
        if address.path.endswith(".js"):
            return 200, {"Content-Type": "text/javascript"}, (STATIC / address.path[1:]).read_bytes()
        if address.path == "/jobs/1/logs":
            file = {"container_id": "c_1", "role": "driver", "host": "h", "file": "stdout", "size": self.size}
            return 200, {"Content-Type": "application/json"}, json.dumps({"files": [file]}).encode()
        if "offset" not in parse_qs(address.query):
            return 404, {}, b""
        begin = int(parse_qs(address.query)["offset"][0]) - self.begin
        return 200, {}, self.bytes[begin : begin + 1]


@pytest.mark.parametrize("before", [b"", "\u00e4".encode()[1:], "🎈".encode()[1:]])
def test_a_letter_that_comes_in_pieces_is_shown_whole(page: Page, before: bytes) -> None:
    with servers.answering(Log(before).answer) as port:
        page.driver.switch_to.default_content()
        page.driver.get(f"http://127.0.0.1:{port}/")
        pane = page.find("#log-text")
        page.until(lambda: pane.get_property("textContent") == TEXT, "the whole text and nothing else")
        page.driver.get("about:blank")


NOISE = "".join(f"26/11/30 09:00:00 INFO Executor: task {number}\n" for number in range(400))
ERROR = """Traceback (most recent call last):
  File "/tmp/spark/main.py", line 7, in <module>
    divide(1, 0)
  File "/tmp/spark/util.py", line 2, in divide
    return a / b
ZeroDivisionError: division by zero
"""
FILES = {
    "stderr": "WARNING: Using incubator modules\n26/11/30 09:00:01 ERROR Master: exited with 1\n" + NOISE,
    "stdout": NOISE + ERROR + NOISE,
}
FAILED = (
    HTML.replace("data-status=running data-open", "data-status=failed data-program=main.py")
    .replace("id=log-follow checked", "id=log-follow")
    .replace("<pre id=log-text>", "<pre id=log-text style='height: 200px; overflow: auto'>")
    .replace("poll: async", "ask: (method, path) => fetch(path), poll: async")
)


def failed(path: str, _: Mapping[str, str]) -> servers.Answer:
    """Answer as the market does of a job that failed."""
    address = urlsplit(path)
    if address.path == "/":
        return 200, {"Content-Type": "text/html"}, FAILED.encode()
    if address.path.endswith(".js"):
        return 200, {"Content-Type": "text/javascript"}, (STATIC / address.path[1:]).read_bytes()
    if address.path == "/jobs/1/logs":
        common = {"container_id": "c_1", "role": "driver", "host": "h"}
        listed = [{**common, "file": name, "size": len(text)} for name, text in FILES.items()]
        return 200, {"Content-Type": "application/json"}, json.dumps({"files": listed}).encode()
    text = FILES.get(address.path.rpartition("/")[2])
    if text is None:
        return 404, {}, b""
    query = parse_qs(address.query)
    if "tail" in query:
        return 200, {}, text.encode()[-int(query["tail"][0]) :]
    begin = int(query["offset"][0])
    return 200, {}, text.encode()[begin : begin + int(query["length"][0])]


def test_of_a_failed_job_it_opens_at_the_error_and_finds_words(page: Page) -> None:
    with servers.answering(failed) as port:
        page.driver.switch_to.default_content()
        page.driver.get(f"http://127.0.0.1:{port}/")
        page.shows("Where it failed: main.py, line 7: divide(1, 0)")
        assert page.find("#failure pre").text.endswith("ZeroDivisionError: division by zero")
        assert page.find("#log-file").get_attribute("value") == "c_1/stdout"
        pane = page.find("#log-text")
        page.until(lambda: pane.get_property("textContent") == FILES["stdout"], "the whole text")
        assert page.find("#log-text .bad").text.strip() == ERROR.strip()
        inside = (
            "const [pane, bad] = arguments[0].map((one) => one.getBoundingClientRect());"
            "return bad.top >= pane.top && bad.top < pane.bottom;"
        )
        marked = page.find("#log-text .bad")
        page.until(lambda: page.driver.execute_script(inside, [pane, marked]), "the error in sight")
        page.find("#log-search").send_keys("TASK 39")
        page.until(lambda: page.find("#log-count").text == "22 of 22", "as many as there are")
        page.find("#log-on").click()
        assert page.find("#log-count").text == "1 of 22"
        page.find("#log-search").send_keys(" nowhere")
        page.until(lambda: page.find("#log-count").text == "not found", "words for none")
        page.find("#log-wrap").click()
        assert "unwrapped" in (pane.get_attribute("class") or "")
        page.driver.get("about:blank")
