"""How a job ended, read from what YARN says of its application."""

from __future__ import annotations

import re

from market.cluster.resourcemanager import App
from market.jobs.status import End

# YARN's and Spark's words; a container's exit code 137 or 143 after "beyond physical memory" is YARN's kill.
_MEMORY = re.compile(
    r"beyond (the )?'?(physical|virtual)'? memory|exceeding (physical |virtual )?memory limits"
    r"|OutOfMemoryError|running .*PHYSICAL.* memory",
    re.IGNORECASE,
)
_POOL = re.compile(
    r"exitCode: -10[0-9]\b|Container released on a \*lost\* node|lost node|AM Container .* was lost"
    r"|NodeManager .*(lost|decommission)|preempted|ApplicationMaster for attempt .* timed out",
    re.IGNORECASE,
)
_STATUS = re.compile(r"exited with status (\d+)|exitCode: (\d+)")


def of(app: App) -> End:
    """Return how a job ended whose application is terminal."""
    at_ms = app.finished_ms or None
    if app.state == "FINISHED" and app.final_status == "SUCCEEDED":
        return End("succeeded", None, "", at_ms)
    if app.state == "KILLED":
        return End("cancelled", "cancelled", "stopped at the ResourceManager by an administrator", at_ms)
    said = app.diagnostics
    if _MEMORY.search(said):
        reason = "A container needed more memory than it had: ask for more executor_memory or driver_memory."
        return End("failed", "out_of_memory", reason, at_ms)
    if _POOL.search(said):
        reason = (
            "The pool lost the machine that ran the driver. What the job paid is refunded; submit it again."
        )
        return End("lost", "pool_failure", reason, at_ms)
    if "did not initialize spark context" in said:
        reason = "The program ended without having made a SparkSession: only Spark programs run as jobs."
        return End("failed", "user_error", reason, at_ms)
    code = _STATUS.search(said)
    number = next((group for group in code.groups() if group), "") if code else ""
    reason = "The program failed" + (f" with exit code {number}" if number else "")
    return End("failed", "user_error", f"{reason}: its log says why.", at_ms)
