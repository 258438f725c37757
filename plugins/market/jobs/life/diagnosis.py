"""Why a program failed: YARN's word where it says enough, else the end of the driver's log."""

from __future__ import annotations

from market.cluster.resourcemanager import App, ResourceManager
from market.jobs.life import outcome
from market.jobs.life.state import End
from market.jobs.output import log_reader
from market.jobs.runs import Run
from market.kit.clock import now_ms
from market.kit.errors import MarketError

# Where to look in the driver's log, and how far back: what Python prints is in `stdout`, its errors too; what
# Spark says of executors in `stderr`.
_TAIL_BYTES = {"stdout": 64 << 10, "stderr": 256 << 10}
# While the machine hands the log over nobody has it; a job's end does not wait longer than this for it.
_PATIENCE_MS = 15_000


def of(yarn: ResourceManager, run: Run, app: App) -> End | None:
    """Return how a job ended whose application is terminal; None: its log will be there in a moment.

    Raises ClusterUnavailable.
    """
    end = outcome.of(app)
    file = "stderr" if outcome.EXECUTORS_FAILED in app.diagnostics else "stdout"
    silent = run.spec.is_jar and file == "stdout"  # of a Java program's error YARN knows as much as its log
    if end.reason_code != "user_error" or run.status == "cancelling" or silent:
        return end
    attempts = yarn.attempts(app.application_id)
    container = attempts[-1].container_id if attempts else ""
    try:
        _, chunks = log_reader.tail(run.job, container, file, _TAIL_BYTES[file])
        return outcome.explained(app, b"".join(chunks).decode(errors="replace"))
    except MarketError:
        return None if now_ms() - app.finished_ms < _PATIENCE_MS else end
