"""Who a machine is to Hadoop's servers, where these believe keys only.

A machine has a key of its own in the market's realm, bound to its registered address: `nm/ADDRESS`. It is
made after the agent has taken its token, another one each time that the agent asks, and withdrawn when the
machine has left. With it go the files by which its NodeManager finds the realm, checks the market's tickets,
and opens logs without following links.
"""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

from market.cluster import tickets
from market.cluster.clients import keys
from market.cluster.errors import ClusterUnavailable
from market.hadoop import kerberos
from market.kit import clock, database, isolation
from market.kit.errors import ConflictError, NotFoundError, OverLimitError
from market.kit.settings import Settings, load
from market.kit.vocabulary import MACHINE_STAYING, OFFERED
from market.machines import changes, queries, registry
from market.machines.machine import Machine
from market.people.member import Member

_BETWEEN_MS = 2000
# Who an agent is to its own NodeManager's pages: nobody whom the market knows, whose names are lower case.
AGENT = "Agent"


def issue(member: Member, machine_id: str) -> dict[str, str]:
    """Give a member's machine a key; one that it had before opens nothing any more.

    Return `{principal, krb5_conf, keytab, ticket_key, classes}`, keytab and classes (a zip) in base 64.
    Raises NotFoundError, also where names are believed; ConflictError for a machine that has not joined, or
    is leaving; OverLimitError for one that was given a key a moment ago; ClusterUnavailable, ClusterRefused.
    """
    loaded = load()
    if not loaded.kerberos:
        raise NotFoundError("Machines of this market need no key.")
    with database.transaction() as cursor:
        machine = registry.own(cursor, member, machine_id, lock=True)
        _refuse_too_soon(machine)
        _note(cursor, machine)
    with database.transaction() as cursor:
        return _made(loaded, registry.own(cursor, member, machine_id, lock=True))


def issue_pool(loaded: Settings, machine_id: str) -> dict[str, str] | None:
    """Do the same for the pool's own machine; None where names are believed."""
    if not loaded.kerberos:
        return None
    with database.transaction() as cursor:
        _note(cursor, _locked(cursor, machine_id))
    with database.transaction() as cursor:
        return _made(loaded, _locked(cursor, machine_id))


def ticket(loaded: Settings, machine: Machine) -> str:
    """Return what opens a NodeManager's pages to its agent for a minute; empty if they are open to all."""
    if not loaded.kerberos:
        return ""
    key = loaded.secret(tickets.SECRET)
    return tickets.ticket(key, AGENT, tickets.machine(machine.ip_address))


def withdraw(loaded: Settings) -> None:
    """Withdraw the keys of machines that have left. Raises ClusterUnavailable; the next call goes on."""
    with database.transaction() as cursor:
        left = queries.left_with_keys(cursor)
    isolation.each(
        "withdrawing keys",
        left,
        lambda machine: _withdraw(loaded, machine),
        lambda machine: machine.machine_id,
        ends=(ClusterUnavailable,),
    )


def _withdraw(loaded: Settings, machine: Machine) -> None:
    with database.transaction() as cursor:
        # What was lent from the same address since has its own key, or waits for it until this has ended.
        heir = changes.lock_live(cursor, machine.ip_address)
        if heir is None or heir.key_ms is None:
            keys(loaded).revoke(kerberos.machine(loaded, machine.ip_address))
        changes.update(cursor, machine, machine.state, key_ms=None)


def _locked(cursor: database.Cursor, machine_id: str) -> Machine:
    machine = changes.lock(cursor, machine_id)
    if machine is None:
        raise NotFoundError("There is no such machine.")
    return machine


def _note(cursor: database.Cursor, machine: Machine) -> None:
    _refuse_unless_joined(machine)
    changes.update(cursor, machine, machine.state, key_ms=clock.now_ms())


def _made(loaded: Settings, machine: Machine) -> dict[str, str]:
    _refuse_unless_joined(machine)  # it may have left since that was noted
    principal = kerberos.machine(loaded, machine.ip_address)
    return {
        "principal": principal,
        "krb5_conf": kerberos.krb5_conf(loaded),
        "keytab": base64.b64encode(keys(loaded).make(principal)).decode(),
        "ticket_key": loaded.paths.ticket_key_public.read_text(),
        "classes": base64.b64encode(_classes(loaded.paths.hadoop_classes)).decode(),
    }


def _refuse_unless_joined(machine: Machine) -> None:
    if machine.state not in MACHINE_STAYING or machine.state == OFFERED:
        raise ConflictError("Only a machine that has joined, and is not leaving, is given a key.")


def _refuse_too_soon(machine: Machine) -> None:
    wait_ms = (machine.key_ms or 0) + _BETWEEN_MS - clock.now_ms()
    if wait_ms > 0:
        raise OverLimitError("This machine was given a key a moment ago.", retry_after_s=1 + wait_ms // 1000)


def _classes(folder: Path) -> bytes:
    """Return the market's own classes for Hadoop's servers as a zip; they are a few KiB."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.class")):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()
