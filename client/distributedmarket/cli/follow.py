"""A job that is followed to its end: where it stands, how far it is, what it costs, what it prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from distributedmarket.cli import exits, text
from distributedmarket.cli.log_stream import LogStream
from distributedmarket.cli.output import Live, Output
from distributedmarket.client import MarketApiError, UnreachableError
from distributedmarket.sdk import Job, models

_BAR = 20
_TAIL_BYTES = 64 << 10  # of an error log that are looked through for a traceback
_TRACEBACK = "Traceback (most recent call last):"
_TRACED = 15  # lines of it


def show_quote(output: Output, quote: models.Quote, body: Mapping[str, Any], credits: models.Credits) -> None:
    """Print what a job would cost."""
    cores = text.counted(int(body["core_num"]), "executor core")
    kind, hourly = text.clean(body["machine_type"]), text.credits(quote["credits_per_hour"])
    output.line(
        f"quote    at most {text.credits(quote['hold'])} credits: {hourly} an hour for {cores} on {kind};"
        f" you have {text.credits(credits['available'])}"
    )


class Follower:
    """Follows one job. With `logs` it prints what the driver prints."""

    def __init__(self, output: Output, job: Job, logs: bool = False) -> None:
        self._output = output
        self._job = job
        self._live = Live(output)
        self._log = LogStream(job) if logs and not output.as_json else None
        self._told = ("", "")

    def follow(self) -> int:
        """Follow it to its end, and tell that; return the exit code of its outcome."""
        code = self.outcome()
        if self._job.ended:
            self._output.answer(self._job.record, self.tell_end)
        return code

    def outcome(self) -> int:
        """Return the exit code of its outcome when it has ended.

        Ctrl-C asks whether to cancel it; where nobody can be asked it goes on without being followed.
        """
        while True:
            try:
                self._watch()
                return exits.of_job(self._job.status)
            except KeyboardInterrupt:
                self._live.clear()
                if not self._goes_on():
                    return exits.INTERRUPTED

    def _watch(self) -> None:
        try:
            for job in self._job.watch():
                self._tell(job)
        finally:
            self._live.clear()

    def _tell(self, job: Job) -> None:
        waiting = job.record.get("waiting") or {}
        state = (job.status, "" if job.status == "running" else waiting.get("code", ""))
        words = f"{text.short(job.id)}  {_words(job)}"
        if state != self._told and not job.ended:
            self._told = state
            self._live.say(words)
        if self._log is not None and job.status not in ("submitted", "queued", "accepted"):
            for chunk in self._log.more():
                self._live.write(text.printed(chunk))
        if job.status in ("running", "cancelling") and self._output.is_terminal:
            self._live.show(self._progress(job))
        elif not job.ended:
            self._live.show(f"{words} ({_since(job.record.get('added_time'))})")

    def _progress(self, job: Job) -> str:
        try:
            found = job.progress()
        except (MarketApiError, UnreachableError):  # the job's own state is what counts
            return f"{text.short(job.id)}  {job.status}"
        done, total = found["tasks_done"], found["tasks_total"]
        filled = _BAR * done // total if total else 0
        parts = [
            f"[{'#' * filled}{'.' * (_BAR - filled)}]",
            f"{done}/{text.counted(total, 'task')}" if total else _why(job) or "starting",
            f"{text.credits(found['cost'])} credits so far",
            _since(job.record.get("start_time")),
        ]
        stages = found.get("stages") or []
        if stages:
            parts.insert(2, f"stage {stages[-1]['stage_id']}")
        return f"{text.short(job.id)}  {'  '.join(parts)}"

    def tell_end(self) -> None:
        """Print how it has ended, why, and what it has cost by now."""
        if self._log is not None:
            for chunk in self._log.rest():
                self._live.write(text.printed(chunk))
        job, record = self._job, self._job.record
        ran = f" after {text.of_ms(record.get('duration'))}" if record.get("duration") is not None else ""
        self._output.line(f"{text.short(job.id)}  {self._output.status(job.status)}{ran}, {self._cost()}")
        if not job.succeeded:
            self._output.line(f"reason   {text.clean(record.get('reason') or 'none was given')}")
            for line in self._mistake():
                self._output.line(f"         {text.clean(line)}")

    def _cost(self) -> str:
        try:
            return f"{text.credits(self._job.progress()['cost'])} credits, being settled"
        except (MarketApiError, UnreachableError):
            return "market receipt shows the cost"

    def _mistake(self) -> list[str]:
        """Return the last traceback in what the driver has printed as errors, if there is one."""
        if self._job.record.get("reason_code") != "user_error":
            return []
        try:
            newest = self._job.newest_log("stderr", "driver")
            printed = self._job.log_tail(newest, _TAIL_BYTES).decode(errors="replace") if newest else ""
        except (MarketApiError, UnreachableError):
            return []
        _, begin, rest = printed.rpartition(_TRACEBACK)
        lines = rest.strip("\n").splitlines()
        # It ends with the first line that is not set in: the error itself.
        last = next((number for number, line in enumerate(lines) if not line.startswith((" ", "\t"))), None)
        return [begin, *lines[: len(lines) if last is None else last + 1][-_TRACED:]] if begin else []

    def _goes_on(self) -> bool:
        """Ask what Ctrl-C meant; tell whether the job is to be followed on."""
        short = text.short(self._job.id)
        how = f"market job {short} --wait follows it, market cancel {short} stops it"
        if not sys.stdin.isatty():
            self._output.line(f"the job goes on: {how}")
            return False
        try:
            said = input("Cancel the job? [y: cancel it, n: leave it running, Enter: go on following] ")
        except (KeyboardInterrupt, EOFError):
            said = "n"
        word = said.strip().lower()[:1]
        if word == "y":
            self._job.cancel()
        elif word == "n":
            self._output.line(f"\nthe job goes on: {how}")
            return False
        return True


def _why(job: Job) -> str:
    """Return why a job waits, in the market's words; empty if it does not."""
    return text.clean((job.record.get("waiting") or {}).get("sentence", ""))


def _words(job: Job) -> str:
    """Return where an open job stands."""
    if job.status != "running" and (why := _why(job)):
        return f"waiting: {why}"
    return job.status


def _since(milliseconds: int | None) -> str:
    return text.duration(max(0.0, time.time() - (milliseconds or time.time() * 1000) / 1000))
