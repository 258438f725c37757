"""Why a program failed: its driver's word or YARN's where it says enough, else the end of its log.

The log is read in threads of its own. It lies on a machine that may be slow, and the watch, which looks after
all jobs, waits for none of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from market.cluster.resourcemanager import App, ResourceManager
from market.jobs.life import outcome
from market.jobs.life.state import End
from market.jobs.output import log_reader
from market.jobs.runs import Run
from market.kit.clock import now_ms
from market.kit.errors import MarketError

log = logging.getLogger(__name__)

# Where to look in the driver's log, and how far back: what Python prints is in `stdout`, its errors too; what
# Spark says of executors in `stderr`.
_TAIL_BYTES = {"stdout": 64 << 10, "stderr": 256 << 10}
# While the machine hands the log over nobody has it; a job's end does not wait longer than this for it.
_PATIENCE_S = 15.0
# Nobody asks for this any more: another look, in another thread, has ended the run.
_FORGOTTEN_S = 60.0

# More than one machine's share of exchanges (cluster/shares.py): one that is slow leaves threads for others.
_reading = ThreadPoolExecutor(max_workers=12, thread_name_prefix="diagnosis")
_lock = threading.Lock()
_questions: dict[str, _Question] = {}  # by application


def of(yarn: ResourceManager, run: Run, app: App) -> End | None:
    """Return how a job ended whose application is terminal; None: ask again in a moment. Waits for nobody."""
    end = outcome.of(app)
    if outcome.told(app):
        return end
    file = "stderr" if outcome.EXECUTORS_FAILED in app.diagnostics else "stdout"
    silent = run.spec.is_jar and file == "stdout"  # of a Java program's error YARN knows as much as its log
    if end.reason_code != "user_error" or run.status == "cancelling" or silent:
        return end
    with _lock:
        _forget()
        question = _questions.setdefault(app.application_id, _Question())
        explained = question.answer(lambda: _explained(yarn, run, app, file))
        # The clock may have stepped; what is certain is how long was waited here.
        late = now_ms() - app.finished_ms > _PATIENCE_S * 1000 or question.age_s > _PATIENCE_S
        if explained is None and not (late and question.tried(_PATIENCE_S)):
            return None
        _questions.pop(app.application_id).drop()
        return explained or end


class _Question:
    """What the log says, asked until it says something."""

    def __init__(self) -> None:
        self._since_s = time.monotonic()
        self._reading: Future[End | None] | None = None
        self._times = 0

    @property
    def age_s(self) -> float:
        """How long ago it was asked first."""
        return time.monotonic() - self._since_s

    def answer(self, read: Callable[[], End | None]) -> End | None:
        """Return what was found; None: nothing yet. Asks, and asks again."""
        found = None
        if self._reading is not None and self._reading.done():
            found, self._reading = self._reading.result(), None
            self._times += 1
        if found is None and self._reading is None:
            self._reading = _reading.submit(read)
        return found

    def tried(self, patience_s: float) -> bool:
        """Tell whether the log was asked for once to the end, or for long enough."""
        return self._times > 0 or self.age_s > patience_s

    def drop(self) -> None:
        """Ask no more; what is being read is read to its end, which is bounded."""
        if self._reading is not None:
            self._reading.cancel()


def _forget() -> None:
    for application_id, question in list(_questions.items()):
        if question.age_s > _FORGOTTEN_S:
            _questions.pop(application_id).drop()


def _explained(yarn: ResourceManager, run: Run, app: App, file: str) -> End | None:
    """Return how a job ended, from its driver's log; None where the log is not there (yet)."""
    try:
        attempts = yarn.attempts(app.application_id)
        container = attempts[-1].container_id if attempts else ""
        _, chunks = log_reader.tail(run.job, container, file, _TAIL_BYTES[file])
        return outcome.explained(app, b"".join(chunks).decode(errors="replace"))
    except MarketError:
        return None
    except Exception:
        log.exception("the log of %s cannot be read", app.application_id)
        return None
