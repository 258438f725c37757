"""A machine's key on its host: where it lies, whose it is, and what its NodeManager is told of it."""

from __future__ import annotations

import base64
import io
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from servers import answering

from distributedmarket.agent import containers, enclosure, identity
from distributedmarket.agent.api import AgentApi
from distributedmarket.agent.enclosure import Enclosure
from distributedmarket.agent.identity import Identity
from distributedmarket.agent.node_config import Ports, local_files
from distributedmarket.agent.nodemanager import NodeManager
from distributedmarket.client import MarketApiError, MarketClientError
from distributedmarket.runtime.places import Places
from distributedmarket.runtime.release import Release
from market.cluster import tickets
from market.ops.install import hadoop_classes

PRINCIPAL = "nm/127.0.0.9@MARKET"


def packed(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def answer(**changes: Any) -> dict[str, Any]:
    sent = {"principal": PRINCIPAL, "krb5_conf": "[libdefaults]", "ticket_key": "a public key"}
    sent["keytab"] = base64.b64encode(b"the key").decode()
    sent["classes"] = base64.b64encode(packed({"market/A.class": b"class"})).decode()
    return sent | changes


@pytest.fixture
def node(tmp_path: Path) -> NodeManager:
    return NodeManager(Places(tmp_path, tmp_path), tmp_path / "machines" / "m", "127.0.0.9", "/java")


def installed(node: NodeManager) -> Path:
    node.identify(identity.parsed(answer()))
    return node._folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_key_is_the_nodemanager_s_account_s_alone(node: NodeManager) -> None:
    keytab = installed(node) / "keys" / "machine.keytab"
    assert keytab.read_bytes() == b"the key"
    assert mode(keytab) == 0o600
    assert (keytab.stat().st_uid, keytab.stat().st_gid) == (node.sandbox.uid, node.sandbox.gid)
    assert (keytab.parent.stat().st_uid, mode(keytab.parent)) == (os.getuid(), 0o711), (
        "none but the owner writes"
    )


def test_what_is_no_secret_can_be_read_by_jobs(node: NodeManager) -> None:
    conf = installed(node) / "conf"
    for name in ("shown/krb5.conf", "ticket_key.pub", "classes/market/A.class"):
        assert mode(conf / name) == 0o644
    assert mode(conf / "classes" / "market") == 0o755
    assert b"the key" not in b"".join(file.read_bytes() for file in conf.rglob("*") if file.is_file())


def test_memory_is_held_by_the_kernel_only_where_somebody_says_how_much(node: NodeManager) -> None:
    folders = {"memory": Path("/groups/memory"), "pids": Path("/groups/pids")}
    node._strongest = Enclosure((), Path("/groups/unified"), limits=folders)
    node.identify(None)
    assert "held to pids by the kernel" in node.description
    installed(node)
    assert "held to memory and pids by the kernel" in node.description
    assert "memory" in enclosure.told(node._folder)


def test_a_link_in_the_way_is_not_followed(node: NodeManager, tmp_path: Path) -> None:
    keys = identity.folder(node._folder)
    (tmp_path / "theirs").write_text("kept")
    for name in (".machine.keytab.new", "machine.keytab"):
        (keys / name).symlink_to(tmp_path / "theirs")
    installed(node)
    assert (tmp_path / "theirs").read_text() == "kept"
    assert not (keys / "machine.keytab").is_symlink()


def test_a_nodemanager_is_told_its_name_and_where_its_key_lies(node: NodeManager) -> None:
    folder = installed(node)
    known = node._identity
    assert known is not None
    shared = {"core-site.xml": {"a": "1"}, "yarn-site.xml": {"b": "2"}, "hdfs-site.xml": {"c": "3"}}
    files = local_files(shared, "127.0.0.9", Ports(1, 2, 3, 4), folder / "work", "", [], known.properties())
    assert files["yarn-site.xml"]["yarn.nodemanager.principal"] == PRINCIPAL
    assert files["yarn-site.xml"]["yarn.nodemanager.keytab"] == str(folder / "keys" / "machine.keytab")
    assert files["core-site.xml"]["hadoop.http.authentication.market.key"] == str(
        folder / "conf/ticket_key.pub"
    )
    assert not Path(files["core-site.xml"]["hadoop.http.authentication.signature.secret.file"]).exists()
    assert files["hdfs-site.xml"] == {"c": "3"}
    executor = files["yarn-site.xml"]["yarn.nodemanager.container-executor.class"]
    assert executor.rpartition(".")[2] in {source.stem for source in hadoop_classes.sources()}
    assert f"-Dmarket.audience={tickets.machine('127.0.0.9')}" in node._own_name()
    assert node._class_path().split(":")[:2] == [str(folder / "conf"), str(folder / "conf" / "classes")]


def test_containers_are_told_where_the_realm_is_and_nothing_of_the_key(node: NodeManager) -> None:
    folder = installed(node)
    inherited = node._inherited_variables()
    assert (
        f"-Djava.security.krb5.conf={folder / 'conf' / 'shown' / 'krb5.conf'}"
        in inherited["JDK_JAVA_OPTIONS"]
    )
    assert "keytab" not in str(inherited)


def test_a_key_is_replaced_while_the_nodemanager_runs(node: NodeManager) -> None:
    keytab = installed(node) / "keys" / "machine.keytab"
    node.renew(identity.parsed(answer(keytab=base64.b64encode(b"another").decode())))
    assert (keytab.read_bytes(), mode(keytab), keytab.stat().st_uid) == (b"another", 0o600, node.sandbox.uid)
    node.renew(None)
    assert keytab.read_bytes() == b"another"
    node.identify(None)
    node.renew(identity.parsed(answer()))
    assert not keytab.exists(), "a NodeManager that was started without one needs none"


def test_where_names_are_believed_nothing_of_an_earlier_key_is_left(node: NodeManager) -> None:
    folder = installed(node)
    node.identify(None)
    assert list((folder / "keys").iterdir()) == []
    assert "krb5" not in node._inherited_variables()["JDK_JAVA_OPTIONS"]
    assert "market.audience" not in " ".join(node._own_name())
    assert "conf/classes" not in node._class_path()


def test_a_machine_that_is_cleared_has_no_key(node: NodeManager) -> None:
    folder = installed(node)
    node.clear()
    assert list((folder / "keys").iterdir()) == []


def test_files_of_an_earlier_start_do_not_stay(node: NodeManager) -> None:
    conf = node._folder / "conf"
    node._prepare({"core-site.xml": {}, "hdfs-site.xml": {}})
    node._prepare({"core-site.xml": {}})
    assert [file.name for file in conf.glob("*-site.xml")] == ["core-site.xml"]


@pytest.mark.parametrize(
    "changes",
    [{"keytab": "*"}, {"keytab": None}, {"classes": "*"}, {"classes": base64.b64encode(b"x").decode()}],
    ids=str,
)
def test_an_answer_that_is_no_identity_is_refused(node: NodeManager, changes: dict[str, Any]) -> None:
    with pytest.raises(MarketClientError):
        node.identify(identity.parsed(answer(**changes)))


def test_classes_have_a_bound_and_a_place(node: NodeManager, tmp_path: Path) -> None:
    bomb = base64.b64encode(packed({"A.class": bytes(2 << 20)})).decode()
    with pytest.raises(MarketClientError, match="more classes"):
        node.identify(identity.parsed(answer(classes=bomb)))
    outside = base64.b64encode(packed({"../../../out": b"x"})).decode()
    node.identify(identity.parsed(answer(classes=outside)))
    assert not list(tmp_path.glob("**/machines/out")) + list(tmp_path.glob("out"))


def test_the_key_is_in_no_text_about_the_machine() -> None:
    assert "the key" not in repr(identity.parsed(answer()))


class Market:
    """Answers posts as a market of some release."""

    def __init__(self, sent: Any) -> None:
        self.sent, self.posted = sent, []

    def using(self, **_: object) -> Market:
        return self

    def post(self, path: str, body: object = None, **_: object) -> Any:
        self.posted.append(path)
        if isinstance(self.sent, Exception):
            raise self.sent
        return self.sent


def api(sent: Any) -> AgentApi:
    return AgentApi(Market(sent), Release("r", "3.11"))  # type: ignore[arg-type]


def test_a_market_that_believes_names_gives_no_key() -> None:
    assert api(MarketApiError("POST", "/identity", 404, {})).identity("m") is None
    known = api(answer()).identity("m")
    assert isinstance(known, Identity)
    with pytest.raises(MarketApiError):
        api(MarketApiError("POST", "/identity", 409, {})).identity("m")


def test_a_heartbeat_brings_a_ticket_where_the_market_sends_one() -> None:
    beat = {"version": "1", "availability": "active", "reason": "", "core_count": 1, "memory_size": 1024}
    beat |= {"remaining_s": 1, "earned": "0.000000"}
    assert api(beat | {"ticket": "Market x", "more": 1}).heartbeat("m", "").ticket == "Market x"
    assert api(beat).heartbeat("m", "").ticket == ""
    assert not api(beat).heartbeat("m", "").encrypted
    assert api(beat | {"encrypted": True}).heartbeat("m", "").encrypted


def test_an_agent_shows_its_ticket_at_its_own_nodemanager() -> None:
    seen: list[str | None] = []

    def pages(path: str, headers: Any) -> tuple[int, dict[str, str], bytes]:
        seen.append(headers.get("Authorization"))
        return 200, {}, b'{"containers": {"container": [{"state": "RUNNING"}]}}'

    with answering(pages) as port:
        for ticket in ("Market x", ""):
            assert containers.running("127.0.0.1", port, ticket) == [{"state": "RUNNING"}]
    assert seen == ["Market x", None]
