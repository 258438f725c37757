import json
from dataclasses import replace
from pathlib import Path

import pytest

from market.kit import settings

SHIPPED = settings.ROOT / "config" / "market.toml"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "market.toml"
    path.write_text(SHIPPED.read_text())
    monkeypatch.setenv("MARKET_CONFIG", str(path))
    return path


def test_the_shipped_file_is_right(tmp_path: Path) -> None:
    loaded = settings.load(state=tmp_path)
    assert loaded.types["cpu"].weight_micro == 1_000_000
    assert loaded.credits.micro("signup_grant") == 15_000_000


def test_a_port_that_was_really_taken_wins(tmp_path: Path) -> None:
    loaded = settings.load(state=tmp_path)
    assert loaded.port("api") == loaded.preferred_ports["api"]
    loaded.paths.run.mkdir(parents=True)
    (loaded.paths.run / "ports.json").write_text(json.dumps({"api": 4711}))
    assert loaded.url("api") == "http://127.0.0.1:4711"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("api = 8080", "api = 99999", r"\[ports\] api"),
        ('fee = "0.000000"', "fee = 0.0", r"\[credits\] fee"),
        ("deletion_days = 7", "deletion_days = 0", r"\[accounts\] deletion_days must be from 1 to 365"),
        ('registration = "open"', 'registration = "shut"', r"registration must be one of open, confirmed"),
        ('registration = "open"', 'registration = "confirmed"', r'"confirmed" needs \[mail\] host'),
        ('gib_weight = "0.004000"', 'gib_weight = "0.0040001"', r"\[credits\] gib_weight"),
        ('fee = "0.000000"', 'fee = "1.500000"', r"\[credits\] fee must be from 0 to 1"),
        ('gib_weight = "0.004000"', 'gib_weight = "-0.004000"', r"\[credits\] gib_weight must not be neg"),
        ('rate_max = "4.000000"', 'rate_max = "0.1"', r"\[credits\] rate_max must not be less than rate_min"),
        ('initial_rate = "1.000000"', 'initial_rate = "5"', r"\[credits\] initial_rate must lie between"),
        ('rate_min = "0.250000"', 'rate_min = "0"', r"\[credits\] rate_min must be positive"),
        ('target_utilisation = "0.800000"', 'target_utilisation = "0"', r"\[credits\] target_utilisation"),
        ('"*/5 * * * *"', '"every five"', r"\[credits\] settlement_cron must be five fields"),
        (
            'refund_bound = "5.000000"',
            'refund_bound = "-1"',
            r"\[credits\] refund_bound must not be negative",
        ),
        (
            "verify_every_s = 86400",
            "verify_every_s = 604801",
            r"\[credits\] verify_whole_every_s must not be less than verify_every_s",
        ),
        ("max_cores = 64", "max_corse = 64", r"\[jobs\] unknown setting max_corse"),
        ("max_log_mib = 512", "max_log_mib = 0", r"\[jobs\] max_log_mib must be positive"),
        ("max_disk_mib = 16384", "max_disk_mib = 0", r"\[jobs\] max_disk_mib must be positive"),
        ("max_disk_percent = 90", "max_disk_percent = 101", r"\[machines\] max_disk_percent must be from 1"),
        ('weight = "1.250000"', 'weight = "0"', r"\[types.highmem\]"),
        ("[types.gpu]", "[types.pool]", r"\[types.pool\]"),
        ('mode = "kerberos"', 'mode = "kerberus"', r"\[security\] mode must be one of simple, kerberos"),
        ("token_renewal_s = 86400", "token_renewal_s = 0", r"\[security\] token_renewal_s must be positive"),
        ('kdc = ""', 'kdc = "k:88"', r"\[security\] kdc, keytab and machine_keytabs belong together"),
        (
            'wire_encryption = "auto"',
            'wire_encryption = "yes"',
            r"\[security\] wire_encryption must be one of",
        ),
        ('realm = "MARKET"', 'realm = "market; x"', r"\[security\] realm must be capitals"),
        ('tls = "starttls"', 'tls = "ssl"', r"\[mail\] tls must be one of none, starttls, tls"),
        ('host = "" ', 'host = "a b" ', r"\[mail\] host must be"),
        ('host = "" ', 'host = "mail.example.org" ', r"\[mail\] sender must be a mail address"),
    ],
)
def test_a_wrong_setting_is_named(config: Path, tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(settings.SettingsError, match=named):
        settings.load(state=tmp_path / new.replace("/", "_"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The operator's file in a state folder."""
    return tmp_path / "market.toml"


def test_an_operator_s_file_says_only_what_differs(own: Path) -> None:
    own.write_text('[jobs]\nmax_cores = 7\n[credits]\nfee = "0.100000"\n')
    loaded = settings.load(state=own.parent)
    shipped = settings.load(state=own.parent / "elsewhere")
    assert (loaded.jobs.max_cores, shipped.jobs.max_cores) == (7, 64)
    assert loaded.credits.micro("fee") == 100_000
    assert replace(loaded.jobs, max_cores=64) == shipped.jobs
    assert loaded.types == shipped.types


def test_whoever_names_types_names_all_of_them(own: Path) -> None:
    own.write_text('[types.cpu]\nweight = "2.000000"\n[types.big]\nweight = "3.000000"\n')
    assert set(settings.load(state=own.parent).types) == {"cpu", "big"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[jbos]\nmax_cores = 7", r"market.toml: unknown section \[jbos\]"),
        ("[ports]\nairflow = 8081", r"market.toml: \[ports\] unknown setting airflow"),
        ('[network]\nbnid = "0.0.0.0"', r"market.toml: \[network\] unknown setting bnid"),
        ("jobs = 3", r"market.toml: jobs is a section"),
        ("[jobs]\nmax_corse = 7", r"market.toml: \[jobs\] unknown setting max_corse"),
        ("[jobs", r"market.toml: "),
        ("[types]", r"market.toml: at least one machine type"),
    ],
)
def test_what_is_wrong_in_it_is_named(own: Path, text: str, named: str) -> None:
    own.write_text(text)
    with pytest.raises(settings.SettingsError, match=named):
        settings.load(state=own.parent)


def test_a_missing_secret_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(settings.SettingsError, match=r"\./market up"):
        settings.load(state=tmp_path).secret("db_market_app")


def test_to_encrypt_without_keys_is_refused(config: Path, tmp_path: Path) -> None:
    text = config.read_text().replace('mode = "kerberos"', 'mode = "simple"')
    config.write_text(text.replace('wire_encryption = "auto"', 'wire_encryption = "on"'))
    with pytest.raises(settings.SettingsError, match=r'wire_encryption = "on" needs mode = "kerberos"'):
        settings.load(tmp_path)
