"""The page Tokens: those that a member has made for his programs, another one, and ending one."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_appbuilder import expose

from market.airflow import menu
from market.airflow.logins import AirflowLogins
from market.kit import whole
from market.kit.clock import now_ms
from market.kit.errors import BadInputError, MarketError
from market.kit.vocabulary import FILES, LEND, PROJECT, READ, SUBMIT
from market.kit.wire import loaded
from market.people import program_tokens
from market.people.member import Member
from market.people.schemas import ProgramTokenRequestSchema
from market.web.pages.base import MarketPage, page
from market.web.pages.job_form import messages

_DAY_S = 24 * 3600
_DAYS = "90"
SCOPES = {
    READ: "see your jobs, results, logs, machines, credits, projects; change nothing",
    SUBMIT: "submit, cancel, extend, retry and hide jobs; store secrets for them",
    FILES: "list, fetch, store and delete files of your home",
    LEND: "register machines, and speak for them",
    PROJECT: "see and manage projects as you may, and transfer credits into and out of them",
}


class TokensView(MarketPage):
    """A member's tokens for programs."""

    route_base = "/market/tokens"
    class_permission_name = menu.TOKENS
    default_view = "tokens"
    entry = "Account"

    @expose("/")
    @page("read")
    def tokens(self, member: Member) -> Response:
        """List the tokens, the newest first, with the form for another one."""
        return self._shown(member)

    @expose("/", methods=["POST"])
    @page("create")
    def create(self, member: Member) -> Response:
        """Make a token, and show its text: in this answer and nowhere else, so no other page is gone to."""
        days = request.form.get("days", "").strip()
        number = whole.parsed(days, 10**6)
        given = {
            "name": request.form.get("name", "").strip(),
            "scopes": request.form.getlist("scopes"),
            "lifetime_s": days if number is None else number * _DAY_S,
        }
        try:
            made = program_tokens.create(
                AirflowLogins(), member, **loaded(ProgramTokenRequestSchema(), given)
            )
        except BadInputError as error:
            return self._shown(member, errors=_by_field(error), status=error.status)
        except MarketError as error:
            return self._shown(member, problem=error.detail, status=error.status)
        return self._shown(member, made=made)

    @expose("/<string:token_id>/revoke", methods=["POST"])
    @page("delete")
    def revoke(self, member: Member, token_id: str) -> Response:
        """End a token at once."""
        program_tokens.revoke(member, token_id)
        return self.go("TokensView.tokens", "The token is revoked: it opens nothing any more.")

    def _shown(
        self,
        member: Member,
        made: dict[str, Any] | None = None,
        errors: dict[str, str] | None = None,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        sent = request.form if errors or problem else {}
        return self.show(
            "tokens.html",
            member,
            status,
            tokens=program_tokens.list_tokens(member),
            now=now_ms(),
            made=made,
            scopes=SCOPES,
            chosen=request.form.getlist("scopes") if sent else [],
            name=sent.get("name", ""),
            days=sent.get("days", _DAYS),
            longest_days=program_tokens.longest_s() // _DAY_S,
            errors=errors or {},
            problem=problem,
        )


def _by_field(error: BadInputError) -> dict[str, str]:
    """Return what is wrong at each field of this form, which asks for days."""
    found = messages(error)
    if "lifetime_s" in found:
        longest = program_tokens.longest_s() // _DAY_S
        found["days"] = f"must be a whole number from 1 to {longest}"
        del found["lifetime_s"]
    return found
