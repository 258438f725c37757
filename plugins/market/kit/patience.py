"""How long PostgreSQL lets a transaction work, wait and stand idle: one class for each kind of work.

The limits are the server's, so they hold whatever the client does. `BACKGROUND` is what the roles have
(`market.ops.database.roles`) and with it every connection; the others are asked for by name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Limits in seconds; 0 is none.

    `statement_s` bounds one statement, `lock_s` each wait for a lock within it, `idle_s` the time between two
    statements of an open transaction.
    """

    statement_s: int
    lock_s: int
    idle_s: int

    @property
    def settings(self) -> dict[str, str]:
        """The limits as PostgreSQL's settings."""
        return {
            "statement_timeout": f"{self.statement_s}s",
            "lock_timeout": f"{self.lock_s}s",
            "idle_in_transaction_session_timeout": f"{self.idle_s}s",
        }

    @property
    def options(self) -> str:
        """The limits as libpq's `options`, for a whole connection."""
        return " ".join(f"-c {name}={value}" for name, value in self.settings.items())

    @property
    def set_local(self) -> str:
        """The statements that set the limits for the transaction that is open."""
        return "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in self.settings.items())


# Triggers, tasks and passes. A pass over thousands of machines takes seconds. If it waits for a lock, it is
# for that of a settlement's step, which holds accounts for seconds. A pass that gives up is made again.
BACKGROUND = Patience(statement_s=300, lock_s=60, idle_s=300)
# A person waits, and so does one of the api-server's few threads: an early refusal is better for both.
WEB = Patience(statement_s=30, lock_s=10, idle_s=300)
# A step of the settlement is one statement over all lines of an interval: 100 000 take some seconds. A second
# settlement waits for the lock of the first one.
SETTLEMENT = Patience(statement_s=3600, lock_s=600, idle_s=300)
# Asks all invariants about everything that there is: minutes for a million rows, and more each year.
WHOLE_LEDGER = Patience(statement_s=6 * 3600, lock_s=60, idle_s=300)
# Holds an advisory lock while other transactions do the work. It has no rows and no snapshot that others wait
# for, and it must last as long as the work: without a limit on standing idle.
GUARD = Patience(statement_s=30, lock_s=10, idle_s=0)
