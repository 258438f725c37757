"""How the market's clients say who asks: by name where names are believed, else by a ticket for a server."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from servers import Received, serving

from market.cluster import clients, tickets
from market.cluster.hdfs import Hdfs
from market.cluster.jobhistory import JobHistory
from market.cluster.nodemanager import NodeManager
from market.cluster.resourcemanager import ResourceManager
from market.cluster.spark_ui import SparkUi
from market.cluster.tickets import Asker, Named, Signer
from market.kit import settings
from market.kit.settings import Security, Settings
from market.ops.run import secrets
from market.ops.run.lifecycle import problem
from market.ops.run.services import all_services

KEY = tickets.generate()


@pytest.fixture
def received() -> Iterator[tuple[str, list[Received]]]:
    """A server that answers nothing of use, and what it was sent."""
    requests: list[Received] = []

    def answer(request: Received) -> tuple[int, dict[str, str], bytes]:
        requests.append(request)
        return 200, {}, b"{}"

    with serving(answer) as port:
        yield f"127.0.0.1:{port}", requests


def verified(header: str, market_key: str = KEY) -> list[str]:
    """Return what a ticket says, by its user, audience and expiry. Raises InvalidSignature."""
    said, _, signature = header.removeprefix("Market ").rpartition("|")
    key = load_pem_public_key(tickets.public(market_key).encode())
    assert isinstance(key, Ed25519PublicKey)
    key.verify(base64.urlsafe_b64decode(signature), said.encode())
    return said.split("|")


def test_a_ticket_names_its_user_its_server_and_its_end() -> None:
    user, audience, expiry = verified(tickets.ticket(KEY, "alice", "namenode"))
    assert (user, audience) == ("alice", "namenode")
    assert 0 < int(expiry) - time.time() <= tickets.LIFE_S
    forged = tickets.ticket(tickets.generate(), "alice", "namenode")
    with pytest.raises(InvalidSignature):
        verified(forged)


def test_each_server_gets_tickets_of_its_own() -> None:
    signer = Signer("market", KEY, {"h:1": "namenode", "h:2": "datanode"})
    for url, audience in {
        "http://h:1/webhdfs/v1/?op=LISTSTATUS": "namenode",
        "http://h:2": "datanode",
        "http://h:3/ws/v1/node": "nm/h",
        "http://127.0.0.21:8042/ws/v1/node": "nm/127.0.0.21",
        "http://[::1]:8042/": "nm/[::1]",
    }.items():
        proof = signer.proof(url)
        assert proof.parameters == {}
        assert verified(proof.headers["Authorization"])[:2] == ["market", audience]


def test_the_key_is_in_no_text_about_who_asks() -> None:
    assert "PRIVATE" not in repr(Signer("market", KEY, {}))


def ask_all(server: str, asker: Asker) -> None:
    """Send a request of each kind of client, whatever is answered."""
    url = f"http://{server}"
    ResourceManager(url, asker).apps(states=["RUNNING"])
    files = Hdfs(url, asker)
    files.as_user("alice").delete("/user/alice/x")
    files.list("/")
    NodeManager(server, asker).log_files("container_1")
    NodeManager(server, asker).log("container_1", "stderr", 0, 10)
    JobHistory(url, asker).log_files("application_1")
    SparkUi(url, asker).progress("application_1")


def test_with_tickets_no_client_types_a_name(received: tuple[str, list[Received]]) -> None:
    server, requests = received
    ask_all(server, Signer("market", KEY, {server: "namenode"}))
    assert len(requests) >= 7
    for request in requests:
        assert "user.name" not in request.path
        assert verified(request.headers["Authorization"])[:2] == ["market", "namenode"]
    on_behalf = [parse_qs(urlsplit(request.path).query).get("doas") for request in requests]
    assert [names for names in on_behalf if names] == [["alice"]]


def test_where_names_are_believed_every_client_types_it(received: tuple[str, list[Received]]) -> None:
    server, requests = received
    ask_all(server, Named("market"))
    assert len(requests) >= 7
    for request in requests:
        assert "Authorization" not in request.headers
        assert parse_qs(urlsplit(request.path).query)["user.name"] == ["market"]


@pytest.fixture
def secured(tmp_path: Path) -> Settings:
    """Settings of a stack with Kerberos, whose secrets are made."""
    loaded = replace(settings.load(tmp_path), security=Security(mode=settings.KERBEROS))
    loaded.paths.conf.mkdir()
    secrets.generate(loaded.paths)
    secrets.publish(loaded.paths)
    return loaded


def test_the_public_half_fits_the_stack_s_key(secured: Settings) -> None:
    key = secured.secret(tickets.SECRET)
    assert secured.paths.ticket_key_public.read_text() == tickets.public(key)
    assert "PRIVATE" not in secured.paths.ticket_key_public.read_text()


def test_a_stack_s_clients_prove_themselves_by_its_mode(secured: Settings) -> None:
    assert clients.asker(replace(secured, security=Security(mode=settings.SIMPLE))) == Named("market")
    asker = clients.asker(secured)
    assert isinstance(asker, Signer)
    assert asker.audiences[secured.address("datanode_http")] == "datanode"


@pytest.mark.parametrize("name", ["namenode", "resourcemanager", "datanode", "jobhistory", "spark-history"])
def test_what_looks_whether_a_server_is_well_proves_itself(
    secured: Settings, received: tuple[str, list[Received]], name: str
) -> None:
    server, requests = received
    port = int(server.rpartition(":")[2])
    service = next(one for one in all_services(secured) if one.name == name)
    assert service.port
    secured.paths.run.mkdir()
    (secured.paths.run / "ports.json").write_text(json.dumps({service.port: port, "namenode_http": port}))
    problem(secured, service)
    assert requests
    key = secured.secret(tickets.SECRET)
    assert all(verified(request.headers["Authorization"], key)[0] == "market" for request in requests)
