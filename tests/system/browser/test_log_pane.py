"""The log pane's own script, against a server that cuts letters between two answers."""

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
SCRIPT = Path(pages.__file__).parent / "static" / "logs.js"
HTML = """<!doctype html><meta charset=utf-8>
<div data-job=1 data-status=running data-open><div id=log-viewer hidden>
<select id=log-file></select><input type=checkbox id=log-follow checked><a id=log-download></a>
<pre id=log-text></pre><p id=log-note></p></div></div>
<script>
const market = {
  api: "", size: String, get: async (path) => (await fetch(path)).json(),
  poll: async (work, ms) => { await work(); setTimeout(() => market.poll(work, ms), 20); },
};
</script><script src=/logs.js></script>"""


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
        if address.path == "/logs.js":
            return 200, {"Content-Type": "text/javascript"}, SCRIPT.read_bytes()
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
