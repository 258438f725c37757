"""The DAGs of jobs, offered to Airflow as files: one for each job that is not withdrawn, from PostgreSQL."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion

from market.jobs import store
from market.kit import database, isolation, notify

# A round of Airflow's loop takes one second at least. A refresh that waits longer leaves nothing of it;
# after a shorter one the loop would sleep for the rest, and see no new job.
_WAIT_S = 1.05
# A file's time and the time of its job, both in epoch seconds, add up to this: see _write.
_SUM_OF_TIMES_S = 3_000_000_000
_WORK = "writing DAG files"
_PARSED_S = 0.5  # what the parser of a new file takes at most, waiting included


class MarketJobsBundle(BaseDagBundle):
    """A folder with one file for each job, brought in line with the market's tables at each refresh.

    Airflow asks for a refresh once a second, and looks at new files right after it. In between its loop only
    waits for parsers. So while no parser is at work, the refresh itself waits for a new job.

    It has versions for one reason. While the version stays the same, Airflow does not search the folder
    again and does not look up each file in its tables, which takes more than the second with a thousand
    files. Runs are not bound to a version (`disable_bundle_versioning`), since a job's file never changes.
    """

    supports_versioning = True
    _busy_until = 0.0  # on the monotonic clock: parsers are at work, or about to be
    _new_jobs: notify.Listener | None = None
    _checked = False  # whether the files of an earlier release have been written anew

    @property
    def path(self) -> Path:
        """Return the folder of the files."""
        return self.base_dir

    def initialize(self) -> None:
        """Make the folder, and the files where there is none yet; a task's process finds them there."""
        if not self.path.is_dir():
            with self.lock():
                self._bring_in_line()
        super().initialize()

    def get_current_version(self) -> BundleVersion:
        """Return a digest of the files' names: a job's file never changes."""
        return BundleVersion(hashlib.sha256("\n".join(sorted(self._present())).encode()).hexdigest())

    def refresh(self) -> None:
        """Write the files of new jobs and remove those of withdrawn ones; wait a moment for a new one."""
        if not self._checked and self.path.is_dir():
            self._write_anew()
            self._checked = True
        self._bring_in_line()
        if time.monotonic() >= self._busy_until and not _has_children():
            self._new_jobs = self._new_jobs or notify.Listener(notify.NEW_JOB)
            if self._new_jobs.wait(_WAIT_S):
                self._bring_in_line()

    def _bring_in_line(self) -> None:
        """Bring the folder in line."""
        self.path.mkdir(parents=True, exist_ok=True)
        with database.transaction() as cursor:
            cursor.execute("SELECT job_id FROM job WHERE NOT withdrawn")
            offered = {f"job_{row.job_id}.py" for row in cursor.fetchall()}
        present = self._present()
        isolation.each(_WORK, sorted(offered - present), self._write, str)
        for name in present - offered:
            (self.path / name).unlink(missing_ok=True)
        # While hundreds of files wait to be parsed, there may be no parser for a moment. So their number
        # tells for how long Airflow is busy.
        if written := self._present() - present:
            busy = len(written) * _PARSED_S
            self._busy_until = max(self._busy_until, time.monotonic()) + busy

    def _write_anew(self) -> None:
        """Write the files anew that an earlier release wrote: they may call what is no longer there."""
        from market.airflow import dag  # noqa: PLC0415 - see _write

        def write(name: str) -> None:
            if dag.CALL not in (self.path / name).read_text():
                self._write(name)

        isolation.each(_WORK, self._present(), write, str)

    def _present(self) -> set[str]:
        return {name for name in os.listdir(self.path) if name.startswith("job_")}

    def _write(self, name: str) -> None:
        # Imported here: it loads the operator and its provider (0.1 s of work), which a process that only
        # asks for a path does not need. Parsers are forked after this, so none of them has to load it.
        from market.airflow import dag  # noqa: PLC0415

        job = store.find(name.removeprefix("job_").removesuffix(".py"))
        if job is None:
            return
        fresh = self.path / f".{name}.new"
        fresh.write_text(dag.source(job))
        # Airflow parses the file with the latest time first. With the true times, of hundreds of new jobs the
        # oldest would wait for all others. So a later job gets an earlier time here. All these times are in
        # the past, because a file from the future would be parsed again and again.
        time_s = _SUM_OF_TIMES_S - job.added_ms / 1000
        os.utime(fresh, (time_s, time_s))
        fresh.rename(self.path / name)  # whole or not at all: a parser may look at any time


def _has_children() -> bool:
    """Tell whether this process has children, ended or not: Airflow's parsers."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
