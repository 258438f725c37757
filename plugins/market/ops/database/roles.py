"""What PostgreSQL allows each role, whichever door it comes through: time, waits, silence."""

from __future__ import annotations

from market.kit.patience import BACKGROUND, Patience

OWNER, APPLICATION, AIRFLOW = "market_owner", "market_app", "airflow"

# A client whose host is gone without a word is noticed after about a minute, and its locks are given back.
# One that was killed in the middle of a long statement is noticed within ten seconds.
_CLIENT_GONE = {
    "tcp_keepalives_idle": "30s",
    "tcp_keepalives_interval": "10s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",  # ms; shown without a unit
    "client_connection_check_interval": "10s",
}
# A change of the schema may rewrite a table and takes as long as it takes. While it waits for a lock
# everybody else waits behind it: it gives up, and `./market up` can be called again.
_MIGRATION = Patience(statement_s=0, lock_s=120, idle_s=300)
# Airflow tries again what was cancelled. `airflow db migrate` runs without (`market.ops.run.bootstrap`).
_AIRFLOW = Patience(statement_s=300, lock_s=120, idle_s=600)

SETTINGS: dict[str, dict[str, str]] = {
    OWNER: _MIGRATION.settings | _CLIENT_GONE,
    APPLICATION: BACKGROUND.settings | _CLIENT_GONE,
    AIRFLOW: _AIRFLOW.settings | _CLIENT_GONE,
}
