import json
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
        ('gib_weight = "0.004000"', 'gib_weight = "0.0040001"', r"\[credits\] gib_weight"),
        ('fee = "0.000000"', 'fee = "1.500000"', r"\[credits\] fee must be from 0 to 1"),
        ('gib_weight = "0.004000"', 'gib_weight = "-0.004000"', r"\[credits\] gib_weight must not be neg"),
        ('rate_max = "4.000000"', 'rate_max = "0.1"', r"\[credits\] rate_max must not be less than rate_min"),
        ('initial_rate = "1.000000"', 'initial_rate = "5"', r"\[credits\] initial_rate must lie between"),
        ('rate_min = "0.250000"', 'rate_min = "0"', r"\[credits\] rate_min must be positive"),
        ('target_utilisation = "0.800000"', 'target_utilisation = "0"', r"\[credits\] target_utilisation"),
        ('"*/5 * * * *"', '"every five"', r"\[credits\] settlement_cron must be five fields"),
        ("max_cores = 64", "max_corse = 64", r"\[jobs\] unknown setting max_corse"),
        ('weight = "1.250000"', 'weight = "0"', r"\[types.highmem\]"),
        ("[types.gpu]", "[types.pool]", r"\[types.pool\]"),
    ],
)
def test_a_wrong_setting_is_named(config: Path, tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(settings.SettingsError, match=named):
        settings.load(state=tmp_path / new.replace("/", "_"))


def test_a_missing_secret_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(settings.SettingsError, match=r"\./market up"):
        settings.load(state=tmp_path).secret("db_market_app")
