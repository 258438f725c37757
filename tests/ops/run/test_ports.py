"""A taken port is replaced, said and recorded; addresses survive a restart."""

import json
import socket
from dataclasses import replace

import pytest

from market.kit import settings
from market.ops.run import ports


@pytest.fixture
def stack(tmp_path):
    loaded = settings.load(tmp_path)
    loaded.paths.run.mkdir()
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        free = {"api": one.getsockname()[1], "postgres": two.getsockname()[1]}
    return replace(loaded, preferred_ports=free)


def test_free_ports_are_taken_as_preferred(stack):
    assert ports.reserve(stack) == {}
    assert json.loads((stack.paths.run / "ports.json").read_text()) == stack.preferred_ports


def test_a_taken_port_moves_and_the_other_parts_read_where(stack):
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", stack.preferred_ports["api"]))
        occupant.listen()
        moved = ports.reserve(stack)
    preferred, chosen = moved["api"]
    assert preferred == stack.preferred_ports["api"] != chosen
    assert stack.port("api") == chosen
    assert "postgres" not in moved


def test_what_was_recorded_is_kept_while_it_is_free(stack):
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", stack.preferred_ports["api"]))
        occupant.listen()
        ports.reserve(stack)
        first = stack.port("api")
    ports.reserve(stack)
    assert stack.port("api") == first
