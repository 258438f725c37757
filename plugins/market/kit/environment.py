"""What a process that the market starts takes over of the one that starts it.

Airflow's variables hold the passwords of its databases and the keys of its tokens: no other program is given
them, and none what an operator's shell happens to hold.
"""

from __future__ import annotations

import os

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "JAVA_HOME")


def inherited() -> dict[str, str]:
    """Return the variables by which a program finds its tools, its home, its language and its time."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}
