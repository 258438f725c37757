"""The DAGs of jobs, offered to Airflow as files: one for each job that is not withdrawn, from PostgreSQL."""

from __future__ import annotations

import time
from pathlib import Path

from airflow.dag_processing.bundles.base import BaseDagBundle

from market import db, news

_WAIT_S = 0.8  # of the second that Airflow's loop takes for a round
_PARSING_S = 2.0  # a new file is parsed in some 0.2 s, longer where many come at once


class MarketJobsBundle(BaseDagBundle):
    """A folder with one file for each job, brought in line with the market's tables at each refresh.

    Airflow asks for a refresh once a second, and looks at new files right after it. In between its loop only
    waits for parsers; so while none of them can be at work, the refresh itself waits for a new job.
    """

    supports_versioning = False
    _parsed_by = 0.0  # on the monotonic clock: when the parsers of what was written last are done
    _news: news.Listener | None = None

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

    def get_current_version(self) -> None:
        """Return nothing: a job's file never changes."""
        return None

    def refresh(self) -> None:
        """Write the files of new jobs and remove those of withdrawn ones; wait a moment for a new one."""
        if not self._follow() and time.monotonic() > self._parsed_by:
            self._news = self._news or news.Listener(news.NEW_JOB)
            if self._news.comes(_WAIT_S):
                self._follow()

    def _follow(self) -> bool:
        """Bring the folder in line; tell whether there was a new job."""
        self.path.mkdir(parents=True, exist_ok=True)
        with db.transaction() as cursor:
            cursor.execute("SELECT job_id FROM job WHERE NOT withdrawn")
            offered = {f"job_{row.job_id}.py" for row in cursor.fetchall()}
        present = {path.name for path in self.path.glob("job_*.py")}
        for name in sorted(offered - present):
            self._write(name)
        for name in present - offered:
            (self.path / name).unlink(missing_ok=True)
        if offered - present:
            self._parsed_by = time.monotonic() + _PARSING_S
        return bool(offered - present)

    def _write(self, name: str) -> None:
        # Imported here: this loads the operator and the provider, which those who only ask for a path do not
        # need; and it is loaded before the parsers are forked, so that each of them finds it ready.
        from market.jobs import dag, store

        job = store.find(name.removeprefix("job_").removesuffix(".py"))
        if job is None:
            return
        fresh = self.path / f".{name}.new"
        fresh.write_text(dag.source(job))
        fresh.rename(self.path / name)  # whole or not at all: a parser may look at any time
