"""Projects and transfers in the ledger: the functions of `sql/functions/`, in the caller's transaction.

Who may do what stands in `people/projects/`. Each of these that changes something locks the project's tree
itself, and whoever decides by what he reads calls `lock` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from market.credits import ledger
from market.credits.project_errors import OverBudgetError
from market.kit.database import Cursor
from market.kit.errors import BadInputError, ConflictError, OverLimitError
from market.kit.money import format_credits

_OVER_TRANSFERS, _OUTSIDE_PARENT = "LG013", "LG014"
_OUTSIDE = {
    "budget": "a sub-project's budget may not be above its parent's",
    "start": "a sub-project may not begin before its parent",
    "end": "a sub-project may not end after its parent",
    "role": "a project has one owner: give his place to somebody else first",
}


def lock(cursor: Cursor, project_id: str) -> None:
    """Keep a project's tree as it is until the end of the transaction, its members and its budgets."""
    cursor.execute("SELECT lock_trees(ARRAY[%s])", [project_id])


def create(
    cursor: Cursor,
    project_id: str,
    name: str,
    title: str,
    parent_id: str | None,
    owner_id: str,
    budget_ucr: int,
    start_ms: int,
    end_ms: int,
) -> None:
    """Make a project with an empty account. Raises ConflictError (the name), BadInputError, NotFoundError."""
    arguments = [project_id, name, title, parent_id, owner_id, budget_ucr, start_ms, end_ms]
    try:
        with _rules_in_words():
            ledger.call(cursor, "create_project", arguments, None)
    except ledger.KeyReusedError as error:
        raise ConflictError(f"There is a project {name} already. Take another name.") from error


def set_budget(
    cursor: Cursor, project_id: str, title: str, budget_ucr: int, start_ms: int, end_ms: int
) -> None:
    """Give a project another title, budget and time. Raises BadInputError, NotFoundError."""
    with _rules_in_words(), _committed_in_words("budget"):
        ledger.call(cursor, "set_project_budget", [project_id, title, budget_ucr, start_ms, end_ms], None)


def set_member(cursor: Cursor, project_id: str, user_id: str, role: str, month_cap_ucr: int | None) -> None:
    """Give a member a role and a cap for each month. Raises BadInputError, NotFoundError."""
    with _rules_in_words(), _committed_in_words("month_cap"):
        ledger.call(cursor, "set_project_member", [project_id, user_id, role, month_cap_ucr], None)


def remove_member(cursor: Cursor, project_id: str, user_id: str) -> None:
    """Take a member out; his jobs go on at the project's cost. Raises BadInputError, NotFoundError."""
    with _rules_in_words():
        ledger.call(cursor, "remove_project_member", [project_id, user_id], None)


def transfer(
    cursor: Cursor,
    from_id: str,
    to_id: str,
    amount_ucr: int,
    reason: str,
    key: str,
    giver_id: str,
    limit_ucr: int,
    at_ms: int | None = None,
) -> bool:
    """Move credits between two accounts; tell whether this call did it.

    `limit_ucr` is what the payer may transfer in one day (UTC). Raises NotEnoughCreditError, OverLimitError,
    KeyReusedError, NotFoundError.
    """
    arguments = [from_id, to_id, amount_ucr, reason, key, giver_id, limit_ucr]
    try:
        return ledger.call(cursor, "transfer_credit", arguments, at_ms, needed_ucr=amount_ucr) == "done"
    except psycopg2.Error as error:
        if error.pgcode != _OVER_TRANSFERS:
            raise
        left = format_credits(int(error.diag.message_detail or 0))
        raise OverLimitError(
            f"An account may transfer {format_credits(limit_ucr)} credits in a day (UTC), and {left} are "
            "left of that for today. Transfer less, or tomorrow."
        ) from error


def left_ucr(cursor: Cursor, job_id: str) -> int | None:
    """Return by how much a job's hold may grow within budgets and caps; None: no project pays for it."""
    cursor.execute(
        "SELECT least(b.left_ucr,"
        " m.cap_ucr - month_committed(j.project_id, j.user_id, month_of(j.added_ms)))::bigint AS ucr"
        " FROM job j CROSS JOIN LATERAL (SELECT min(p.budget_ucr - p.committed_ucr) AS left_ucr"
        " FROM project_chain(j.project_id) JOIN project p USING (project_id)) b"
        " LEFT JOIN project_month m ON m.project_id = j.project_id AND m.user_id = j.user_id"
        " AND m.month_ms = month_of(j.added_ms) WHERE j.job_id = %s AND j.project_id IS NOT NULL",
        [job_id],
    )
    row = cursor.fetchone()
    return int(row.ucr) if row else None


@contextmanager
def _rules_in_words() -> Iterator[None]:
    """Turn a rule of the tree that would be broken into messages by field."""
    try:
        yield
    except psycopg2.Error as error:
        if error.pgcode != _OUTSIDE_PARENT:
            raise
        field = error.diag.message_detail or "budget"
        raise BadInputError({field: [_OUTSIDE[field]]}) from error


@contextmanager
def _committed_in_words(field: str) -> Iterator[None]:
    """Turn a budget or a cap below what is committed into a message on its field."""
    try:
        yield
    except OverBudgetError as error:
        committed = format_credits(error.available_ucr)
        raise BadInputError({field: [f"may not be less than the {committed} that are committed"]}) from error
