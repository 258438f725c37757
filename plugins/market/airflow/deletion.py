"""The loop that deletes accounts: its logins are Flask-AppBuilder's, which only an api-server changes."""

from __future__ import annotations

from market.administration import deletion
from market.airflow.rest import AirflowRest


def run_pass() -> None:
    """Delete the accounts whose time has come. Raises UnavailableError."""
    with AirflowRest() as airflow:
        deletion.run_pass(airflow.erase_login)
