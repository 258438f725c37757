"""docs/commands.md is what the commands say of themselves."""

from __future__ import annotations

import write_commands


def test_the_reference_is_current() -> None:
    assert write_commands.REFERENCE.read_text() == write_commands.text(), (
        "run: PYTHONPATH=client python tools/write_commands.py"
    )
