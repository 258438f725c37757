"""What a mail says: one event, or those of a day."""

from __future__ import annotations

from market.kit import mail
from market.kit.settings import load
from market.notifications.claims import Claim
from market.notifications.kinds import Event

_FOOTER = "You chose to be told of this. Choose otherwise with: market notify"


def send(claim: Claim) -> None:
    """Mail a claim. Raises MailRefusedError, UnavailableError."""
    first = claim.events[0]
    subject = f"{len(claim.events)} events of your day" if claim.digest else first.sentence
    body = "\n".join(map(_line, claim.events)) if claim.digest else _whole(first)
    text = f"Hello {claim.username},\n\n{body}\n\n{_FOOTER}\n{load().url('api')}\n"
    mail.send(claim.address, subject, text, reference=f"{first.event_id}.{claim.channel_id}")


def _line(event: Event) -> str:
    return f"{event.at:%Y-%m-%d %H:%M}  {event.sentence}"


def _whole(event: Event) -> str:
    about = [("Time", f"{event.at:%Y-%m-%d %H:%M:%S} UTC"), ("Job", event.job_id)]
    about += [("Machine", event.machine_id), ("Event", event.event_id)]
    return "\n".join([event.sentence, "", *(f"{name}: {value}" for name, value in about if value)])
