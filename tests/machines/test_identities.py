"""A machine's key: made when it has joined, another each time, withdrawn when it has left; a real realm."""

from __future__ import annotations

import base64
import io
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from market.cluster.kdc import Kdc, program
from market.hadoop import kerberos
from market.kit import clock, database, settings
from market.kit.errors import ConflictError, NotFoundError, OverLimitError
from market.kit.settings import Security, Settings
from market.machines import agents, identities, queries, registry
from market.ops.run import kdc as service
from market.ops.run import secrets
from market.web.api import caller
from market.web.api.app import create_agent_app

pytestmark = pytest.mark.database


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return settings of a stack with keys, and with a realm of its own."""
    state = tmp_path_factory.mktemp("stack")
    loaded = replace(settings.load(state), security=Security(mode=settings.KERBEROS))
    for folder in (loaded.paths.conf, loaded.paths.run):
        folder.mkdir(mode=0o700)
    secrets.generate(loaded.paths)
    secrets.publish(loaded.paths)
    kerberos.write(loaded)
    service.prepare(loaded)
    return loaded


@pytest.fixture
def secured(made: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(identities, "load", lambda: made)
    monkeypatch.setattr(identities, "_BETWEEN_MS", 0)
    return made


@pytest.fixture
def realm(secured: Settings) -> Kdc:
    """Return the realm, without the machines of other tests."""
    found = Kdc(secured.paths.krb5_conf, secured.paths.kdc_conf)
    for name in found.principals():
        if name.startswith("nm/"):
            found.revoke(name)
    return found


def key_of(keytab: bytes, folder: Path) -> str:
    """Return what a keytab holds, as MIT's tool shows it."""
    file = folder / "keytab"
    file.write_bytes(keytab)
    tool = program("klist")
    assert tool
    return subprocess.run([tool, "-kKe", str(file)], capture_output=True, text=True, check=True).stdout


def principal(lenders: Any, machine_id: str) -> str:
    return f"nm/{lenders.row(machine_id).ip_address}@MARKET"


def test_a_machine_that_has_joined_is_given_a_key_for_its_own_address(
    lenders: Any, secured: Settings, realm: Kdc, tmp_path: Path
) -> None:
    machine_id = lenders.joined()
    given = identities.issue(lenders.anna, machine_id)
    name = principal(lenders, machine_id)
    assert given["principal"] == name
    keytab = base64.b64decode(given["keytab"])
    assert name in key_of(keytab, tmp_path)
    assert key_of(keytab, tmp_path) == key_of(realm.keytab([name]), tmp_path)
    assert f"kdc = {secured.address('kdc')}" in given["krb5_conf"]
    assert given["ticket_key"] == secured.paths.ticket_key_public.read_text()
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(given["classes"]))) as archive:
        names = archive.namelist()
    assert "distributedmarket/hadoop/TicketHandler.class" in names
    assert "org/apache/hadoop/io/SecureIOUtils.class" in names
    assert all(one.endswith(".class") for one in names)


def test_each_time_it_is_another_key(lenders: Any, realm: Kdc, tmp_path: Path) -> None:
    machine_id = lenders.joined()
    first, second = (identities.issue(lenders.anna, machine_id)["keytab"] for _ in range(2))
    assert first != second
    now = key_of(realm.keytab([principal(lenders, machine_id)]), tmp_path)
    assert now == key_of(base64.b64decode(second), tmp_path)


def test_nobody_is_given_keys_in_a_hurry(
    lenders: Any, secured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "_BETWEEN_MS", 60_000)
    machine_id = lenders.joined()
    identities.issue(lenders.anna, machine_id)
    with pytest.raises(OverLimitError):
        identities.issue(lenders.anna, machine_id)


def test_only_its_owner_gets_a_machine_s_key(lenders: Any, secured: Settings, realm: Kdc) -> None:
    machine_id = lenders.joined()
    for member in (lenders.bert, replace(lenders.bert, is_admin=True)):
        with pytest.raises(NotFoundError):
            identities.issue(member, machine_id)
    assert principal(lenders, machine_id) not in realm.principals()


def test_without_its_one_time_token_a_machine_gets_no_key(
    lenders: Any, secured: Settings, realm: Kdc
) -> None:
    machine_id = lenders.lend()["machine_id"]
    with pytest.raises(ConflictError):
        identities.issue(lenders.anna, machine_id)
    assert principal(lenders, machine_id) not in realm.principals()


def test_a_machine_that_leaves_is_given_none(lenders: Any, secured: Settings) -> None:
    machine_id = lenders.joined()
    registry.leave(lenders.anna, machine_id)
    with pytest.raises(ConflictError):
        identities.issue(lenders.anna, machine_id)


def test_where_names_are_believed_there_are_no_keys(
    lenders: Any, made: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    believing = replace(made, security=Security(mode=settings.SIMPLE))
    monkeypatch.setattr(identities, "load", lambda: believing)
    machine_id = lenders.joined()
    with pytest.raises(NotFoundError):
        identities.issue(lenders.anna, machine_id)
    assert identities.issue_pool(believing, machine_id) is None
    assert lenders.row(machine_id).key_ms is None


def gone(lenders: Any, machine_id: str, state: str = "left") -> None:
    lenders.world.sql(
        "UPDATE machine SET state = %s, left_ms = %s WHERE machine_id = %s", state, clock.now_ms(), machine_id
    )


@pytest.mark.parametrize("state", ["left", "rejected"])
def test_the_key_goes_with_its_machine(lenders: Any, secured: Settings, realm: Kdc, state: str) -> None:
    machine_id = lenders.joined()
    identities.issue(lenders.anna, machine_id)
    identities.withdraw(secured)
    name = principal(lenders, machine_id)
    assert name in realm.principals(), "it is still lent"
    gone(lenders, machine_id, state)
    identities.withdraw(secured)
    assert name not in realm.principals()
    assert lenders.row(machine_id).key_ms is None


def test_a_key_of_whom_the_same_address_belongs_to_now_stays(
    lenders: Any, secured: Settings, realm: Kdc, tmp_path: Path
) -> None:
    earlier = lenders.joined(ip_address="127.0.0.77")
    identities.issue(lenders.anna, earlier)
    gone(lenders, earlier)
    heir = lenders.joined(ip_address="127.0.0.77")
    keytab = base64.b64decode(identities.issue(lenders.anna, heir)["keytab"])
    identities.withdraw(secured)
    name = principal(lenders, heir)
    assert key_of(realm.keytab([name]), tmp_path) == key_of(keytab, tmp_path)
    assert (lenders.row(earlier).key_ms, lenders.row(heir).key_ms is None) == (None, False)
    gone(lenders, heir)
    identities.withdraw(secured)
    assert name not in realm.principals()


def test_a_key_whose_address_was_only_offered_again_is_withdrawn(
    lenders: Any, secured: Settings, realm: Kdc
) -> None:
    earlier = lenders.joined(ip_address="127.0.0.78")
    identities.issue(lenders.anna, earlier)
    gone(lenders, earlier)
    lenders.lend(ip_address="127.0.0.78")
    identities.withdraw(secured)
    assert principal(lenders, earlier) not in realm.principals()


def test_one_key_that_cannot_be_withdrawn_keeps_no_other(lenders: Any, secured: Settings, realm: Kdc) -> None:
    machines = [lenders.joined(), lenders.joined()]
    for machine_id in machines:
        identities.issue(lenders.anna, machine_id)
        gone(lenders, machine_id)
    lenders.world.sql("UPDATE machine SET ip_address = 'no address' WHERE machine_id = %s", machines[0])
    identities.withdraw(secured)
    assert principal(lenders, machines[1]) not in realm.principals()
    assert lenders.row(machines[0]).key_ms is not None, "it is tried again"


def test_the_pool_s_own_machine_has_a_key_like_all_others(lenders: Any, secured: Settings) -> None:
    pool = registry.register_pool("127.0.0.5", 8041, 4, 4096)
    given = identities.issue_pool(secured, pool.machine_id)
    assert given is not None
    assert given["principal"] == "nm/127.0.0.5@MARKET"


def test_an_agent_is_sent_a_ticket_for_its_own_nodemanager(
    lenders: Any, secured: Settings, made: Settings
) -> None:
    machine_id = lenders.joined()
    with database.transaction() as cursor:
        machine = queries.find(cursor, machine_id)
    assert machine is not None
    said = identities.ticket(secured, machine).removeprefix("Market ").split("|")
    assert said[:2] == ["Agent", f"nm/{machine.ip_address}"]
    assert identities.ticket(replace(made, security=Security(mode=settings.SIMPLE)), machine) == ""


def test_no_key_is_kept_for_a_repetition(lenders: Any, secured: Settings) -> None:
    app = create_agent_app()
    app.dependency_overrides = {caller.current: lambda: lenders.anna}
    machine_id = lenders.joined()
    with TestClient(app, base_url="http://market/v1") as client:
        headers = {"Idempotency-Key": "once"}
        answers = [client.post(f"machines/{machine_id}/identity", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["keytab"] != answers[1].json()["keytab"]
    assert lenders.world.sql("SELECT * FROM idempotency") == []
    assert "ticket" in agents._pulse(lenders.anna, machine_id)
