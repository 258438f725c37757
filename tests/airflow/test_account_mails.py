"""Accounts at a real api-server that mails: by routes, by pages without scripts, in Airflow's logins."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from account_people import code_for
from airflow_accounts import Person, log_in, make_token, sql
from airflow_server import Airflow, airflow_server
from mail_server import MailServer, mail_server

pytestmark = pytest.mark.database
PAGES = "/pluginsv2/market"


@pytest.fixture(scope="module")
def mailbox() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def mailing_server(tmp_path_factory: pytest.TempPathFactory, mailbox: MailServer) -> Iterator[Airflow]:
    """Run an api-server whose members get their credits when they confirm their address."""
    folder = tmp_path_factory.mktemp("mailing")
    own = folder / "market.toml"
    own.write_text(
        '[accounts]\nregistration = "confirmed"\nregistrations_per_minute = 1000\n'
        f'[mail]\nhost = "127.0.0.1"\nport = {mailbox.port}\ntls = "none"\nsender = "market@example.org"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARKET_CONFIG", str(own))
        with airflow_server(Path(folder) / "server") as server:
            patch.setenv("MARKET_STATE_DIR", str(server.settings.paths.state))  # as its loops have it
            patch.setenv("MARKET_DATABASE_URL", server.database.url("market_app"))
            yield server


@pytest.fixture
def person(mailing_server: Airflow) -> Person:
    """Somebody who has registered, and confirmed nothing."""
    with sql(mailing_server) as cursor:
        cursor.execute("DELETE FROM attempt")
    username, password = f"ada-{secrets.token_hex(4)}", secrets.token_hex(8)
    body = {"username": username, "password": password, "email": f"{username}@example.org"}
    made = requests.post(f"{mailing_server.market}/users", json=body, timeout=30)
    assert made.status_code == 201, made.text
    assert (made.json()["credit"], made.json()["credit_waits_for"]) == ("0.000000", "confirmation")
    return log_in(mailing_server, username, password)


def sent_by_form(server: Airflow, path: str, **fields: str) -> requests.Response:
    """Open a page as a browser without scripts does, and send its form."""
    with requests.Session() as browser:
        page = browser.get(f"{server.url}{PAGES}{path}", timeout=30)
        assert page.status_code == 200, page.text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token
        return browser.post(page.url, data=fields | {"csrf_token": token[1]}, timeout=30)


def confirm(person: Person, mailbox: MailServer) -> None:
    code = code_for(mailbox, person.ask("GET", "/users/me").json()["email"])
    assert requests.post(f"{person.server.market}/users/confirm", json={"code": code}, timeout=30).ok


def test_a_mailed_link_leads_to_a_form_that_brings_the_credits(
    mailing_server: Airflow, person: Person, mailbox: MailServer
) -> None:
    code = code_for(mailbox, f"{person.username}@example.org")
    link = f"{mailing_server.url}{PAGES}/account/confirm#{code}"
    assert link in mailbox.envelopes[-1].text
    looked = requests.get(link, timeout=30)  # as programs do that look at all links
    assert (looked.status_code, code in looked.text) == (200, False)
    answer = sent_by_form(mailing_server, "/account/confirm", code=code)
    assert f"{person.username}@example.org is confirmed" in answer.text
    me = person.ask("GET", "/users/me").json()
    assert (me["credit"], me["email_confirmed"]) == ("15.000000", True)
    again = sent_by_form(mailing_server, "/account/confirm", code=code)
    assert (again.status_code, "is not valid" in again.text) == (422, True)


def test_a_forgotten_password_is_set_anew_and_all_that_was_logged_in_ends(
    mailing_server: Airflow, person: Person, mailbox: MailServer
) -> None:
    confirm(person, mailbox)
    program = make_token(person, "read")
    answers = [
        requests.post(f"{mailing_server.market}/users/reset", json={"account": named}, timeout=30)
        for named in (person.username, "nobody-at-all")
    ]
    assert answers[0].status_code == 202
    assert (answers[0].status_code, answers[0].text) == (answers[1].status_code, answers[1].text)
    code = code_for(mailbox, f"{person.username}@example.org")
    refused = sent_by_form(mailing_server, "/account/reset", code=code, new_password="password")
    assert (refused.status_code, "everybody tries first" in refused.text) == (422, True)
    new = secrets.token_hex(8)
    done = sent_by_form(mailing_server, "/account/reset", code=code, new_password=new)
    assert "The password is changed" in done.text
    for token in (person.token, program):
        headers = {"Authorization": f"Bearer {token}"}
        assert (
            requests.get(f"{mailing_server.market}/users/me", headers=headers, timeout=30).status_code == 401
        )
    body = {"username": person.username, "password": person.password}
    assert requests.post(f"{mailing_server.market}/login", json=body, timeout=30).status_code == 401
    log_in(mailing_server, person.username, new)
    again = {"code": code, "new_password": secrets.token_hex(8)}
    answer = requests.post(f"{mailing_server.market}/users/reset/password", json=again, timeout=30)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["code"])


def test_a_forgotten_password_is_asked_for_on_a_page_too(
    mailing_server: Airflow, person: Person, mailbox: MailServer
) -> None:
    confirm(person, mailbox)
    for place in ("/register/", "/welcome/", "/account/"):
        assert "/account/forgot" in requests.get(f"{mailing_server.url}{PAGES}{place}", timeout=30).text
    words = sent_by_form(mailing_server, "/account/forgot", account=f"{person.username}@EXAMPLE.org").text
    assert "If there is such an account" in words
    assert code_for(mailbox, f"{person.username}@example.org")


def test_an_address_is_changed_and_the_login_with_it(
    mailing_server: Airflow, person: Person, mailbox: MailServer
) -> None:
    confirm(person, mailbox)
    new = f"new-{person.username}@example.org"
    wrong = {"password": "not the password", "email": new}
    assert person.ask("PUT", "/users/me/email", json=wrong).status_code == 422
    assert person.ask("PUT", "/users/me/email", json=wrong | {"password": person.password}).status_code == 202
    me = person.ask("GET", "/users/me").json()
    assert (me["email"], me["new_email"]) == (f"{person.username}@example.org", new)
    code = code_for(mailbox, new)
    assert requests.post(f"{mailing_server.market}/users/confirm", json={"code": code}, timeout=30).ok
    log_in(mailing_server, new, person.password)
    me = person.ask("GET", "/users/me").json()
    assert (me["email"], me["email_confirmed"], me["credit"]) == (new, True, "15.000000")


def test_the_account_s_own_page(mailing_server: Airflow, person: Person, mailbox: MailServer) -> None:
    with requests.Session() as browser:
        browser.cookies.set("_token", person.token)
        address = f"{mailing_server.url}{PAGES}/account/"
        page = browser.get(address, timeout=30).text
        assert "is not confirmed" in page
        assert "Nothing is mailed to" in page
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token
        fields = {"csrf_token": token[1], "display_name": "Ada <b>Lovelace</b>"}
        page = browser.post(f"{address}name", data=fields, timeout=30).text
        assert "Ada &lt;b&gt;Lovelace&lt;/b&gt;" in page
        fields = {"csrf_token": token[1], "email": "x@example.org", "password": "wrong"}
        answer = browser.post(f"{address}email", data=fields, timeout=30)
        assert (answer.status_code, "is wrong" in answer.text) == (422, True)
        page = browser.post(f"{address}confirmation", data={"csrf_token": token[1]}, timeout=30).text
        assert "A mail is on its way" in page
    assert person.ask("GET", "/users/me").json()["display_name"] == "Ada <b>Lovelace</b>"


def test_invitations_and_approvals_are_for_administrators(mailing_server: Airflow, person: Person) -> None:
    admin = log_in(mailing_server, "admin", mailing_server.admin_password)
    body = {"note": "the class", "uses": 3}
    for method, path in (("GET", "/invitations"), ("POST", "/invitations"), ("GET", "/approvals")):
        options = {"json": body} if method == "POST" else {}
        assert person.ask(method, path, **options).status_code == 403
    made = admin.ask("POST", "/invitations", json=body)
    assert (made.status_code, made.json()["code"][:4]) == (201, "dmi_")
    (listed,) = admin.ask("GET", "/invitations").json()["invitations"]
    assert (listed["uses"], "code" in listed) == (3, False)
    path = f"/invitations/{listed['invitation_id']}"
    assert [admin.ask("DELETE", path).status_code for _ in range(2)] == [204, 409]
    assert admin.ask("GET", "/approvals").json() == {"approvals": [], "total": 0}
    assert admin.ask("POST", f"/approvals/{person.user_id}/approve").status_code == 404
