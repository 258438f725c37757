"""A real ResourceManager reads its lists of hosts when a file asks for it, and says what came of it."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from people import until

from market.cluster import host_lists
from market.cluster.errors import ClusterRefused, ClusterUnavailable
from market.hadoop import site
from market.kit import settings
from market.kit.environment import inherited

pytestmark = pytest.mark.unit
_PAGES = "yarn.resourcemanager.webapp.address"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answers(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as asked:
        return asked.connect_ex((host, int(port))) == 0


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("resourcemanager")
    host_lists.replace(folder / "nodes.include", "127.0.0.1\n")
    host_lists.replace(folder / "nodes.exclude.xml", "<hosts></hosts>\n")
    services = ("", ".scheduler", ".resource-tracker", ".admin", ".webapp")
    ports = {f"yarn.resourcemanager{name}.address": f"127.0.0.1:{free_port()}" for name in services}
    queues = "yarn.scheduler.capacity.root"
    files = {
        "core-site.xml": {"hadoop.security.authorization": "false"},
        "yarn-site.xml": {
            **ports,
            "yarn.resourcemanager.nodes.include-path": str(folder / "nodes.include"),
            "yarn.resourcemanager.nodes.exclude-path": str(folder / "nodes.exclude.xml"),
        },
        "capacity-scheduler.xml": {f"{queues}.queues": "all", f"{queues}.all.capacity": "100"},
    }
    for name, properties in files.items():
        (folder / name).write_text(site.xml(properties))
    hadoop, log = settings.load().paths.hadoop, folder / "log"
    words = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    words += ["--add-opens=java.base/java.lang=ALL-UNNAMED", f"-Djava.io.tmpdir={folder}"]
    words += ["-cp", f"{folder}:{hadoop}/classes:{hadoop}/jars/*", site.RESOURCEMANAGER]
    with (
        log.open("w") as out,
        subprocess.Popen(words, env=inherited(), cwd=folder, stdout=out, stderr=out) as process,
    ):
        try:
            until(lambda: process.poll() is not None or answers(ports[_PAGES]), "the ResourceManager")
            assert process.poll() is None, log.read_text()[-2000:]
            yield folder
        finally:
            process.kill()


def test_it_reads_them_and_says_what_is_wrong_with_them(lists: Path) -> None:
    host_lists.refresh(lists, 60)
    host_lists.replace(lists / "nodes.exclude.xml", "<hosts>")
    with pytest.raises(ClusterRefused, match=r"not read: .*must start and end within the same entity"):
        host_lists.refresh(lists, 60)
    host_lists.replace(lists / "nodes.exclude.xml", "<hosts></hosts>\n")
    host_lists.refresh(lists, 60)


@pytest.mark.parametrize("asked", ["", "x", "a 60 more", "b many"])
def test_what_is_no_request_stops_nothing(lists: Path, asked: str) -> None:
    host_lists.replace(lists / "refresh", asked)
    host_lists.refresh(lists, 60)


def test_one_that_does_not_answer_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_lists, "_DEADLINE_S", 0.1)
    host_lists.replace(tmp_path / "refreshed", "another done\n")
    with pytest.raises(ClusterUnavailable, match="has not read the lists of hosts"):
        host_lists.refresh(tmp_path, 60)
    assert host_lists.text(tmp_path / "refresh").endswith(" 60\n")
