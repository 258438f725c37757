"""A look at the ledger between two settlements: what was put in by hand does not wait for the next seal."""

from __future__ import annotations

from market.credits import invariants
from market.kit import alerts, database

_MOST = 100  # alerts of one look: one mistake may break an invariant for thousands of rows


def run_pass() -> None:
    """Ask all invariants about what no seal covers yet; raise the alert `ledger` for what breaks one.

    It takes time in proportion to what is new, and to the number of accounts, whose balances are added up.
    """
    with database.transaction() as cursor:
        found = invariants.broken(cursor, only_new=True)
        for row in found[:_MOST]:
            alerts.raise_alert(cursor, alerts.LEDGER, f"{row.invariant}: {row.subject}", row.detail)
