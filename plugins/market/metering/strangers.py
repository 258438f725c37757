"""Applications that are none of the market's: nobody may use its machines beside it.

An application is the market's if one of its tags names a run of its own user, and that run has no other
application; or if it is a canary, or was announced. Whatever else claims to be one is ended, whoever's name,
queue or tag it bears.

No honest application can be taken for a stranger: a run, a canary and an announcement are committed before
anything is given to YARN, and they are read after the ResourceManager was asked for its applications.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from market.cluster.resourcemanager import App
from market.kit.database import Cursor

_CANARY_ACCOUNT = "spark"
_CANARY_MS = 600_000  # the market's own measurements are listed for a while after their end
_ENDING_MS = 30_000  # a canary that is given up is killed: longer than that takes


@dataclass(frozen=True)
class Known:
    """What the market knows of the tags of some applications."""

    runs: Mapping[str, tuple[str, str | None]]  # by tag: its user and its application, if it has one already
    canaries: Mapping[str, bool]  # by tag: whether its application may still run
    announced: frozenset[str]


def known(cursor: Cursor, apps: Iterable[App], at_ms: int) -> Known:
    """Read what these applications' tags name, at `at_ms`."""
    tags = sorted({tag for app in apps for tag in app.tags})
    cursor.execute(
        "SELECT tag, username, run.application_id FROM run"
        " JOIN job USING (job_id) JOIN member USING (user_id) WHERE tag = ANY (%s)",
        [tags],
    )
    runs = {row.tag: (row.username, row.application_id) for row in cursor.fetchall()}
    cursor.execute(
        "SELECT 'canary-' || verification_id AS tag, ended_ms IS NULL OR ended_ms > %s AS may_run"
        " FROM verification WHERE ended_ms IS NULL OR ended_ms > %s",
        [at_ms - _ENDING_MS, at_ms - _CANARY_MS],
    )
    canaries = {row.tag: row.may_run for row in cursor.fetchall()}
    cursor.execute("SELECT tag FROM announced_work WHERE tag = ANY (%s) AND until_ms > %s", [tags, at_ms])
    return Known(runs, canaries, frozenset(row.tag for row in cursor.fetchall()))


def among(apps: Iterable[App], knowledge: Known) -> list[App]:
    """Return those of the applications that are none of the market's."""
    apps = list(apps)
    first: dict[str, App] = {}
    for app in sorted(apps, key=lambda app: (app.started_ms, app.application_id)):
        for tag in app.tags:
            # A canary's tag is known to nobody before it runs: the first that bears it is the market's.
            first.setdefault(tag, app)
    return [app for app in apps if not _is_ours(app, knowledge, first)]


def _is_ours(app: App, knowledge: Known, first: Mapping[str, App]) -> bool:
    for tag in app.tags:
        if tag in knowledge.announced:
            return True
        user, application_id = knowledge.runs.get(tag, ("", None))
        if user == app.user and application_id in (None, app.application_id):
            return True
        may_run = knowledge.canaries.get(tag)
        if may_run is not None and app.user == _CANARY_ACCOUNT and first[tag] is app:
            return may_run or app.ended
    return False
