"""`python -m market.ops.run.prepare stores | tables`: the one-off steps between which services start.

`./market up` takes the same steps; containers run them as services that end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from market.hadoop import site, spark
from market.kit import settings
from market.kit.settings import Settings
from market.ops.run import bootstrap
from market.ops.run.services import all_services


def stores(loaded: Settings) -> None:
    """Make folders, secrets, configuration, and what PostgreSQL and the NameNode start from."""
    bootstrap.before_start(loaded)
    site.write(loaded)
    spark.write(loaded)
    bootstrap.prepare_stores(loaded)


def tables(loaded: Settings) -> None:
    """Make what needs PostgreSQL and HDFS: tables, folders, shared files, roles, the administrator."""
    bootstrap.migrate_market(loaded)
    bootstrap.end_what_cannot_go_on(loaded, print)
    bootstrap.fill_hdfs(loaded)
    scheduler = next(service for service in all_services(loaded) if service.name == "scheduler")
    bootstrap.migrate_airflow(loaded, scheduler)
    bootstrap.make_accounts(loaded, scheduler)


STEPS: dict[str, Callable[[Settings], None]] = {"stores": stores, "tables": tables}

if __name__ == "__main__":
    STEPS[sys.argv[1]](settings.load())
