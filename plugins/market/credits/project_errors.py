"""Why a project does not pay for a job, or not for more of it."""

from __future__ import annotations

from market.kit.errors import ConflictError, NotEnoughCreditError
from market.kit.money import format_credits


class ProjectRefusesError(ConflictError):
    """The project that pays takes no hold now: `why` is `role`, of the submitter, or `time`."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "The project that pays has ended, or has not begun."
            if why == "time"
            else "You may not spend from the project that pays, or no longer."
        )
        self.why = why


class OverBudgetError(NotEnoughCreditError):
    """More than is left of a project's `budget`, or of the submitter's `cap` in it (`of`)."""

    def __init__(self, left_ucr: int, needed_ucr: int, of: str) -> None:
        super().__init__(left_ucr, needed_ucr)
        what = "your cap of this month" if of == "cap" else "the project's budget"
        left, needed = format_credits(left_ucr), format_credits(needed_ucr)
        self.detail = (
            f"This needs {needed} credits, and {left} are left of {what}. Lower max_credits, max_duration or "
            "core_num, wait for open jobs to end, or ask who manages the project."
        )
        self.args = (self.detail,)
        self.of = of
