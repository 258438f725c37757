"""What a host has, and what is refused because it has less."""

from __future__ import annotations

import os
import socket

import pytest

from market.hadoop import node_config
from market.kit.errors import OverLimitError
from market.kit.settings import load
from market.machines import addresses, host
from market.machines.agent import Glance, Offer, claim
from market.ops.cli.share import live_line, memory_mib
from market.ops.install.shell import SetupError

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


def test_local_addresses_run_out_with_a_word() -> None:
    assert addresses.free_local_address({"127.0.0.4"}) == "127.0.0.5"
    everything = {f"127.0.{a}.{b}" for a in range(6) for b in range(256)}
    with pytest.raises(OverLimitError):
        addresses.free_local_address(everything)


@pytest.mark.parametrize(("text", "mib"), [("8g", 8192), ("8G", 8192), ("8GiB", 8192), ("1536m", 1536)])
def test_memory_is_read_as_people_write_it(text: str, mib: int) -> None:
    assert memory_mib(text) == mib


@pytest.mark.parametrize("text", ["8", "g", "-1g", "8t", "1.5g", ""])
def test_memory_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(SetupError, match="8g or 1536m"):
        memory_mib(text)


def test_the_configuration_holds_no_secret_and_binds_to_the_machine(tmp_path) -> None:
    shared = node_config.shared_files(load(), 4, 8192)
    assert "password" not in str(shared)
    assert "proxyuser" not in str(shared)
    files = node_config.local_files(shared, "127.0.0.9", node_config.Ports(1, 2, 3, 4), tmp_path, "/rt/bin")
    yarn = files["yarn-site.xml"]
    assert yarn["yarn.nodemanager.address"] == "127.0.0.9:1"
    assert yarn["yarn.nodemanager.pmem-check-enabled"] == "true"
    own = [value for name, value in yarn.items() if name.startswith("yarn.nodemanager") and "address" in name]
    assert all(value.startswith("127.0.0.9:") for value in own)


def test_the_live_line_says_state_use_and_earnings() -> None:
    record = {
        "availability": "draining",
        "reason": "the lease ends",
        "core_count": 4,
        "memory_size": 8192,
        "earned": "0.250000",
    }
    line = live_line(Glance(record, 2, 3, 2048))
    assert line == (
        "draining (the lease ends), 2 containers, 3 of 4 cores, 2048 of 8192 MiB, earned 0.250000"
    )


def test_an_offer_leaves_the_address_to_the_market() -> None:
    assert "ip_address" not in Offer(1, 1024, "cpu", 60, "attic", "").body()
    assert Offer(1, 1024, "cpu", 60, "attic", "10.0.0.1").body()["ip_address"] == "10.0.0.1"


def test_two_agents_do_not_share_a_folder(tmp_path) -> None:
    loaded = load(tmp_path)
    _, first, lock = claim(loaded, "attic", wished=False)
    with pytest.raises(SetupError, match="--name"):
        claim(loaded, "attic", wished=True)
    _, second, other = claim(loaded, "attic", wished=False)
    assert (first, second) == ("attic", "attic-2")
    lock.close()
    other.close()
