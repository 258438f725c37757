"""An operator looks at a page that asks for a ticket."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from servers import answering

from market.cluster import tickets
from market.kit import settings
from market.kit.settings import Security
from market.ops.cli import look
from market.ops.run import secrets


def test_a_page_is_shown_to_who_holds_the_market_s_key(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    loaded = replace(settings.load(tmp_path), security=Security(mode=settings.KERBEROS))
    secrets.generate(loaded.paths)

    def page(path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        known = headers.get("Authorization", "").startswith(f"{tickets.SCHEME} market|nm/127.0.0.1|")
        return (200, {}, b"<html>\xff") if known else (401, {}, b"who?")

    with answering(page) as port:
        chosen = argparse.Namespace(url=f"http://127.0.0.1:{port}/node")
        assert look.run(loaded, chosen) == 0
        assert capfdbinary.readouterr().out == b"<html>\xff"
        assert look.run(replace(loaded, security=Security(mode=settings.SIMPLE)), chosen) == 1
        shown = capfdbinary.readouterr()
    assert shown.out == b"who?"
    assert b"answered 401" in shown.err
