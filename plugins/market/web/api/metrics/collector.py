"""All figures as one text. A scrape waits for no part: what takes long is answered from the last look."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from market.web.api.metrics import host
from market.web.api.metrics.exposition import GAUGE, Family, Sample, text
from market.web.api.metrics.rows import Rows

log = logging.getLogger(__name__)

_FRESH_S = 5.0
_PATIENCE_S = 2.0

Look = Callable[[], Sequence[Family]]


class Part:
    """Figures of one source, looked at in a thread that is its own, never twice at a time."""

    def __init__(self, name: str, look: Look) -> None:
        self.name = name
        self._look = look
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"metrics-{name}")
        self._asked: Future[None] | None = None
        self._at = 0.0
        self.families: Sequence[Family] = ()
        self.up = False

    def ask(self) -> Future[None] | None:
        """Begin a look unless one is under way or the last is fresh; return what is awaited."""
        if self._asked is not None and not self._asked.done():
            return self._asked
        if self._at and time.monotonic() - self._at < _FRESH_S:
            return None
        self._asked = self._thread.submit(self._refresh)
        return self._asked

    def age_s(self) -> float:
        """Return the age of the figures in seconds; 0 if there are none."""
        return time.monotonic() - self._at if self._at else 0.0

    def _refresh(self) -> None:
        try:
            self.families, self.up = self._look(), True
            self._at = time.monotonic()
        except Exception as error:  # whatever it is: the others have their figures all the same
            if self.up or not self._at:
                log.warning("no figures of %s: %s", self.name, error)
            self.up = False


class Collector:
    """All parts."""

    def __init__(self, looks: Mapping[str, Look]) -> None:
        self._lock = threading.Lock()
        self._parts = [Part(name, look) for name, look in looks.items()]

    def text(self) -> str:
        """Return the figures, some of them up to some seconds old, within two seconds."""
        with self._lock:
            asked = [future for part in self._parts if (future := part.ask())]
        wait(asked, _PATIENCE_S)
        found = [family for part in self._parts for family in part.families]
        return text([*found, *self._own()])

    def _own(self) -> list[Family]:
        return [
            Family(
                "market_figures_up",
                GAUGE,
                "Whether the last look at a source of these figures worked.",
                [Sample(part.up, {"source": part.name}) for part in self._parts],
            ),
            Family(
                "market_figures_age_seconds",
                GAUGE,
                "How old the figures of a source are.",
                [Sample(part.age_s(), {"source": part.name}) for part in self._parts],
            ),
        ]


_collector: Collector | None = None
_making = threading.Lock()


def collected() -> str:
    """Return the figures of this process, which begins to count when it is asked first."""
    global _collector
    with _making:
        if _collector is None:
            _collector = Collector(
                {
                    "database": Rows().families,
                    "services": host.Services().families,
                    "disks": host.disks,
                    "connections": host.connections,
                }
            )
    return _collector.text()
