"""What the market's servers and its machines say to one another cannot be read on its way."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from people import Person

from market.kit import settings

_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees what passes by on loopback")
pytestmark = [pytest.mark.cluster, _ROOT]

_EVERYTHING = 0x0003  # ETH_P_ALL of <linux/if_ether.h>
_LOOK_S = 0.2
# All of it in Java: what Python and Java of one container say to each other leaves no host. Blocks of the
# text are read from HDFS, sent between two executors as they are, told to the driver, and written to HDFS.
PROGRAM = """
    import os
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.config("spark.shuffle.compress", "false")
        .config("spark.sql.adaptive.enabled", "false")
        .getOrCreate()
    )
    lines = spark.read.text(os.environ["MARKET_INPUT"] + "/lines.txt")
    spread = lines.repartition(16).selectExpr("value").repartition(4, "value").cache()
    different = spread.groupBy("value").count().count()
    spread.write.text(os.environ["MARKET_OUTPUT"])
    print("READ", different)
"""


class Wire:
    """What passed by on the loopback interface, looked through as it passed."""

    def __init__(self, looked_for: bytes) -> None:
        self._looked_for = looked_for
        self.seen = threading.Event()
        self.between: set[tuple[int, int]] = set()  # the ports at which it was seen
        self.ended = threading.Event()
        self.packets = 0

    def look(self) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING)) as wire:
            wire.bind(("lo", 0))
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
            wire.settimeout(_LOOK_S)
            while not self.ended.is_set():
                try:
                    packet = wire.recv(1 << 17)
                except TimeoutError:
                    continue
                self.packets += 1
                if self._looked_for in packet:
                    self.between.add(_ports(packet))
                    self.seen.set()


def _ports(packet: bytes) -> tuple[int, int]:
    """Return the ports of a TCP packet of IPv4 in an Ethernet frame: where from, and where to."""
    head = 14 + 4 * (packet[14] & 15)
    return int.from_bytes(packet[head : head + 2]), int.from_bytes(packet[head + 2 : head + 4])


@contextmanager
def watched(looked_for: str) -> Iterator[Wire]:
    wire = Wire(looked_for.encode())
    thread = threading.Thread(target=wire.look, daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        wire.ended.set()
        thread.join(30)


def test_what_a_job_reads_shuffles_and_writes_is_encrypted_between_hosts(
    stack: settings.Settings, buyer: Person, machines: list[dict[str, Any]], program: Callable[[str], str]
) -> None:
    assert stack.wire_encryption, "the tests' stack asks for it, as a market beyond loopback has it"
    word = secrets.token_hex(20)
    buyer.put("wire/main.py", program(PROGRAM))
    buyer.put("wire/lines.txt", "".join(f"{word}-{number % 50:02}\n" for number in range(20_000)))
    with watched(word) as wire:
        job_id = buyer.submit("wire", core_num=2)
        job = buyer.ended(job_id)
        assert job["status"] == "succeeded", (job, buyer.log(job_id, file="stderr")[-3000:])
        assert wire.packets > 1000
        # The market's own processes speak to the DataNode of their host in HTTP: they copy what lies beside
        # the program, and read the results for their checksums.
        own = stack.port("datanode_http")
        assert not [ports for ports in wire.between if own not in ports]
        wire.seen.clear()
        # And what is sent as it is, by the API of a market on loopback, is seen in the same way.
        assert not stack.tls
        assert word in buyer.rest.text("/files/wire/lines.txt")
        assert wire.seen.wait(10)
    assert "READ 50" in buyer.log(job_id)
