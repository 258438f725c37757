"""A job: what it is, how it goes on, and what it leaves."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from distributedmarket.client import MarketApiError, MarketClientError, UnreachableError
from distributedmarket.sdk import models
from distributedmarket.sdk.routes import Routes
from distributedmarket.sdk.transfer import below, digest, download

if TYPE_CHECKING:
    from typing import Unpack  # from Python 3.11 on

ENDED = ("succeeded", "failed", "cancelled", "lost")
_AT_ONCE = 4  # files that are fetched side by side
_LOOK_S, _LONGEST_S = 1.0, 5.0  # between two looks: at first, and later
_LOG_WAIT_S = 20  # that the market may let a question for a log wait
_AWAY = frozenset({429, 502, 503, 504})
PATIENCE_S = 600.0


class WaitTimeoutError(MarketClientError):
    """A job has not ended in the time that was given. It goes on."""


class Job:
    """A job of the market. `record` is what the market said of it last; `refresh` asks again.

    Why it waits (`waiting`) is known of a job that was asked for by itself, not from a list.
    """

    def __init__(self, routes: Routes, record: models.Job | models.JobDetail) -> None:
        self._routes = routes
        self.record: models.JobDetail = {**record}

    def __repr__(self) -> str:
        """Show which job it is, and where it stands."""
        return f"<Job {self.id} {self.record['job_name']!r}: {self.status}>"

    @property
    def id(self) -> str:
        """Its id, 32 hex digits."""
        return self.record["job_id"]

    @property
    def status(self) -> str:
        """Where it stood when the market was asked last."""
        return self.record["status"]

    @property
    def ended(self) -> bool:
        """Tell whether it had ended by then."""
        return self.status in ENDED

    @property
    def succeeded(self) -> bool:
        """Tell whether it had succeeded by then."""
        return self.status == "succeeded"

    def refresh(self) -> Job:
        """Ask the market where it stands; return the job itself."""
        self.record = self._routes.get_job(self.id)
        return self

    def watch(self, patience_s: float = PATIENCE_S) -> Iterator[Job]:
        """Yield the job each time that it was looked at, at last when it has ended.

        A market that is away for up to `patience_s` is waited for: its jobs go on without it.
        """
        pause_s, away_since = _LOOK_S, 0.0
        while True:
            try:
                self.refresh()
                away_since = 0.0
            except (UnreachableError, MarketApiError) as error:
                away_since = away_since or time.monotonic()
                for_good = isinstance(error, MarketApiError) and error.status not in _AWAY
                if for_good or time.monotonic() - away_since > patience_s:
                    raise
            else:
                yield self
                if self.ended:
                    return
            time.sleep(pause_s)
            pause_s = min(_LONGEST_S, pause_s * 1.1)

    def wait(self, timeout_s: float | None = None, on_look: Callable[[Job], object] | None = None) -> Job:
        """Return when it has ended, however it did. Raises WaitTimeoutError.

        `on_look` is called with the job each time that it was looked at.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        for _ in self.watch():
            if on_look is not None:
                on_look(self)
            if not self.ended and until is not None and time.monotonic() > until:
                raise WaitTimeoutError(f"job {self.id} is still {self.status} after {timeout_s:g} s")
        return self

    def cancel(self, reason: str = "") -> Job:
        """Stop it in any status; nothing changes where it has ended. Another's needs a reason."""
        self._routes.cancel_job(self.id, {"reason": reason} if reason else None)
        return self.refresh()

    def extend(self, **limits: Unpack[models.Extension]) -> Job:
        """Let it cost `max_credits` or run for `max_duration` seconds, in all."""
        self._routes.extend_job(self.id, limits)
        return self.refresh()

    def retry(self, points: list[int] | None = None, *, key: str | None = None) -> Job:
        """Submit it once more as a new job; return that. Of a sweep these points, else what failed."""
        body: models.Retry = {} if points is None else {"points": points}
        made = self._routes.retry_job(self.id, body, key=key)
        return Job(self._routes, self._routes.get_job(made["job_id"]))

    def hide(self) -> None:
        """Take it off one's list, when it has ended; its receipt stays."""
        self._routes.hide_job(self.id)

    def progress(self) -> models.Progress:
        """Return how far it is, and what it has cost by now."""
        return self._routes.get_progress(self.id)

    def receipt(self) -> models.Receipt:
        """Return what it cost, by container; `final` is false until all is settled."""
        return self._routes.get_receipt(self.id)

    def points(self) -> list[models.Point]:
        """Return the points of a sweep; of any other job none."""
        return self._routes.list_points(self.id)["points"]

    # --- logs ---------------------------------------------------------------------------------------------

    def log_files(self) -> list[models.LogFile]:
        """Return its log files."""
        return self._routes.list_logs(self.id)["files"]

    def log_tail(self, file: models.LogFile, size: int) -> bytes:
        """Return the last bytes of a log file, at most this many."""
        with self._routes.get_log(self.id, file["container_id"], file["file"], tail=size) as answer:
            return answer.content

    def logs(
        self, file: str = "stdout", role: str = "driver", point: int | None = None, follow: bool = False
    ) -> Iterator[str]:
        """Yield the lines of the newest log of a role; with `follow` as they come, until the job has ended.

        Where another container takes over while it is followed, its lines come next. A line keeps its end.
        """
        container, offset, rest = "", 0, ""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            ended = self.refresh().ended  # before the log is read: what came until then is in it
            newest = self.newest_log(file, role, point)
            if newest and newest["container_id"] != container:
                container, offset = newest["container_id"], 0
            chunk = self.log_from(container, file, offset, follow and not ended) if container else b""
            offset += len(chunk)
            rest += decoder.decode(chunk)
            *lines, rest = rest.splitlines(keepends=True) or [""]
            if rest.endswith("\n"):
                lines, rest = [*lines, rest], ""
            yield from lines
            if not chunk and (ended or not follow):
                break
            if not container:
                time.sleep(_LOOK_S)
        if rest := rest + decoder.decode(b"", final=True):
            yield rest

    def newest_log(self, file: str, role: str, point: int | None = None) -> models.LogFile | None:
        """Return the log file of this name of the role's last container; None while there is none."""
        found = [
            one
            for one in self.log_files()
            if (one["role"], one["file"]) == (role, file) and point in (None, one.get("point"))
        ]
        return max(found, key=lambda one: one["container_id"], default=None)

    def log_from(self, container: str, file: str, offset: int, wait: bool = False) -> bytes:
        """Return what a log file holds from an offset on; with `wait` as soon as there is something."""
        wait_s = _LOG_WAIT_S if wait else None
        with self._routes.get_log(self.id, container, file, offset=offset, wait=wait_s) as answer:
            return answer.content

    # --- results ------------------------------------------------------------------------------------------

    def results(self) -> list[models.Result]:
        """Return its result files; before its end what is there by now."""
        return self._routes.list_results(self.id)["files"]

    def fetch(
        self,
        folder: Path | None = None,
        wanted: Callable[[str], bool] = lambda path: True,
        on_file: Callable[[models.Result], object] | None = None,
    ) -> Path:
        """Fetch its results into a folder, by default ./results/<job_id>; return it.

        What is there already, whole, is not fetched again. Raises MarketClientError where a file is not what
        the market says that it is.
        """
        folder = folder or Path("results") / self.id
        files = [one for one in self.results() if wanted(one["path"])]
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for one, _ in zip(files, threads.map(lambda one: self._fetch(one, folder), files), strict=True):
                if on_file is not None:
                    on_file(one)
        return folder

    def delete_results(self) -> None:
        """Delete what it has left in one's home, when it has ended."""
        self._routes.delete_results(self.id)

    def _fetch(self, result: models.Result, folder: Path) -> None:
        path, expected = result["path"], result.get("sha256")
        target = below(folder, path)
        if expected and target.is_file() and digest(target) == expected:
            return
        download(lambda span, tag: self._routes.get_result(self.id, path, range=span, if_range=tag), target)
        if expected and digest(target) != expected:
            target.unlink()
            raise MarketClientError(f"{path} came otherwise than the market says that it is: fetch it again")
