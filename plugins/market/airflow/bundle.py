"""The DAGs of jobs, offered to Airflow as files: one for each job that is not withdrawn, from PostgreSQL."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion

from market.jobs import store
from market.kit import database, notify

# Longer than the second that a round of Airflow's loop takes at least: what a round leaves of it, the next
# one spends where nobody looks.
_WAIT_S = 1.05
_BACKWARDS_S = 3_000_000_000  # what a file's time and its job's, in epoch seconds, add up to
_PARSED_S = 0.5  # what the parser of a new file takes at most, waiting included


class MarketJobsBundle(BaseDagBundle):
    """A folder with one file for each job, brought in line with the market's tables at each refresh.

    Airflow asks for a refresh once a second, and looks at new files right after it. In between its loop only
    waits for parsers; so while none of them is at work, the refresh itself waits for a new job.

    It has versions for one reason: while the version stays, Airflow does not search the folder again and asks
    its tables about none of the files, which with a thousand of them takes more than the second. Runs are
    not bound to a version (`disable_bundle_versioning`): whichever is there, a job's file is the same.
    """

    supports_versioning = True
    _busy_until = 0.0  # on the monotonic clock: parsers are at work, or about to be
    _news: notify.Listener | None = None
    _checked = False  # whether the files of an earlier release have been written anew

    @property
    def path(self) -> Path:
        """Return the folder of the files."""
        return self.base_dir

    def initialize(self) -> None:
        """Make the folder, and the files where there is none yet; a task's process finds them there."""
        if not self.path.is_dir():
            with self.lock():
                self._follow()
        super().initialize()

    def get_current_version(self) -> BundleVersion:
        """Return a digest of the files' names: a job's file never changes."""
        return BundleVersion(hashlib.sha256("\n".join(sorted(self._present())).encode()).hexdigest())

    def refresh(self) -> None:
        """Write the files of new jobs and remove those of withdrawn ones; wait a moment for a new one."""
        if not self._checked and self.path.is_dir():
            self._write_anew()
            self._checked = True
        self._follow()
        if time.monotonic() >= self._busy_until and not _has_children():
            self._news = self._news or notify.Listener(notify.NEW_JOB)
            if self._news.wait(_WAIT_S):
                self._follow()

    def _follow(self) -> None:
        """Bring the folder in line."""
        self.path.mkdir(parents=True, exist_ok=True)
        with database.transaction() as cursor:
            cursor.execute("SELECT job_id FROM job WHERE NOT withdrawn")
            offered = {f"job_{row.job_id}.py" for row in cursor.fetchall()}
        present = self._present()
        for name in sorted(offered - present):
            self._write(name)
        for name in present - offered:
            (self.path / name).unlink(missing_ok=True)
        # While hundreds of files wait there may be no parser for a moment: their number tells for how long.
        if offered - present:
            busy = len(offered - present) * _PARSED_S
            self._busy_until = max(self._busy_until, time.monotonic()) + busy

    def _write_anew(self) -> None:
        """Write the files anew that an earlier release wrote: they may call what is no longer there."""
        from market.airflow import dag  # noqa: PLC0415 - see _write

        for name in self._present():
            if dag.CALL not in (self.path / name).read_text():
                self._write(name)

    def _present(self) -> set[str]:
        return {name for name in os.listdir(self.path) if name.startswith("job_")}

    def _write(self, name: str) -> None:
        # Imported here: it loads the operator and its provider (0.1 s of work), which those who only ask for
        # a path do not need. The parsers are forked later, so each of them finds it ready.
        from market.airflow import dag  # noqa: PLC0415

        job = store.find(name.removeprefix("job_").removesuffix(".py"))
        if job is None:
            return
        fresh = self.path / f".{name}.new"
        fresh.write_text(dag.source(job))
        # Airflow parses the newest file first: of hundreds, those who came first would wait for all others.
        # So times run backwards here. They lie in the past, else each file would be parsed again and again.
        backwards = _BACKWARDS_S - job.added_ms / 1000
        os.utime(fresh, (backwards, backwards))
        fresh.rename(self.path / name)  # whole or not at all: a parser may look at any time


def _has_children() -> bool:
    """Tell whether this process has children, ended or not: Airflow's parsers."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
