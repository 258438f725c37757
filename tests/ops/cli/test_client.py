"""`./market` hands on what is the client's."""

from __future__ import annotations

import pytest

from market.kit import settings
from market.ops.cli import client
from market.ops.cli.__main__ import main


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("jobs", True),
        ("results get 3f2a", True),
        ("logs", True),
        ("logs -f", True),
        ("logs 3f2a77b0 -f", True),
        ("logs --file stderr", True),
        ("logs scheduler", False),
        ("logs -f scheduler", False),
        ("share --cores 1", False),
        ("up", False),
        ("", False),
    ],
)
def test_what_is_the_client_s(words: str, meant: bool) -> None:
    assert client.is_meant(words.split()) is meant


def test_without_a_login_it_means_the_market_of_this_clone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    monkeypatch.setenv("MARKET_PROFILES", f"{tmp_path}/profiles.json")
    monkeypatch.delenv("MARKET_DEFAULT_SERVER", raising=False)
    password = settings.ROOT / "LICENSE"  # any file: nobody listens there, or nobody has this password
    loaded = settings.load()
    monkeypatch.setattr(loaded.__class__, "url", lambda self, name: "http://127.0.0.1:9")
    assert client.run(loaded, ["login", "--username", "ada", "--password-file", str(password)]) == 5
    assert "127.0.0.1:9" in capsys.readouterr().err


def test_its_commands_stand_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in client.COMMANDS)
