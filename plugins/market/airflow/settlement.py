"""Steps of the settlement as tasks of the DAG `credit_settlement`: their input, and their failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from market.credits.settlement import steps
from market.kit.clock import now_ms


def freeze(until: datetime | None) -> int:
    """Close all intervals that end by `until` (None: now); freeze the last one and return its number.

    Raises AirflowSkipException if it is closed already, for example by `./market settle`.
    """
    interval_id = steps.prepare(now_ms() if until is None else round(until.timestamp() * 1000))
    if interval_id is None:
        raise AirflowSkipException("everything until then is settled already")
    return interval_id


def reconcile(interval_id: int) -> None:
    """Look whether the ledger adds up. A violation fails the run at once: trying again changes nothing."""
    with _failing_at_once():
        steps.reconcile(interval_id)


def seal(interval_id: int) -> None:
    """Seal the interval, if it adds up: as `reconcile`."""
    with _failing_at_once():
        steps.seal(interval_id)


@contextmanager
def _failing_at_once() -> Iterator[None]:
    try:
        yield
    except steps.InvariantError as error:
        raise AirflowFailException(error.detail) from error
