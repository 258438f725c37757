"""What a host has, and what is refused because it has less."""

from __future__ import annotations

import os
import socket

import pytest

from distributedmarket.agent import host
from distributedmarket.errors import SetupError

SMALL = host.Host(cores=2, memory_mib=4096, disk_mib=10_000, java_home="/java", java=17)


def test_this_host_is_seen(tmp_path) -> None:
    found = host.look(tmp_path)
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.memory_mib > 256
    assert found.java in (17, 21)
    assert os.path.exists(f"{found.java_home}/bin/java")


def test_more_than_there_is_is_refused_with_the_remedy() -> None:
    host.refuse_too_much(SMALL, 2, 4096)
    with pytest.raises(SetupError, match="--cores 2"):
        host.refuse_too_much(SMALL, 3, 1024)
    with pytest.raises(SetupError, match="--memory 4096m"):
        host.refuse_too_much(SMALL, 1, 8192)
    full = host.Host(cores=2, memory_mib=4096, disk_mib=100, java_home="/java", java=17)
    with pytest.raises(SetupError, match="make room"):
        host.refuse_too_much(full, 1, 1024)


def test_ports_are_four_free_ones_and_the_wished_one_first() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        assert not host.is_free("127.0.0.1", busy)
        ports = host.choose_ports("127.0.0.1", busy)
    numbers = [ports.service, ports.localizer, ports.web, ports.collector]
    assert busy not in numbers
    assert len(set(numbers)) == 4
    assert host.choose_ports("127.0.0.1", busy).service == busy


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(SetupError, match="--address"):
        host.choose_ports("192.0.2.1", 8041)
