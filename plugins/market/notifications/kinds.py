"""The kinds of events, and how each is told in words.

What stands in an event's data may be somebody's words (a job's name, a reason): it is shown as one line of
plain text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from market.kit.text import plain

ALERT = "alert"  # for administrators


@dataclass(frozen=True)
class Kind:
    """What it is about, and its sentence, with the names of its data in braces."""

    summary: str
    sentence: str


KINDS: Mapping[str, Kind] = {
    "job_started": Kind("a job begins to run", "Your job {job_name} runs."),
    "job_ended": Kind("a job has succeeded or was cancelled", "Your job {job_name} ended: {status}."),
    "job_failed": Kind(
        "a job has failed or was lost", "Your job {job_name} failed ({reason_code}): {reason}"
    ),
    "job_hold": Kind(
        "90 % of a job's hold is used",
        "Your job {job_name} has used nearly all of its hold of {hold} credits. It is stopped at its end.",
    ),
    "job_extended": Kind(
        "a job's hold grew by itself", "The hold of your job {job_name} grew to {hold} credits."
    ),
    "job_stopped": Kind(
        "the market stops a job", "Your job {job_name} is being stopped ({reason_code}): {reason}"
    ),
    "machine_joined": Kind("a machine takes work", "Your machine {machine} has joined the pool."),
    "machine_lost": Kind("a machine is not heard of any more", "Your machine {machine} is lost: {reason}"),
    "machine_rejected": Kind("a machine was refused", "Your machine {machine} was refused: {reason}"),
    "machine_drained": Kind("a machine has ended its work", "Your machine {machine} has drained: {state}."),
    "machine_poor": Kind(
        "a machine delivers less than it declares", "Your machine {machine} was measured poor: {reason}"
    ),
    "lease_ending": Kind(
        "a machine's lease ends soon", "The lease of your machine {machine} ends at {ends_ms}."
    ),
    "budget": Kind(
        "80 or 100 % of the budget of a project that you manage are spent or held",
        "{percent} % of the budget of {project} are spent or held: {left} of {budget} credits are left.",
    ),
    "cap": Kind(
        "80 or 100 % of a month's cap are spent or held: yours, or a member's whose project you manage",
        "{percent} % of the cap of {member} in {project} for {month} are spent or held:"
        " {left} of {cap} credits are left.",
    ),
    "grant": Kind("you are given credits", "You were given {amount} credits: {reason}"),
    "account": Kind("an administrator approves or refuses your account", "Your account is {state}: {reason}"),
    "refund": Kind("you get credits back", "You got {amount} credits back for {job_name}: {reason}"),
    ALERT: Kind("an alert, for administrators", "{alert} of {subject}: {detail}"),
}
CHOOSABLE = tuple(kind for kind in KINDS if kind != ALERT)

_MOST = 500  # characters of one figure or text
_UNKNOWN = Kind("", "{kind}")


@dataclass(frozen=True)
class Event:
    """An event as it is told: `position` orders all that were published."""

    event_id: str
    position: int
    at_ms: int
    kind: str
    job_id: str | None
    machine_id: str | None
    data: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """The event in one line."""
        known = _Shown({"kind": self.kind, **self.data})
        return plain(KINDS.get(self.kind, _UNKNOWN).sentence.format_map(known)).strip()

    @property
    def at(self) -> datetime:
        """When it became true, UTC."""
        return datetime.fromtimestamp(self.at_ms / 1000, UTC)


class _Shown(dict[str, Any]):
    """Data as texts; what is missing is a dash. A text is put in as it is: its braces mean nothing."""

    def __getitem__(self, name: str) -> str:
        value = super().get(name)
        if value is None or value == "":
            return "-"
        if name.endswith("_ms") and isinstance(value, int):
            return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M} UTC"
        return plain(str(value), _MOST)
