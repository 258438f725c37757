"""The DAGs of jobs, offered to Airflow as files: one for each job that is not withdrawn, from PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from airflow.dag_processing.bundles.base import BaseDagBundle

from market import db


class MarketJobsBundle(BaseDagBundle):
    """A folder with one file for each job, brought in line with the market's tables at each refresh."""

    supports_versioning = False

    @property
    def path(self) -> Path:
        """Return the folder of the files."""
        return self.base_dir

    def initialize(self) -> None:
        """Make the folder, and the files where there is none yet; a task's process finds them there."""
        if not self.path.is_dir():
            with self.lock():
                self.refresh()
        super().initialize()

    def get_current_version(self) -> None:
        """Return nothing: a job's file never changes."""
        return None

    def refresh(self) -> None:
        """Write the files of new jobs and remove those of withdrawn ones."""
        self.path.mkdir(parents=True, exist_ok=True)
        with db.transaction() as cursor:
            cursor.execute("SELECT job_id FROM job WHERE NOT withdrawn")
            offered = {f"job_{row.job_id}.py" for row in cursor.fetchall()}
        present = {path.name for path in self.path.glob("job_*.py")}
        for name in sorted(offered - present):
            self._write(name)
        for name in present - offered:
            (self.path / name).unlink(missing_ok=True)

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
