"""The market's words are the same wherever they stand: in the schema, on the pages, in the statement."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from ledger_world import World

from market.credits import statement
from market.kit import vocabulary as words
from market.kit.settings import PROTECTIONS
from market.web.pages import text

# Table and column -> the lists that its CHECKs hold it to.
CHECKS = {
    ("machine", "state"): [words.MACHINE_STATES],
    ("verification", "outcome"): [words.VERIFICATION_OUTCOMES],
    ("job", "status"): [words.JOB_STATUSES, words.ENDED],
    ("run", "status"): [words.RUN_STATUSES, words.ENDED],
    ("submission", "mode"): [PROTECTIONS],
    ("container_usage", "role"): [words.CONTAINER_ROLES],
    ("container_usage", "end_kind"): [words.CONTAINER_ENDS],
    ("usage_line", "not_charged_because"): [words.NOT_CHARGED],
    ("journal", "kind"): [words.JOURNAL_KINDS],
    ("project_member", "role"): [words.PROJECT_ROLES],
    ("hold_entry", "kind"): [words.HOLD_CHANGES],
    ("settlement_step", "step"): [words.SETTLEMENT_STEPS],
    ("system_balance", "account"): [words.SYSTEM_ACCOUNTS],
    ("program_token", "scopes"): [words.TOKEN_SCOPES],
    ("channel", "way"): [words.WAYS],
    ("delivery", "outcome"): [words.DELIVERY_OUTCOMES],
    ("approval", "state"): [words.APPROVAL_STATES],
    ("account_mail", "kind"): [words.ACCOUNT_MAILS],
}
_LIST = re.compile(r"(\w+) (?:= ANY \(|<@ )ARRAY\[([^]]*)\]")
_WORD = re.compile(r"'([^']*)'")


def lists(definition: str) -> list[tuple[str, frozenset[str]]]:
    """Return the columns that an expression compares with lists, and the lists."""
    return [(column, frozenset(_WORD.findall(listed))) for column, listed in _LIST.findall(definition)]


@pytest.mark.database
def test_the_schema_checks_for_exactly_these_words(world: World) -> None:
    words = defaultdict(list)
    for table, definition in world.sql(
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'c' AND connamespace = 'market'::regnamespace AND conrelid <> 0"
    ):
        for column, listed in lists(definition):
            words[table.removeprefix("market."), column].append(listed)
    expected = {where: {frozenset(one) for one in listed} for where, listed in CHECKS.items()}
    assert {where: set(listed) for where, listed in words.items()} == expected


@pytest.mark.database
def test_a_host_is_held_by_what_is_live(world: World) -> None:
    [[predicate]] = world.sql(
        "SELECT pg_get_expr(indpred, indrelid) FROM pg_index"
        " WHERE indexrelid = 'market.machine_live_host'::regclass"
    )
    assert lists(predicate) == [("state", frozenset(words.MACHINE_LIVE))]


def test_every_status_that_is_not_calm_by_nature_has_its_colour() -> None:
    known = {*words.JOB_STATUSES, *words.RUN_STATUSES, *words.MACHINE_STATES}
    assert known - set(text.TONES) == {"cancelled", "left"}
    assert set(text.TONES) <= known


def test_the_list_of_jobs_is_told_which_statuses_end() -> None:
    told = text.statuses_of_jobs()
    assert tuple(told) == words.JOB_STATUSES
    assert {status for status, known in told.items() if known["ended"]} == set(words.ENDED)


def test_the_statement_knows_every_kind_of_journal() -> None:
    assert set(statement.OTHER_SIDE) == set(words.JOURNAL_KINDS)
