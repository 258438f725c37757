"""The market's own classes in Hadoop's servers: tickets at a real web server, files without links, nodes."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from distributedmarket.agent import enclose
from market.cluster import tickets
from market.hadoop import secured, site
from market.kit import settings
from market.ops.install import hadoop_classes

AUDIENCE = "namenode"


@dataclass(frozen=True)
class Asked:
    """A process with Hadoop's web server, which also answers lines (Asked.java)."""

    process: subprocess.Popen[str]
    port: int
    key: str
    logs: Path

    def __call__(self, *words: object) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def get(self, path: str = "/who", **headers: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=30)

    def ticket(self, audience: str = AUDIENCE, life_s: int = 60, user: str = "market") -> str:
        return tickets.ticket(self.key, user, audience, life_s)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("classes")
    paths = settings.Paths(root=settings.ROOT, installs=folder, state=folder)
    paths.hadoop.mkdir()
    (paths.hadoop / "jars").symlink_to(settings.load().paths.hadoop / "jars")
    stale = paths.hadoop_classes / "distributedmarket" / "Earlier.class"
    stale.parent.mkdir(parents=True)
    stale.touch()
    hadoop_classes.build(paths)
    assert not stale.exists()
    assert not hadoop_classes.lacking(paths)

    conf, logs, key = folder / "conf", folder / "logs", tickets.generate()
    (conf / "webapps" / "test").mkdir(parents=True)
    (conf / "key.pub").write_text(tickets.public(key))
    core = {
        "hadoop.http.filter.initializers": "org.apache.hadoop.security.AuthenticationFilterInitializer",
        "hadoop.http.authentication.type": secured.TICKET_HANDLER,
        "hadoop.http.authentication.market.key": str(conf / "key.pub"),
    }
    (conf / "core-site.xml").write_text(site.xml(core))
    (conf / "yarn-site.xml").write_text(site.xml({"yarn.nodemanager.log-dirs": str(logs)}))
    source = Path(__file__).parent / "hadoop" / "Asked.java"
    path = f"{paths.hadoop_classes}:{paths.hadoop}/jars/*"
    subprocess.run(["javac", "-cp", path, "-d", str(conf), str(source)], check=True)
    java = ["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", f"-Dmarket.audience={AUDIENCE}"]
    with subprocess.Popen(
        [*java, "-cp", f"{conf}:{path}", "distributedmarket.hadoop.Asked"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr").open("w"),
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        line = process.stdout.readline()
        assert line, (folder / "stderr").read_text()[-2000:]
        yield Asked(process, int(line), key, logs)
        process.stdin.close()
        process.wait(30)


def test_a_ticket_says_who_asks(asked: Asked) -> None:
    answer = asked.get(Authorization=asked.ticket(user="alice"))
    assert (answer.status_code, answer.text) == (200, "alice alice")
    assert "Set-Cookie" not in answer.headers, "it could be sent again by whoever has seen it"


@pytest.mark.parametrize("path", ["/who", "/jmx", "/conf", "/stacks", "/static/x", "/logs/", "/nothing"])
@pytest.mark.parametrize("query", ["", "?user.name=market"])
def test_a_typed_name_opens_no_page(asked: Asked, path: str, query: str) -> None:
    answer = asked.get(path + query)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Market"


def test_a_ticket_for_another_server_is_refused(asked: Asked) -> None:
    answer = asked.get(Authorization=asked.ticket(audience="nm/127.0.0.21"))
    assert answer.status_code == 403
    assert "another server" in answer.text


def test_an_old_ticket_is_refused(asked: Asked) -> None:
    assert asked.get(Authorization=asked.ticket(life_s=0)).status_code == 403


def test_what_another_key_has_signed_is_refused(asked: Asked) -> None:
    forged = tickets.ticket(tickets.generate(), "market", AUDIENCE)
    assert asked.get(Authorization=forged).status_code == 403


@pytest.mark.parametrize("part", [0, 1, 2, 3])
def test_a_changed_ticket_is_refused(asked: Asked, part: int) -> None:
    parts = asked.ticket(user="alice").split("|")
    parts[part] = ["Market market", AUDIENCE + "x", "99999999999", base64.b64encode(b"x" * 64).decode()][part]
    assert asked.get(Authorization="|".join(parts)).status_code == 403


@pytest.mark.parametrize(
    "header", ["Market x", "Market |||", "Market a|b|c", "Market a|b|c|d|e", "Market " + "a" * 5000]
)
def test_what_is_no_ticket_is_refused(asked: Asked, header: str) -> None:
    assert asked.get(Authorization=header).status_code == 403


@pytest.mark.parametrize(
    "header", ["", "Market", "Basic bWFya2V0Og==", "Negotiate YII=", "market x", "Marketx"]
)
def test_other_proofs_count_for_nothing(asked: Asked, header: str) -> None:
    assert asked.get(Authorization=header).status_code == 401


def test_a_cookie_counts_for_nothing(asked: Asked) -> None:
    made = "u=market&p=market&t=market&e=99999999999999&s=AAAA"
    assert asked.get(Cookie=f'hadoop.auth="{made}"').status_code == 401


@pytest.fixture
def container(asked: Asked) -> Path:
    folder = asked.logs / "application_1" / "container_1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stderr").write_text("words")
    (asked.logs.parent / "secret").write_text("secret")
    return folder


def test_a_log_is_read_from_where_it_is_wanted(asked: Asked, container: Path) -> None:
    assert asked("open", container / "stderr") == "read words, -1 after it"
    assert asked("skip", container / "stderr") == "read rds, -1 after it"


def test_no_link_leads_to_what_is_read_as_a_log(asked: Asked, container: Path) -> None:
    links = {
        "file": asked.logs.parent / "secret",
        "folder": asked.logs.parent,
        "own": container / "stderr",
    }
    for name, target in links.items():
        (container / name).unlink(missing_ok=True)
        (container / name).symlink_to(target)
    assert (container / "file").read_text() == (container / "folder" / "secret").read_text() == "secret"
    for name in ("file", "folder/secret", "own", "folder"):
        assert asked("open", container / name).startswith("refused"), name


def test_a_container_s_folder_that_is_a_link_is_not_followed(asked: Asked, container: Path) -> None:
    link = container.with_name("container_2")
    link.unlink(missing_ok=True)
    link.symlink_to(asked.logs.parent)
    assert asked("open", link / "secret").startswith("refused")


def test_only_plain_files_below_the_folder_for_logs_are_read(asked: Asked, container: Path) -> None:
    if not (container / "pipe").exists():
        os.mkfifo(container / "pipe")
    for place in (
        container / "pipe",
        container,
        asked.logs,
        container / "missing",
        asked.logs.parent / "secret",
        f"{asked.logs}/../secret",
        f"{container}/../../../secret",
        "/etc/hostname",
    ):
        assert asked("open", place).startswith("refused"), place


def test_the_folder_for_logs_may_not_be_replaced_by_a_link(asked: Asked, container: Path) -> None:
    aside = asked.logs.with_name("aside")
    asked.logs.rename(aside)
    try:
        asked.logs.symlink_to(aside)
        assert (container / "stderr").exists()
        assert asked("open", container / "stderr").startswith("refused")
        asked.logs.unlink()
    finally:
        aside.rename(asked.logs)
    assert asked("open", container / "stderr").startswith("read")


def test_a_machine_speaks_for_itself_only(asked: Asked) -> None:
    assert asked("node", "nm/127.0.0.21@MARKET", "127.0.0.21") == "allowed"
    for caller in (
        "nm/127.0.0.22@MARKET",
        "nm/127.0.0.211@MARKET",
        "nm/127.0.0.2@MARKET",
        "market/resourcemanager@MARKET",
        "nm@MARKET",
        "nm/127.0.0.21",
        "alice",
    ):
        assert asked("node", caller, "127.0.0.21").startswith("refused"), caller


def test_a_container_s_first_process_is_told_what_was_allocated(asked: Asked) -> None:
    assert asked("allocated", 1536) == f"nice -n 5 /usr/bin/env {enclose.ALLOCATED}=1536 bash script.sh"
