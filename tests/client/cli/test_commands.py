"""The command line against the market's own api-server: what a person types, and what he is told."""

from __future__ import annotations

import io
import json
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow_accounts import Person, sql
from airflow_server import Airflow

from distributedmarket.cli import exits
from distributedmarket.cli.__main__ import main
from distributedmarket.cli.lend_token import lending
from distributedmarket.cli.text import credits
from distributedmarket.client import AGENTS, MarketApiError, MarketClient
from distributedmarket.sdk import Market

pytestmark = pytest.mark.database
PROGRAM = b"print('hello')\n"


class Shell:
    """Runs commands as one person would, and keeps what the last one has printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.error = ""

    def run(self, *words: str) -> int:
        code = main(list(words))
        self.out, self.error = self._capsys.readouterr()
        return code

    def done(self, *words: str) -> str:
        assert self.run(*words) == exits.DONE, self.error
        return self.out

    def json(self, *words: str) -> Any:
        place = words.index("--") if "--" in words else len(words)
        return json.loads(self.done(*words[:place], "--json", *words[place:]))


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("MARKET_PROFILES", str(tmp_path / "settings" / "profiles.json"))
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


@pytest.fixture
def ada(register: Callable[..., Person], shell: Shell, tmp_path: Path, api_server: Airflow) -> Person:
    """Somebody who has logged in with a file for the password."""
    person = register("ada")
    (tmp_path / "password").write_text(f"{person.password}\n")
    words = ["--server", api_server.url, "--username", person.username]
    shell.done("login", *words, "--password-file", "password")
    return person


def test_a_login_is_kept_for_its_owner_alone_and_forgotten_again(
    shell: Shell, ada: Person, tmp_path: Path
) -> None:
    file = tmp_path / "settings" / "profiles.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ada.password not in file.read_text()
    assert ada.username in shell.done("whoami")
    assert shell.json("whoami")["user_id"] == ada.user_id
    file.chmod(0o644)
    assert shell.run("whoami") == exits.REFUSED
    assert "chmod 600" in shell.error
    file.chmod(0o600)
    shell.done("logout")
    assert shell.run("jobs") == exits.NOT_LOGGED_IN
    assert "market login" in shell.error


def test_an_expired_login_is_renewed_from_the_file_and_told_without_one(
    shell: Shell, ada: Person, tmp_path: Path
) -> None:
    file = tmp_path / "settings" / "profiles.json"
    stored = json.loads(file.read_text())
    stored["default"]["token"] = "expired"
    file.write_text(json.dumps(stored))
    assert ada.username in shell.done("whoami")
    assert json.loads(file.read_text())["default"]["token"] != "expired"
    stored["default"] |= {"token": "expired", "password_file": ""}
    file.write_text(json.dumps(stored))
    assert shell.run("whoami") == exits.NOT_LOGGED_IN
    assert "has expired: run market login" in shell.error


def test_who_registers_is_logged_in(shell: Shell, api_server: Airflow, tmp_path: Path) -> None:
    name = f"nora-{secrets.token_hex(3)}"
    (tmp_path / "password").write_text(secrets.token_hex(8))
    words = ["--server", api_server.url, "--username", name, "--password-file", "password"]
    assert shell.run("register", *words) == exits.REFUSED
    assert "Give --email" in shell.error
    assert "with 15.00 credits" in shell.done("register", *words, "--email", f"{name}@example.org")
    assert shell.json("whoami")["username"] == name
    assert shell.run("register", *words, "--email", "other@example.org") == exits.REFUSED


def test_a_change_of_the_password_ends_older_logins_and_goes_on_with_the_new(
    shell: Shell, ada: Person, tmp_path: Path
) -> None:
    (tmp_path / "new").write_text(secrets.token_hex(8))
    shell.done("password", "--password-file", "password", "--new-password-file", "new")
    assert ada.username in shell.done("whoami")
    assert ada.ask("GET", "/users/me").status_code == 401
    words = ["login", "--username", ada.username, "--password-file"]
    assert shell.run(*words, "password", "--profile", "other") == exits.REFUSED
    assert shell.run(*words, "password") == exits.NOT_LOGGED_IN
    shell.done(*words, "new")


def test_an_account_is_shown_and_changed(shell: Shell, ada: Person) -> None:
    shown = shell.done("account")
    assert f"{ada.username}@example.org (not confirmed: gets no mail)" in shown
    assert "Ada L." in shell.done("account", "name", "Ada L.")
    assert shell.json("account", "show")["display_name"] == "Ada L."
    new = f"new-{ada.username}@example.org"
    shell.done("account", "email", new, "--password-file", "password")  # at once: this market sends no mail
    assert shell.json("whoami")["email"] == new
    for words in (["confirm"], ["reset", ada.username]):
        assert shell.run("account", *words) == exits.REFUSED
        assert "sends no mail" in shell.error
    assert shell.run("account", "confirm", "no-such-code") == exits.REFUSED
    assert shell.run("account", "reset", "--code", "x", "--new-password-file", "password") == exits.REFUSED
    assert "code" in shell.error


@pytest.fixture
def boss(shell: Shell, ada: Person, api_server: Airflow, tmp_path: Path) -> list[str]:
    """The administrator, logged in beside ada; what names his login."""
    (tmp_path / "boss").write_text(api_server.admin_password)
    profile = ["--profile", "boss"]
    words = ["--server", api_server.url, "--username", "admin", "--password-file", "boss"]
    shell.done("login", *words, *profile)
    return profile


def test_an_administrator_invites(shell: Shell, boss: list[str]) -> None:
    assert shell.run("invitations") == exits.REFUSED, "ada is none"
    code = shell.done("invitations", "create", "a class", "--uses", "30", "--lifetime", "2d", *boss).strip()
    assert code.startswith("dmi_")
    listed = shell.done("invitations", *boss)
    assert "a class" in listed
    assert "0 of 30" in listed
    assert code not in listed
    made = shell.json("invitations", "list", *boss)["invitations"][0]
    shell.done("invitations", "revoke", made["invitation_id"], *boss)
    assert "revoked" in shell.done("invitations", *boss)


def test_an_administrator_approves_and_refuses(
    shell: Shell, ada: Person, boss: list[str], api_server: Airflow
) -> None:
    with sql(api_server) as cursor:
        cursor.execute(
            "INSERT INTO approval (user_id, state, asked_ms) VALUES (%s, 'waiting', 1)", [ada.user_id]
        )
    assert ada.username in shell.done("approvals", *boss)
    assert shell.run("approvals", "approve", "nobody-here", *boss) == exits.REFUSED
    shell.done("approvals", "refuse", ada.username, "--reason", "not of this university", *boss)
    assert "not of this university" in shell.done("account")
    assert ada.username not in shell.done("approvals", *boss)
    assert "is approved" in shell.done("approvals", "approve", ada.username, *boss)
    assert ada.username in shell.done("approvals", "list", "--all", *boss)


def test_a_token_is_made_used_as_a_login_and_revoked(
    shell: Shell, ada: Person, api_server: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no tokens yet" in shell.done("tokens")
    token = shell.done("tokens", "create", "ci", "--scopes", "read,files", "--lifetime", "2h").strip()
    assert shell.run("tokens", "create", "ci", "--scopes", "read") == exits.REFUSED
    [shown] = shell.json("tokens", "list")["tokens"]
    assert (shown["name"], shown["scopes"]) == ("ci", ["files", "read"])
    assert shown["expires_time"] - shown["created_time"] == 7_200_000
    words = ["login", "--server", api_server.url, "--profile", "program", "--token"]
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{token}\n"))
    assert f"as {ada.username}" in shell.done(*words)
    [used] = shell.json("tokens")["tokens"]
    assert used["last_used_time"] >= shown["created_time"]
    assert shell.json("jobs", "--profile", "program")["jobs"] == []
    with pytest.raises(MarketApiError, match="scope submit"):
        Market(profile="program").routes.cancel_job("0" * 32)
    assert shell.run("tokens", "--profile", "program") == exits.REFUSED
    assert shell.run("tokens", "revoke", "other") == exits.REFUSED
    shell.done("tokens", "revoke", "ci")
    assert shell.run("jobs", "--profile", "program") == exits.NOT_LOGGED_IN
    for wrong in ("", "\x00", "ü"):
        monkeypatch.setattr("sys.stdin", io.StringIO(wrong))
        assert shell.run(*words) == exits.REFUSED


def test_who_lends_does_so_with_a_token_for_that_alone(
    ada: Person, api_server: Airflow, tmp_path: Path
) -> None:
    login = MarketClient(api_server.url).login(ada.username, ada.password)
    note = tmp_path / "token_id"
    with lending(login, "cpu-1", 3600, note) as lender:
        assert (
            lender.using(prefix=AGENTS).text(
                "/classes",
            )
            is not None
        )
        with pytest.raises(MarketApiError, match="scope files"):
            lender.get("/files")
        [shown] = login.get("/users/me/tokens")["tokens"]
        assert shown["scopes"] == ["lend"]
        assert shown["expires_time"] - shown["created_time"] == 25 * 3_600_000
        killed = shown["token_id"]
    assert login.get("/users/me/tokens")["total"] == 0
    with pytest.raises(MarketApiError) as caught:
        lender.using(prefix=AGENTS).text("/classes")
    assert caught.value.status == 401
    # As if the first were killed: another one begins.
    with lending(login, "cpu-1", 3600, note), lending(login, "cpu-1", 3600, note):
        assert login.get("/users/me/tokens")["total"] == 1
        assert note.read_text() != killed
    made = login.post("/users/me/tokens", {"name": "mine", "scopes": ["lend"]}, key="")
    program = MarketClient(api_server.url, made["token"])
    with lending(program, "cpu-1", 3600, note) as lender:
        assert lender is program, "it can make no other one, and is for lending already"


def test_several_logins_live_side_by_side(
    shell: Shell, ada: Person, register: Callable[..., Person], api_server: Airflow, tmp_path: Path
) -> None:
    bob = register("bob")
    (tmp_path / "other").write_text(bob.password)
    words = ["--username", bob.username, "--password-file", "other", "--profile", "work"]
    shell.done("login", "--server", api_server.url, *words)
    assert bob.username in shell.done("whoami", "--profile", "work")
    assert ada.username in shell.done("whoami")
    assert set(shell.json("logout", "--all")["profiles"]) == {"default", "work"}


def test_a_wrong_password_and_a_market_that_is_away(shell: Shell, ada: Person, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong word")
    assert shell.run("login", "--username", ada.username, "--password-file", "wrong") == exits.NOT_LOGGED_IN
    words = ["--username", "ada", "--password-file", "password", "--server", "http://127.0.0.1:9"]
    assert shell.run("login", *words, "--profile", "none") == exits.UNREACHABLE
    assert "does not answer" in shell.error
    assert shell.run("login", "--username", "ada", "--password-file", "none") == exits.REFUSED
    assert "No such file" in shell.error


def test_files_go_there_and_come_back(shell: Shell, ada: Person, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_bytes(PROGRAM)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a b.csv").write_bytes(bytes(range(256)) * 5000)
    shell.done("files", "put", "train.py", "data", "work")
    assert [one["path"] for one in shell.json("files", "work")["files"]] == ["work/data", "work/train.py"]
    assert "work/data/a b.csv  1.2 MiB" in shell.done("files", "ls", "work/data")
    shell.done("files", "get", "work/train.py", "copy.py")
    assert (tmp_path / "copy.py").read_bytes() == PROGRAM
    shell.done("files", "get", "work", "back")
    assert (tmp_path / "back/work/data/a b.csv").read_bytes() == (tmp_path / "data/a b.csv").read_bytes()
    assert shell.run("files", "rm", "work") == exits.REFUSED
    assert "say --yes" in shell.error
    shell.done("files", "rm", "work", "--yes")
    assert shell.done("files") == "nothing here\n"
    assert shell.run("files", "get", "work/none.py") == exits.REFUSED
    assert "There is no work/none.py in your home" in shell.error
    assert shell.run("files", "put", "none.py", ".") == exits.REFUSED


def test_a_job_is_quoted_submitted_shown_extended_and_cancelled(shell: Shell, ada: Person) -> None:
    ada.ask("PUT", "/files/digits/main.py", data=PROGRAM)
    size = ["--cores", "2", "--type", "cpu", "--max-duration", "10m"]
    quote = shell.json("quote", "digits", *size)
    assert f"at most {credits(quote['hold'])} credits" in shell.done("quote", "digits", *size)
    job = shell.json("submit", "digits", *size, "--name", "first", "--", "--out", "{output}", "a b")
    assert (job["status"], job["hold"], job["core_num"]) == ("submitted", quote["hold"], 2)
    assert job["app_params"] == ["--out", "{output}", "a b"]
    for word in (job["job_id"], job["job_id"][-6:], job["job_id"][:12], "first", ""):
        assert shell.json("job", *([word] if word else []))["job_id"] == job["job_id"]
    assert "first" in shell.done("jobs")
    assert "2 executor cores on cpu" in shell.done("job")
    assert shell.json("extend", "--max-duration", "20m")["max_duration"] == 1200
    assert "no logs yet" in shell.done("logs", "--list")
    assert shell.done("logs") == ""
    assert shell.done("results") == "no results yet\n"
    assert "charge" in shell.done("receipt")
    assert shell.run("cancel", "first") == exits.REFUSED
    assert "say --yes" in shell.error
    shell.done("cancel", "first", "--yes")
    assert shell.json("job")["status"] in ("cancelling", "cancelled")
    assert shell.run("job", "0000") == exits.REFUSED
    assert "there is no job 0000" in shell.error


def test_what_the_market_refuses_is_told_in_the_words_of_the_command(shell: Shell, ada: Person) -> None:
    ada.ask("PUT", "/files/digits/main.py", data=PROGRAM)
    assert shell.run("submit", "digits", "--cores", "0", "--type", "cpu") == exits.REFUSED
    assert shell.error.startswith("market: --cores: ")
    assert shell.run("submit", "none", "--type", "cpu") == exits.REFUSED
    assert "FOLDER: There is no such folder" in shell.error
    much = ["--cores", "64", "--max-duration", "30d", "--type", "cpu"]
    assert shell.run("submit", "digits", *much) == exits.NOT_ENOUGH_CREDIT
    assert "market quote" in shell.error
    assert shell.run("submit", "digits", *much, "--json") == exits.NOT_ENOUGH_CREDIT
    refused = json.loads(shell.error)
    assert (refused["exit_code"], refused["error"]["status"]) == (exits.NOT_ENOUGH_CREDIT, 402)
    assert shell.run("submit") == exits.REFUSED
    assert "which FOLDER" in shell.error
    assert shell.run("extend", "--max-duration", "20m") == exits.REFUSED
    assert "no jobs yet" in shell.error


def test_fields_come_from_a_file_and_from_options(shell: Shell, ada: Person, tmp_path: Path) -> None:
    ada.ask("PUT", "/files/digits/main.py", data=PROGRAM)
    body = {"root_path": "digits", "core_num": 1, "machine_type": "cpu", "job_name": "of the file"}
    (tmp_path / "job.json").write_text(json.dumps(body))
    words = ["--from", "job.json", "--env", "LEVEL=debug", "--grid", "n=1,2.5,x", "--set", "max_parallel=3"]
    job = shell.json("submit", *words, "--", "{n}")
    assert (job["job_name"], job["env"], job["max_parallel"]) == ("of the file", {"LEVEL": "debug"}, 3)
    assert job["grid"] == {"n": [1, 2.5, "x"]}
    (tmp_path / "job.json").write_text("[")
    assert shell.run("submit", "--from", "job.json") == exits.REFUSED
    assert "is no JSON" in shell.error


def test_money(shell: Shell, ada: Person) -> None:
    assert "15.00 credits" in shell.done("credits")
    assert shell.json("credits")["available"] == "15.000000"
    assert "15.00" in shell.done("statement")
    assert shell.json("statement")["lines"][0]["kind"] == "grant"
    assert "cpu" in shell.done("price")


def test_machines(shell: Shell, ada: Person) -> None:
    assert "market share lends this one" in shell.done("machines")
    body = {"core_count": 2, "memory_size": 2048, "machine_type": "cpu", "time_period": 3600, "name": "attic"}
    made = ada.ask("POST", "/machines", json=body).json()
    assert "attic" in shell.done("machines")
    assert shell.json("machine", "attic")["machine_id"] == made["machine_id"]
    assert shell.json("machine", made["machine_id"][-8:])["display_name"] == "attic"
    assert shell.run("resize", "attic") == exits.REFUSED
    shell.run("resize", "attic", "--cores", "1")
    shell.done("leave", "attic", "--yes")
    assert "attic" not in shell.done("machines")


def test_nobody_sees_a_name_that_a_terminal_would_obey(
    shell: Shell, ada: Person, api_server: Airflow
) -> None:
    ada.ask("PUT", "/files/digits/main.py", data=PROGRAM)
    shell.json("submit", "digits", "--type", "cpu")
    with sql(api_server) as cursor:  # as a market would that is not to be trusted
        cursor.execute("UPDATE job SET job_name = %s WHERE user_id = %s", ["a\x1b]0;b\x07", ada.user_id])
    for words in (["jobs"], ["job"], ["receipt"]):
        assert "\x1b" not in shell.done(*words)


def test_wrong_usage_shows_how_it_is_written(shell: Shell) -> None:
    for words in (
        ["foo"],
        ["jobs", "--limit", "x"],
        ["submit", "a", "--max-duration", "soon"],
        ["results", "get", "--x"],
    ):
        with pytest.raises(SystemExit) as ended:
            shell.run(*words)
        assert ended.value.code == exits.USAGE


def test_a_fault_is_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distributedmarket.profiles._read", lambda: 1 / 0)
    assert shell.run("jobs") == exits.FAULT
    assert shell.error.count("\n") == 1
    assert "Traceback" not in shell.error


def test_what_one_is_told_of(shell: Shell, ada: Person, api_server: Airflow) -> None:
    assert "nothing" in shell.done("notify")
    shell.done("notify", "mail", "job_failed", "--digest", "grant")
    found = shell.json("notify", "show")
    assert (found["mail"], found["digest"]) == (["job_failed"], ["grant"])
    made = shell.json("notify", "hook", "https://localhost:1/", "job_ended")
    assert "whsec_" in made["secret"]
    assert made["secret"] not in shell.done("notify")
    last = made["webhook_id"][-8:]
    assert last in shell.done("notify", "show")
    assert shell.run("notify", "test", last) == exits.REFUSED
    assert "no public address" in shell.out
    shell.done("notify", "unhook", last)
    assert shell.run("notify", "unhook", last) == exits.REFUSED
    assert shell.run("notify", "mail", "no_such") == exits.REFUSED
    with sql(api_server) as cursor:
        cursor.execute("UPDATE event SET position = nextval('event_position') WHERE position IS NULL")
    assert "You were given 15 credits" in shell.done("events")
    cursor_then = shell.json("events")["cursor"]
    assert shell.json("events", "--after", str(cursor_then))["events"] == []


def test_who_manages_a_project_lists_the_jobs_that_it_pays_and_cancels_one_with_a_reason(
    shell: Shell, ada: Person, register: Callable[..., Person]
) -> None:
    bob, name = register("bob"), f"lab-{secrets.token_hex(3)}"
    shell.done("projects", "new", name, "--budget", "9", "--end", "2099-01-01")
    assert "pays no jobs yet" in shell.done("jobs", "--project", name)
    shell.done("projects", "add", name, bob.username)
    shell.done("projects", "pay", name, "5", "--reason", "work")
    bob.ask("PUT", "/files/digits/main.py", data=PROGRAM)
    body = {"root_path": "digits", "core_num": 1, "machine_type": "cpu", "max_duration": 600}
    paid, own = (
        bob.ask("POST", "/jobs", json=body | more).json()["job_id"] for more in ({"project": name}, {})
    )
    assert shell.json("jobs")["jobs"] == [], "another's job is none of one's own"
    listed = shell.done("jobs", "--project", name)
    assert paid in listed
    assert bob.username in listed
    assert own not in listed
    project_id = shell.json("projects", "show", name)["project_id"]
    assert [job["job_id"] for job in shell.json("jobs", "--project", project_id)["jobs"]] == [paid]
    assert shell.run("jobs", "--project", "nowhere") == exits.REFUSED
    assert "you have no project nowhere" in shell.error
    assert shell.run("cancel", paid, "--yes") == exits.REFUSED
    assert "reason" in shell.error
    shell.done("cancel", paid, "--reason", "the budget is for the paper", "--yes")
    told = bob.ask("GET", f"/jobs/{paid}").json()
    assert told["status"] in ("cancelling", "cancelled")
    assert "the budget is for the paper" in json.dumps(told)


def test_a_project_is_made_paid_into_and_paid_out(
    shell: Shell, ada: Person, register: Callable[..., Person]
) -> None:
    bob, name = register("bob").username, f"lab-{secrets.token_hex(3)}"
    made = shell.done("projects", "new", name, "--budget", "9", "--end", "2099-01-01")
    assert f"market projects pay {name}" in made
    assert f"{bob} is member" in shell.done("projects", "add", name, bob, "--month-cap", "2")
    assert "the payer has 12.00" in shell.done("projects", "pay", name, "3", "--reason", "work")
    shell.done("projects", "pay", name, "1", "--reason", "back", "--to-member", ada.username)
    shown = shell.json("projects", "show", name)
    assert (shown["available"], shown["left"]) == ("2.000000", "9.000000")
    assert {row["username"]: row["month_cap"] for row in shown["members"]} == {
        ada.username: None,
        bob: "2.000000",
    }
    assert "may spend 8.00" in shell.done("projects", "change", name, "--budget", "8")
    assert name in shell.done("projects")
    assert [line["amount"] for line in shell.json("projects", "statement", name)["lines"]] == [
        "3.000000",
        "-1.000000",
    ]
    assert "no jobs in this month" in shell.done("projects", "report", name)
    assert f"{bob} is out" in shell.done("projects", "remove", name, bob, "--yes")
    assert shell.run("projects", "show", "nowhere") == exits.REFUSED
    assert "you have no project nowhere" in shell.error
