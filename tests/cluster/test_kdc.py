"""Principals of the market's own realm, with MIT's real server and tools."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from servers import free_port

from distributedmarket.errors import SetupError
from market.cluster.clients import keys
from market.cluster.errors import ClusterRefused
from market.cluster.kdc import Kdc, program
from market.hadoop import kerberos
from market.kit import settings
from market.ops.run import kdc as service
from market.ops.run.services import all_services

pytestmark = pytest.mark.database  # it starts a server
NODE, OTHER = "nm/127.0.0.21@MARKET", "nm/127.0.0.22@MARKET"


@contextmanager
def served(state: Path, **changed: str) -> Iterator[settings.Settings]:
    """Serve a new realm in a state folder, with the shipped settings of [security] but for these."""
    (state / "run").mkdir()
    (state / "run" / "ports.json").write_text(f'{{"kdc": {free_port()}}}')
    loaded = with_security(settings.load(state), mode=settings.KERBEROS, **changed)
    for folder in (loaded.paths.conf, loaded.paths.secrets):
        folder.mkdir(mode=0o700)
    kerberos.write(loaded)
    service.prepare(loaded)
    with (state / "kdc.log").open("wb") as log:
        process = subprocess.Popen(
            service.command(loaded), env=service.environment(loaded), stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + 30
        while (wrong := _wrong(loaded)) and time.monotonic() < until:
            time.sleep(0.05)
        assert not wrong, (state / "kdc.log").read_text()
        yield loaded
    finally:
        process.terminate()
        process.wait(30)


def with_security(loaded: settings.Settings, **changed: str) -> settings.Settings:
    return replace(loaded, security=replace(loaded.security, **changed))


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[settings.Settings]:
    """A market whose realm is served."""
    with served(tmp_path_factory.mktemp("realm")) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def realm(market: settings.Settings) -> Kdc:
    return Kdc(market.paths.krb5_conf, market.paths.kdc_conf)


def _wrong(loaded: settings.Settings) -> str:
    try:
        return service.check(loaded)
    except OSError as error:
        return str(error)


def _login(realm: Kdc, folder: Path, keytab: bytes, principal: str) -> str:
    """Log in with a keytab; return what was wrong, empty when nothing was."""
    file = folder / secrets.token_hex(4)
    file.write_bytes(keytab)
    tool = program("kinit")
    assert tool
    words = [tool, "-c", f"{file}.tickets", "-k", "-t", str(file), principal]
    done = subprocess.run(words, env=realm.environment(), capture_output=True, text=True, timeout=30)
    return done.stderr.strip() if done.returncode else ""


def test_a_machine_logs_in_with_the_key_that_was_made_for_it_and_as_nobody_else(
    realm: Kdc, tmp_path: Path
) -> None:
    keytab = realm.make(NODE)
    realm.make(OTHER)
    assert _login(realm, tmp_path, keytab, NODE) == ""
    assert "no suitable keys" in _login(realm, tmp_path, keytab, OTHER)


def test_a_new_key_voids_the_one_before(realm: Kdc, tmp_path: Path) -> None:
    first = realm.make(NODE)
    second = realm.make(NODE)
    assert _login(realm, tmp_path, first, NODE) != ""
    assert _login(realm, tmp_path, second, NODE) == ""


def test_reading_the_keys_leaves_them_as_they_are(realm: Kdc, tmp_path: Path) -> None:
    handed_out = realm.make(NODE)
    both = realm.keytab([NODE, f"market/{kerberos.NAMENODE}@MARKET"])
    assert _login(realm, tmp_path, handed_out, NODE) == ""
    assert _login(realm, tmp_path, both, NODE) == ""
    assert _login(realm, tmp_path, both, f"market/{kerberos.NAMENODE}@MARKET") == ""


def test_who_was_removed_logs_in_no_more(realm: Kdc, tmp_path: Path) -> None:
    keytab = realm.make(NODE)
    assert realm.revoke(NODE)
    assert "not found in Kerberos database" in _login(realm, tmp_path, keytab, NODE)
    assert not realm.revoke(NODE), "it is not there any more"
    with pytest.raises(ClusterRefused, match="no principal"):
        realm.keytab([NODE])


def test_what_is_there_is_left_alone(realm: Kdc, tmp_path: Path) -> None:
    keytab = realm.make(NODE)
    realm.ensure(NODE)
    assert _login(realm, tmp_path, keytab, NODE) == ""


@pytest.mark.parametrize("name", ["nm/a b@MARKET", "-force", "nm/x\ndelprinc y@MARKET", "nm@MARKET", "*/x@M"])
def test_a_name_is_nothing_but_a_name(realm: Kdc, name: str) -> None:
    before = realm.principals()
    with pytest.raises(ValueError, match="no principal"):
        realm.make(name)
    assert realm.principals() == before


def test_the_markets_own_servers_have_their_keys_in_a_file_of_theirs(
    market: settings.Settings, realm: Kdc, tmp_path: Path
) -> None:
    keytab = market.keytab
    assert keytab.stat().st_mode & 0o777 == 0o600
    service.prepare(market)  # as each start does
    for role in kerberos.ROLES:
        name = kerberos.principal(market, role)
        assert _login(realm, tmp_path, keytab.read_bytes(), name) == "", name


def test_nobody_is_given_what_a_key_can_be_guessed_by(realm: Kdc, tmp_path: Path) -> None:
    name = f"market/{kerberos.NAMENODE}@MARKET"
    tool = program("kinit")
    assert tool
    done = subprocess.run(
        [tool, "-c", str(tmp_path / "tickets"), name],
        input="guess\n",
        env=realm.environment() | {"KRB5_TRACE": "/dev/stderr"},
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=30,
    )
    assert done.returncode
    assert "Additional pre-authentication required" in done.stderr


def test_it_listens_where_the_settings_say_and_has_no_privilege(market: settings.Settings) -> None:
    host, port = market.bind, market.port("kdc")
    socket.create_connection((host, port), timeout=5).close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((host, port))  # no UDP, whose answers could be turned against others
    pid = (market.paths.run / "kdc.pid").read_text().strip()
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert int(status["CapEff"], 16) == 0


def test_a_realm_that_others_serve_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "machines").mkdir()
    (tmp_path / "own" / "conf").mkdir(parents=True)
    with served(tmp_path / "theirs", realm="EXAMPLE.ORG") as theirs:
        administrator = Kdc(theirs.paths.krb5_conf, theirs.paths.kdc_conf)
        loaded = with_security(
            settings.load(tmp_path / "own"),
            mode=settings.KERBEROS,
            realm="EXAMPLE.ORG",
            kdc=theirs.address("kdc"),
            keytab=str(tmp_path / "given.keytab"),
            machine_keytabs=str(tmp_path / "machines"),
        )
        kerberos.write(loaded)
        with pytest.raises(SetupError, match=r"\[security\] keytab"):
            service.prepare(loaded)
        loaded.keytab.write_bytes(theirs.keytab.read_bytes())
        service.prepare(loaded)
        assert not loaded.paths.kdc.exists(), "the market serves none beside it"
        assert "kdc" not in {one.name for one in all_services(loaded)}

        here = Kdc(loaded.paths.krb5_conf, loaded.paths.kdc_conf)  # for where MIT's tools find the realm
        name = kerberos.principal(loaded, kerberos.NAMENODE)
        assert name == "market/namenode@EXAMPLE.ORG"
        assert _login(here, tmp_path, loaded.keytab.read_bytes(), name) == ""
        node = kerberos.machine(loaded, "10.1.2.3")
        with pytest.raises(ClusterRefused, match=r"no key for nm/10\.1\.2\.3@EXAMPLE\.ORG"):
            keys(loaded).make(node)
        (tmp_path / "machines" / "10.1.2.3.keytab").write_bytes(administrator.make(node))
        assert _login(here, tmp_path, keys(loaded).make(node), node) == ""
        assert not keys(loaded).revoke(node)
        assert _login(here, tmp_path, keys(loaded).make(node), node) == ""
