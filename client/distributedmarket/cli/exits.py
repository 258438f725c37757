"""How a command ends, for scripts: the exit codes, each with its one meaning."""

from __future__ import annotations

DONE = 0
REFUSED = 1
USAGE = 2
NOT_LOGGED_IN = 3
NOT_ENOUGH_CREDIT = 4
UNREACHABLE = 5
JOB_FAILED = 10
JOB_CANCELLED = 11
JOB_LOST = 12
FAULT = 70
INTERRUPTED = 130

MEANINGS = {
    DONE: "done; of a job that was waited for: it has succeeded",
    REFUSED: "the market has refused it, or it cannot be done here; the words say why",
    USAGE: "the command is not written as its help says",
    NOT_LOGGED_IN: "nobody is logged in, or the login has expired; of share: the machine was rejected",
    NOT_ENOUGH_CREDIT: "there is not enough credit",
    UNREACHABLE: "the market does not answer",
    JOB_FAILED: "the job has failed",
    JOB_CANCELLED: "the job was cancelled",
    JOB_LOST: "the job is lost: the pool failed, not the program",
    FAULT: "a fault of this program",
    INTERRUPTED: "interrupted; a job that runs goes on",
}

_OF_JOB = {"succeeded": DONE, "failed": JOB_FAILED, "cancelled": JOB_CANCELLED, "lost": JOB_LOST}


def of_job(status: str) -> int:
    """Return the code for a job that has ended with a status."""
    return _OF_JOB[status]
