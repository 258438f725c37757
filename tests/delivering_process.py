"""Publishes and delivers until it is killed; it kills itself at the step that its arguments name."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from market.kit import database
from market.notifications import claims, delivering, outbox, webhooks


def dying(function: Callable[..., Any], before: bool, chance: float) -> Callable[..., Any]:
    """Return the function, in which the process sometimes dies: before what it does, or after."""

    def run(*values: Any, **options: Any) -> Any:
        dies = random.random() < chance
        if dies and before:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = function(*values, **options)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return run


STEPS: dict[str, tuple[Any, str, bool]] = {
    "published, not committed": (outbox, "next_digest_ms", False),
    "published": (outbox, "_publish", False),
    "before a claim": (claims, "claim", True),
    "claimed": (claims, "claim", False),
    "sent": (webhooks, "send", False),
    "ended, not committed": (claims, "_end", False),
    "ended": (claims, "delivered", False),
}


def main() -> None:
    """Run the loops, each in a thread, as the triggerer does."""
    place, name, before = STEPS[sys.argv[1]]
    setattr(place, name, dying(getattr(place, name), before, chance=float(sys.argv[2])))
    claims._LEASE_MS = 1_500  # the lease of a process that was killed is soon over

    def loop(work: Callable[[], object]) -> None:
        while True:
            with database.exclusively(f"{work.__module__}{threading.get_ident()}"):
                work()
            threading.Event().wait(0.05)

    for work in (outbox.run_pass, delivering.run_webhooks, delivering.run_webhooks):
        threading.Thread(target=loop, args=[work], daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
