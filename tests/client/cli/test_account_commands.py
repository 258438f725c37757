"""`market account`, `invitations` and `approvals`: what they ask of the market, and how answers are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distributedmarket.cli import exits
from distributedmarket.cli.__main__ import main
from distributedmarket.cli.commands import admission, profile
from distributedmarket.cli.context import Context

ADA = {
    "user_id": "a" * 32,
    "username": "ada",
    "display_name": "Ada L.",
    "email": "ada@example.org",
    "email_confirmed": False,
    "new_email": "new@example.org",
    "approval": "refused",
    "approval_reason": "not of this\x1b university",
    "credit_waits_for": "approval",
}
WAITS = {
    "user_id": "a" * 32,
    "username": "ada",
    "email": "ada@example.org",
    "state": "waiting",
    "asked_time": 1,
}
INVITATION = {
    **{"invitation_id": "b" * 32, "note": "a class", "uses": 30, "used": 2, "made_by": "admin"},
    **{"created_time": 1, "expires_time": 2, "code": "dmi_code"},
}
Say = Callable[..., str]


class Routes:
    """Answers as the market would, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def answer(*arguments: Any, **named: Any) -> Any:
            self.asked.append((name, *arguments, *named.values()))
            if name == "list_approvals":
                return {"approvals": [] if named.get("offset") else [WAITS]}
            answers: dict[str, Any] = {
                "me": ADA,
                "rename_user": ADA,
                "list_invitations": {"invitations": [INVITATION]},
                "create_invitation": INVITATION,
                "approve_account": WAITS | {"state": "approved"},
                "deactivate_account": {"cancelled_jobs": 2, "draining_machines": 1},
                "delete_account": {
                    "cancelled_jobs": 0,
                    "draining_machines": 3,
                    "deletion_time": 1_800_000_000_000,
                },
                "refuse_account": WAITS | {"state": "refused"},
            }
            return answers.get(name, {"detail": "asked"})

        return answer


@pytest.fixture
def routes(monkeypatch: pytest.MonkeyPatch) -> Routes:
    made = Routes()
    client = SimpleNamespace(using=lambda **_: made)
    monkeypatch.setattr(Context, "market", SimpleNamespace(routes=made, client=client))
    for commands in (admission, profile):
        monkeypatch.setattr(commands, "Routes", lambda client: client)
    return made


@pytest.fixture
def say(routes: Routes, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: str) -> str:
        assert main(list(words)) == exits.DONE, capsys.readouterr().err
        return capsys.readouterr().out

    return run


def test_an_account_is_shown_with_what_it_waits_for(say: Say) -> None:
    shown = say("account")
    for words in (
        "Ada L.",
        "not confirmed",
        "new@example.org (when it is confirmed)",
        "until an administrator",
    ):
        assert words in shown
    assert "refused: not of this" in shown
    assert "\x1b" not in shown


def test_an_account_is_changed(say: Say, routes: Routes, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a long password\n")
    say("account", "email", "new@example.org", "--password-file", str(tmp_path / "password"))
    say("account", "name", "Ada L.")
    assert "asked" in say("account", "confirm")
    assert routes.asked == [
        ("change_email", {"email": "new@example.org", "password": "a long password"}),
        ("rename_user", {"display_name": "Ada L."}),
        ("ask_to_confirm",),
    ]


def test_an_account_is_deactivated(say: Say, routes: Routes, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a long password\n")
    file = str(tmp_path / "password")
    told = say("account", "deactivate", "--password-file", file, "--yes", "--cancel-jobs")
    assert "ada is deactivated; jobs cancelled: 2, machines that drain: 1" in told
    assert routes.asked[-1] == ("deactivate_account", {"password": "a long password", "cancel_jobs": True})
    assert main(["account", "deactivate", "--password-file", file]) != exits.DONE, "it asks before"
    assert [asked[0] for asked in routes.asked].count("deactivate_account") == 1


def test_the_deletion_of_an_account_is_asked_for(say: Say, routes: Routes, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a long password\n")
    file = str(tmp_path / "password")
    told = say("account", "delete", "--password-file", file, "--yes")
    assert "ada is deactivated, and deleted on 2027-01-15" in told
    assert "machines that drain: 3" in told
    assert routes.asked[-1] == ("delete_account", {"password": "a long password", "cancel_jobs": False})
    assert main(["account", "delete", "--password-file", file]) != exits.DONE, "it asks before"
    assert [asked[0] for asked in routes.asked].count("delete_account") == 1


def test_an_administrator_invites(say: Say, routes: Routes) -> None:
    made = say("invitations", "create", "a class", "--uses", "30", "--lifetime", "2d")
    assert made == "dmi_code\n"
    assert "2 of 30" in say("invitations")
    say("invitations", "revoke", "b" * 32)
    assert routes.asked[0] == ("create_invitation", {"note": "a class", "uses": 30, "lifetime_s": 172_800})
    assert routes.asked[-1] == ("revoke_invitation", "b" * 32)


def test_an_administrator_approves_and_refuses_by_name(say: Say, routes: Routes) -> None:
    assert "ada@example.org" in say("approvals")
    assert "ada is approved" in say("approvals", "approve", "ada")
    assert routes.asked[-1] == ("approve_account", "a" * 32)
    assert "ada is refused" in say("approvals", "refuse", "ada", "--reason", "no")
    assert routes.asked[-1] == ("refuse_account", "a" * 32, {"reason": "no"})
    assert main(["approvals", "approve", "nobody"]) == exits.REFUSED
