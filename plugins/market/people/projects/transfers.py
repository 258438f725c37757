"""Transfers between accounts: into a project, within its tree, and back to its members."""

from __future__ import annotations

from typing import Any

from market.credits import ledger
from market.credits import projects as project_ledger
from market.kit import audit, database
from market.kit.clock import new_id
from market.kit.database import Answering, Cursor
from market.kit.errors import BadInputError
from market.kit.money import format_credits, parse_credits
from market.kit.settings import load
from market.kit.vocabulary import MANAGER, MEMBER, OWNER
from market.people.member import Member
from market.people.projects import roles


@database.again
def transfer(
    member: Member,
    payer_id: str,
    payee_id: str,
    amount: str,
    reason: str,
    answering: Answering | None = None,
) -> dict[str, Any]:
    """Move `amount` credits (a decimal string) from one account to another; return the transfer.

    From his own account a member pays into a project that he may spend from. From a project its managers pay
    to its parent and its sub-projects, and its owner to those who have a role in it. Raises BadInputError,
    NotEnoughCreditError, NotFoundError, OverLimitError (of a day), RoleMissingError.
    """
    limit_ucr = load().credits.micro("transfers_per_day")
    with database.transaction() as cursor:
        if payer_id == member.user_id:
            roles.needed(cursor, member, payee_id, MEMBER)
        else:
            _check_from_project(cursor, member, payer_id, payee_id)
        key = f"transfer:{member.user_id}:{payee_id}:{new_id()}"
        project_ledger.transfer(
            *(cursor, payer_id, payee_id, parse_credits(amount), reason, key, member.user_id, limit_ucr)
        )
        detail = f"transferred {amount} credits to {payee_id}: {reason}"
        audit.write(cursor, audit.PROJECT, member.user_id, payer_id, detail)
        answer = {
            "payer_id": payer_id,
            "payee_id": payee_id,
            "amount": format_credits(parse_credits(amount)),
            "reason": reason,
            "balance": format_credits(ledger.balances(cursor, payer_id).balance_ucr),
        }
        if answering is not None:
            answering(cursor, answer)
    return answer


def _check_from_project(cursor: Cursor, member: Member, payer_id: str, payee_id: str) -> None:
    standing = roles.needed(cursor, member, payer_id, MANAGER)
    cursor.execute(
        "SELECT EXISTS (SELECT FROM project a, project b WHERE a.project_id = %s AND b.project_id = %s"
        " AND (a.parent_id = b.project_id OR b.parent_id = a.project_id)) AS in_tree,"
        " project_role(%s, %s) IS NOT NULL AS is_member",
        [payer_id, payee_id, payer_id, payee_id],
    )
    row = cursor.fetchone()
    if row.is_member:
        standing.require(OWNER)
    elif not row.in_tree:
        raise BadInputError(
            {"payee_id": ["must be the project's parent, a sub-project of it, or somebody with a role in it"]}
        )
