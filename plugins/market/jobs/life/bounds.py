"""What a program is stopped for beyond its memory: printing or storing more than it may."""

from __future__ import annotations

import re

from market.kit.settings import load

# A container that prints too much is stopped by YARN (-109), one that fills the disk by its machine's guard,
# with SIGXFSZ. A program can say the same of itself: it is charged in either case.
_LOG = re.compile(r"is logging beyond the container|exit ?(code|status): -109\b", re.IGNORECASE)
_DISK = re.compile(r"exit ?(code|status): 153\b", re.IGNORECASE)


def passed(words: str) -> tuple[str, str] | None:
    """Return code and reason where YARN's or Spark's words say that a container passed a bound; else None."""
    jobs = load().jobs
    if _LOG.search(words):
        return "log_limit", (
            f"A container of the program printed more than {jobs.max_log_mib} MiB, which is all that a log "
            "may hold: print less, or write it as a result."
        )
    if _DISK.search(words):
        return "disk_limit", (
            f"The program filled a machine's disk: it held more than {jobs.max_disk_mib} MiB there, or "
            "nearly all that was free. Store less there, or spread it over more executors."
        )
    return None
