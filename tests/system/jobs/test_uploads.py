"""Uploads to HDFS beside some that stall."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from people import Person, person

from market.kit import settings

pytestmark = pytest.mark.cluster


def test_twenty_stalled_uploads_stop_nobody_s(stack: settings.Settings, buyer: Person) -> None:
    idle = person(stack, "idle")
    at = urlsplit(stack.url("api"))
    stalled: list[socket.socket] = []
    with ExitStack() as opened:
        for number in range(20):
            line = opened.enter_context(socket.create_connection((at.hostname, at.port), timeout=30))
            head = [
                f"PUT /market/api/v1/files/stalled/{number}.bin HTTP/1.1",
                f"Host: {at.netloc}",
                f"Authorization: Bearer {idle.rest.token}",
                f"Content-Length: {64 << 20}",
            ]
            line.sendall("\r\n".join([*head, "", ""]).encode())
            line.send(b"x" * (1 << 20))  # as much as fits: those that wait for their turn are not read
            stalled.append(line)
        buyer.put("beside/small.txt", "here already")
        assert buyer.send("GET", "/files/beside/small.txt").text == "here already"
        answered, _, _ = select.select(stalled, [], [], 0)
        # Those that have his share have a minute, those that wait for it half of one.
        assert len(answered) <= 14, "others had to wait until the stalled ones were cut"
    assert idle.rest.get("/files", path=".")["total"] == 0, "whole or not at all"
