"""With keys: who proves what to whom, and that nothing of it is there without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from market.hadoop import kerberos, node_config, secured, site, spark
from market.kit import settings
from market.ops.run import submitter
from market.ops.run.services import all_services

SIMPLE = replace(settings.load(), security=replace(settings.load().security, mode=settings.SIMPLE))
LOADED = replace(SIMPLE, security=replace(SIMPLE.security, mode=settings.KERBEROS))
FILES = site.files(LOADED)


def test_every_server_has_a_key_of_its_own_and_no_host_in_its_name() -> None:
    principals = [
        FILES[file][name]
        for file, name in (
            ("hdfs-site.xml", "dfs.namenode.kerberos.principal"),
            ("hdfs-site.xml", "dfs.datanode.kerberos.principal"),
            ("yarn-site.xml", "yarn.resourcemanager.principal"),
            ("mapred-site.xml", "mapreduce.jobhistory.principal"),
        )
    ]
    assert len(set(principals)) == 4
    assert all(name.startswith("market/") and name.endswith("@MARKET") for name in principals)
    assert not any("_HOST" in value for file in FILES.values() for value in file.values())
    # The ResourceManager would hold machines to where their connections come from.
    assert "yarn.nodemanager.principal" not in FILES["yarn-site.xml"]


def test_pages_are_closed_in_the_same_step() -> None:
    core = FILES["core-site.xml"]
    assert core["hadoop.security.authentication"] == "kerberos"
    assert core["hadoop.http.filter.initializers"].endswith(".AuthenticationFilterInitializer")
    assert core["hadoop.http.authentication.type"] == secured.TICKET_HANDLER
    # Cookies are signed by what nobody else can have written: by default a file in the account's home.
    signed_by = core["hadoop.http.authentication.signature.secret.file"]
    assert signed_by == str(LOADED.paths.secrets / "none")
    # With one of these a filter of Kerberos's own answers before the market's.
    assert not any("spnego" in name for file in FILES.values() for name in file)


def test_a_machine_may_register_and_do_nothing_else_at_the_resourcemanager() -> None:
    policy = FILES["hadoop-policy.xml"]
    assert policy["security.resourcetracker.protocol.acl"] == "nm"
    assert policy["security.applicationclient.protocol.acl.blocked"] == "nm"
    assert policy["security.resourcemanager-administration.protocol.acl"] == "market"
    assert policy["security.datanode.protocol.acl"] == "market"


def test_a_machine_is_told_no_path_and_no_key_of_the_markets_host() -> None:
    files = node_config.shared_files(LOADED, 2, 2048)
    assert files["core-site.xml"]["hadoop.security.authentication"] == "kerberos"
    assert files["core-site.xml"]["hadoop.http.authentication.type"] == secured.TICKET_HANDLER
    assert set(files["hdfs-site.xml"]) == {"dfs.namenode.kerberos.principal", "dfs.data.transfer.protection"}
    assert files["yarn-site.xml"]["yarn.resourcemanager.principal"] == "market/resourcemanager@MARKET"
    assert not any(str(LOADED.paths.state) in value for file in files.values() for value in file.values())


def test_a_token_lives_longer_than_any_job() -> None:
    hdfs = FILES["hdfs-site.xml"]
    longest_ms = int(hdfs["dfs.namenode.delegation.token.max-lifetime"])
    assert longest_ms == 365 * 86_400_000
    assert int(hdfs["dfs.namenode.delegation.token.renew-interval"]) == 86_400_000


def test_whoever_submits_has_a_key_and_no_name_to_type() -> None:
    variables = spark.environment(LOADED)
    assert variables["KRB5PRINCIPAL"] == "market/submitter@MARKET"
    assert "HADOOP_USER_NAME" not in variables
    assert f"-Dmarket.principal={variables['KRB5PRINCIPAL']}" in submitter.command(LOADED)


@pytest.mark.parametrize("name", ["namenode", "datanode", "resourcemanager", "jobhistory", "spark-history"])
def test_every_server_finds_the_realm(name: str) -> None:
    service = next(service for service in all_services(LOADED) if service.name == name)
    assert f"-Djava.security.krb5.conf={LOADED.paths.krb5_conf}" in service.command(LOADED)


@pytest.mark.parametrize("name", ["namenode", "resourcemanager"])
def test_status_says_in_which_mode_servers_are(name: str) -> None:
    for loaded, words in ((LOADED, "asks for keys (Kerberos, realm MARKET)"), (SIMPLE, "believes any name")):
        service = next(service for service in all_services(loaded) if service.name == name)
        assert words in service.note(loaded)


def test_nothing_of_it_is_there_where_names_are_believed() -> None:
    assert "kdc" not in {service.name for service in all_services(SIMPLE)}
    assert not site.files(SIMPLE)["hadoop-policy.xml"]
    assert site.files(SIMPLE)["core-site.xml"]["hadoop.security.authentication"] == "simple"
    assert kerberos.java_options(SIMPLE) == []
    assert set(node_config.shared_files(SIMPLE, 1, 1024)) == {"core-site.xml", "yarn-site.xml"}
    assert spark.environment(SIMPLE)["HADOOP_USER_NAME"] == "market"


def _told(loaded: settings.Settings) -> list[dict[str, str]]:
    """Return what servers and submitter, a machine, and Spark are told."""
    hadoop, machine = site.files(loaded), node_config.shared_files(loaded, 1, 1024)
    joined = [{**files["core-site.xml"], **files.get("hdfs-site.xml", {})} for files in (hadoop, machine)]
    return [*joined, spark.defaults(loaded)]


@pytest.mark.parametrize(
    ("bind", "chosen", "encrypted"),
    [
        ("127.0.0.1", "auto", False),
        ("127.0.0.1", "on", True),
        ("10.0.0.5", "auto", True),
        ("10.0.0.5", "off", False),
    ],
)
def test_what_leaves_a_host_is_encrypted_at_all_ends(bind: str, chosen: str, encrypted: bool) -> None:
    there = replace(LOADED, bind=bind, security=replace(LOADED.security, wire_encryption=chosen))
    *hadoop, of_spark = _told(there)
    for told in hadoop:
        assert told["hadoop.rpc.protection"] == ("privacy" if encrypted else "authentication")
        assert told["dfs.data.transfer.protection"] == ("privacy" if encrypted else "authentication")
        # Without it SASL encrypts by ciphers of its own, at a tenth of the speed.
        cipher = told.get("dfs.encrypt.data.transfer.cipher.suites")
        assert cipher == ("AES/CTR/NoPadding" if encrypted else None)
    assert of_spark.get("spark.network.crypto.enabled", "false") == str(encrypted).lower()


def test_without_keys_nothing_is_encrypted() -> None:
    there = replace(SIMPLE, bind="10.0.0.5")
    assert not there.wire_encryption
    assert not [name for told in _told(there) for name in told if "crypto.enabled" in name]
