"""Changes of the table `machine`, in the caller's transaction. The lock is the machine's row."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any

import psycopg2.errors

from market.kit import database
from market.kit.errors import ConflictError
from market.kit.vocabulary import MACHINE_LIVE
from market.machines.machine import COLUMNS, Machine


def lock(cursor: database.Cursor, machine_id: str) -> Machine | None:
    """Return a machine, and keep others from changing it until the transaction ends."""
    cursor.execute(f"SELECT {COLUMNS} FROM machine WHERE machine_id = %s FOR UPDATE", [machine_id])  # noqa: S608
    row = cursor.fetchone()
    return Machine(*row) if row else None


def lock_live(cursor: database.Cursor, address: str) -> Machine | None:
    """Return the live machine of a host, and keep others from changing it until the transaction ends."""
    cursor.execute(
        f"SELECT {COLUMNS} FROM machine WHERE ip_address = %s AND state = ANY(%s) FOR UPDATE",  # noqa: S608
        [address, list(MACHINE_LIVE)],
    )
    row = cursor.fetchone()
    return Machine(*row) if row else None


def insert(cursor: database.Cursor, machine: Machine) -> None:
    """Add a machine. Raises ConflictError if its host has a live registration (the transaction is over)."""
    names = list(Machine.__dataclass_fields__)
    places = ", ".join(["%s"] * len(names))
    try:
        cursor.execute(
            f"INSERT INTO machine ({COLUMNS}) VALUES ({places})",  # noqa: S608
            [getattr(machine, name) for name in names],
        )
    except psycopg2.errors.UniqueViolation:
        raise ConflictError(
            f"The host {machine.ip_address} is lent already. Remove that machine first, or wait until it has "
            "left."
        ) from None


def update(cursor: database.Cursor, machine: Machine, expected: str, **changes: Any) -> bool:
    """Change columns of a machine if it is still in the expected state; tell whether it was.

    It needs no lock; to change what was read before, `lock` the machine for that reading.
    """
    sets = ", ".join(f"{name} = %s" for name in changes)
    cursor.execute(
        f"UPDATE machine SET {sets} WHERE machine_id = %s AND state = %s",  # noqa: S608 - our own column names
        [*changes.values(), machine.machine_id, expected],
    )
    return bool(cursor.rowcount)


def save_admitted(cursor: database.Cursor, machines: Iterable[Machine], include: Set[str]) -> None:
    """Note for each machine whether its host is among those that the ResourceManager lets in."""
    cursor.execute(
        "UPDATE machine SET admitted = (ip_address = ANY(%s)) WHERE machine_id = ANY(%s)",
        [sorted(include), [machine.machine_id for machine in machines]],
    )
