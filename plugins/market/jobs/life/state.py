"""Where a run stands, and where its job does: what the database stores follows from these rules alone.

    waiting -> queued -> accepted -> running -> succeeded | failed | cancelled | lost
    queued, accepted or running -> cancelling -> succeeded | failed | cancelled | lost

`waiting`: stored; `queued`: Airflow's task has begun, and may wait for a machine of its type; `accepted`:
YARN has the application; `running`: its driver's container has started. A run never goes back, and an ended
one never changes. One that failed or was lost is followed by another attempt, while its job has one left.

A job is as far as the first of its runs, and ends with the last. Nothing here knows a database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from market.kit.vocabulary import CANCELLING, ENDED, RUN_WAY, WAITING, WAY

_NAMED = 10  # points in a reason


@dataclass(frozen=True)
class End:
    """How a run or a job ended. `reason_code` None: as it should."""

    status: str
    reason_code: str | None
    reason: str
    at_ms: int | None = None  # None: now


@dataclass(frozen=True)
class Stop:
    """A request to stop, and why."""

    reason_code: str
    reason: str

    def end(self, at_ms: int | None = None) -> End:
        """Return the end that it leads to: only a person cancels; what the market stops has failed."""
        status = "cancelled" if self.reason_code == "cancelled" else "failed"
        return End(status, self.reason_code, self.reason, at_ms)


@dataclass(frozen=True)
class RunState:
    """A run as it is stored. Times are epoch ms; `since_ms` is when it came to this status."""

    point: int
    attempt: int
    tag: str
    status: str
    since_ms: int
    application_id: str | None = None
    reason_code: str | None = None
    reason: str = ""
    started_ms: int | None = None
    ended_ms: int | None = None
    handed_over: bool = True  # to YARN, or it may have been

    @property
    def goes_on(self) -> bool:
        """Tell whether it is on its way: neither ended nor to be stopped."""
        return self.status in RUN_WAY

    def moved(self, status: str, application_id: str | None, at_ms: int, now_ms: int) -> RunState | None:
        """Return it after a step forward; None where that is no step, or it is not under way."""
        if self.status not in RUN_WAY[1:] or RUN_WAY.index(self.status) >= RUN_WAY.index(status):
            return None
        started_ms = at_ms if status == "running" else self.started_ms
        return replace(
            self,
            status=status,
            since_ms=now_ms,
            application_id=self.application_id or application_id,
            started_ms=started_ms,
        )

    def stopped(self, stop: Stop, now_ms: int) -> RunState:
        """Return it after a request to stop: at its end where YARN cannot know it yet."""
        if not self.goes_on:
            return self
        if self.status == WAITING or (self.status == "queued" and not self.handed_over):
            return self._closed(stop.end(), now_ms)
        return replace(
            self, status=CANCELLING, since_ms=now_ms, reason_code=stop.reason_code, reason=stop.reason
        )

    def ended(self, end: End, now_ms: int) -> RunState | None:
        """Return it at its end; None if it has ended before, or was never begun.

        A run that was being stopped ends for the reason of that stop, unless it has succeeded.
        """
        if self.status in ENDED or self.status == WAITING:
            return None
        if self.status == CANCELLING and end.status != "succeeded":
            end = Stop(self.reason_code or "cancelled", self.reason).end(end.at_ms)
        return self._closed(end, now_ms)

    def next_attempt(self, tag: str, now_ms: int) -> RunState:
        """Return the run that follows this one; its reason stays to be seen until it has one of its own."""
        return RunState(
            self.point,
            self.attempt + 1,
            tag,
            WAITING,
            now_ms,
            reason_code=self.reason_code,
            reason=self.reason,
        )

    def _closed(self, end: End, now_ms: int) -> RunState:
        return replace(
            self,
            status=end.status,
            since_ms=now_ms,
            reason_code=end.reason_code,
            reason=end.reason,
            ended_ms=end.at_ms or now_ms,
        )


@dataclass(frozen=True)
class JobState:
    """What follows for a job from its runs."""

    status: str
    reason_code: str | None
    reason: str
    application_id: str | None
    started_ms: int | None
    ended_ms: int | None


def may_run_again(run: RunState, was_stopping: bool, most_attempts: int) -> bool:
    """Tell whether a run that has ended is followed by another."""
    return run.status in ("failed", "lost") and not was_stopping and run.attempt < most_attempts


def latest(runs: Sequence[RunState]) -> list[RunState]:
    """Return the last attempt of each point, by point."""
    last: dict[int, RunState] = {}
    for run in runs:
        if run.point not in last or last[run.point].attempt < run.attempt:
            last[run.point] = run
    return [last[point] for point in sorted(last)]


def job_of(runs: Sequence[RunState], stop: Stop | None, status: str = WAY[0]) -> JobState:
    """Return how a job with these runs (at least one) stands. `stop` is the request to stop the whole job.

    `status` is where it stood before: it never goes back.
    """
    last = latest(runs)
    began = [run.started_ms for run in runs if run.started_ms is not None]
    application_id = next((run.application_id for run in reversed(last) if run.application_id), None)
    started_ms = min(began, default=None)
    still = [run for run in last if run.status not in ENDED]
    if not still:
        end = _verdict(last, stop)
        return JobState(end.status, end.reason_code, end.reason, application_id, started_ms, end.at_ms)
    if stop is None and all(run.status == CANCELLING for run in still):
        stop = Stop(still[0].reason_code or "cancelled", still[0].reason)
    if stop is not None:
        return JobState(CANCELLING, stop.reason_code, stop.reason, application_id, started_ms, None)
    furthest = max([_way(run) for run in runs] + [WAY.index(status) if status in WAY else 0])
    return JobState(WAY[furthest], None, "", application_id, started_ms, None)


def _way(run: RunState) -> int:
    """Return how far a run has come, also one that has ended or is being stopped."""
    if run.started_ms is not None:
        return RUN_WAY.index("running")
    if run.status in RUN_WAY:
        return RUN_WAY.index(run.status)
    return RUN_WAY.index("accepted") if run.application_id else 0


def _verdict(last: Sequence[RunState], stop: Stop | None) -> End:
    """Return how a job has ended; `last` are the last runs of its points, all of them ended."""
    at_ms = max(run.ended_ms or 0 for run in last)
    bad = [run for run in last if run.status != "succeeded"]
    if not bad:
        return End("succeeded", None, "", at_ms)
    if stop is not None:
        return stop.end(at_ms)
    if len(last) == 1:
        return End(bad[0].status, bad[0].reason_code, bad[0].reason, at_ms)
    alike = len(bad) == len(last) and len({(run.status, run.reason_code) for run in bad}) == 1
    status, code = (bad[0].status, bad[0].reason_code) if alike else ("failed", "points_failed")
    counted = ", ".join(f"{count} {name}" for name, count in sorted(Counter(r.status for r in bad).items()))
    named = ", ".join(str(run.point) for run in bad[:_NAMED]) + (", ..." if len(bad) > _NAMED else "")
    return End(
        status, code, f"Of {len(last)} points {counted}: {named}. The table of points says why.", at_ms
    )
