"""Files that come from a market: whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers import Answer, Received, serving

from distributedmarket.client import ONCE, BrokenOffError, MarketClient, MarketClientError
from distributedmarket.client.retries import Retries
from distributedmarket.sdk.files import Files
from distributedmarket.sdk.routes import Routes
from distributedmarket.sdk.transfer import below, download

WHOLE = bytes(range(256)) * 400
QUICK = Retries(attempts=3, first_s=0.01)


class Source:
    """Serves a file in pieces: each answer breaks off after this many bytes."""

    def __init__(self, piece: int) -> None:
        self.piece = piece
        self.version, self.data = '"1"', WHOLE
        self.ranges: list[str] = []

    def __call__(self, request: Received) -> Answer:
        span = request.headers.get("Range", "")
        self.ranges.append(span)
        begin = int(span.removeprefix("bytes=").rstrip("-") or 0)
        if request.headers.get("If-Range", self.version) != self.version:
            begin = 0
        rest = self.data[begin:]
        headers = {"ETag": self.version, "Content-Length": str(len(rest))}
        return 206 if begin else 200, headers, rest[: self.piece]


def fetched(source: Source, target: Path) -> None:
    with serving(source) as port:
        routes = Routes(MarketClient(f"http://127.0.0.1:{port}", retries=ONCE))
        download(lambda span, tag: routes.download_file("a", range=span, if_range=tag), target, QUICK)


def test_a_download_that_breaks_off_goes_on_where_it_was(tmp_path: Path) -> None:
    source = Source(piece=40000)
    fetched(source, tmp_path / "folder" / "file")
    assert (tmp_path / "folder" / "file").read_bytes() == WHOLE
    assert source.ranges == ["", "bytes=32768-", "bytes=65536-"]
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]


def test_another_version_begins_anew(tmp_path: Path) -> None:
    class Changing(Source):
        def __call__(self, request: Received) -> Answer:
            if self.ranges:
                self.version, self.data, self.piece = '"2"', WHOLE[::-1], len(WHOLE)
            return super().__call__(request)

    fetched(Changing(piece=40000), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == WHOLE[::-1]


def test_one_that_gets_no_further_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(BrokenOffError):
        fetched(Source(piece=0), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a/../../b", "", "a\0b"])
def test_no_name_of_the_market_s_leads_out_of_the_folder(path: str, tmp_path: Path) -> None:
    with pytest.raises(MarketClientError, match="would lie elsewhere"):
        below(tmp_path, path)


def test_a_file_goes_into_a_folder_under_its_own_name(tmp_path: Path) -> None:
    with serving(Source(piece=len(WHOLE))) as port:
        files = Files(Routes(MarketClient(f"http://127.0.0.1:{port}", retries=ONCE)))
        assert files.get("work/data.csv", tmp_path) == tmp_path / "data.csv"
