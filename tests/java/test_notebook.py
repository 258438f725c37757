"""A notebook runs as a program: its cells in turn, what they show in the log, no commands of notebooks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from market_runner import notebook


def cells(*texts: str) -> bytes:
    made: list[dict[str, Any]] = [{"cell_type": "markdown", "source": ["# A title\n"]}]
    made += [{"cell_type": "code", "source": text.splitlines(keepends=True)} for text in texts]
    return json.dumps({"nbformat": 4, "cells": made}).encode()


def test_cells_share_their_names_and_show_their_last_value(capsys: pytest.CaptureFixture[str]) -> None:
    variables: dict[str, Any] = {"__name__": "__main__"}
    notebook.run("n.ipynb", cells("x = 2\nx", "y = x * 21\ny;", "display('shown')\nNone", "y"), variables)
    assert variables["y"] == 42
    assert capsys.readouterr().out.split() == ["2", "'shown'", "42"]


def test_what_is_for_a_screen_is_left_out_with_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    text = "%matplotlib inline\ntext = '''\n!not a command\n%%\n'''"
    variables: dict[str, Any] = {}
    notebook.run("n.ipynb", cells("%load_ext autoreload\nz = 1", "t = '''\n!x\n'''"), variables)
    assert (variables["z"], variables["t"]) == (1, "\n!x\n")
    assert "n.ipynb, cell 2: %load_ext autoreload is left out" in capsys.readouterr().out
    with pytest.raises(notebook.NotebookError, match="line 3"):  # in doubt it is refused, not changed
        notebook.run("n.ipynb", cells(text), {})


@pytest.mark.parametrize("command", ["!pip install x", "%pip install x", "%%bash\nls", "?print"])
def test_a_command_of_notebooks_is_refused_before_anything_runs(command: str) -> None:
    variables: dict[str, Any] = {}
    with pytest.raises(
        notebook.NotebookError, match=r"n\.ipynb, cell 3, line 1: .* is a command of notebooks"
    ):
        notebook.run("n.ipynb", cells("ran = True", command), variables)
    assert "ran" not in variables


@pytest.mark.parametrize(
    "content", [b"", b"print(1)", b"[]", b'{"cells": 3}', b'{"worksheets": []}', b"\xff"]
)
def test_what_is_no_notebook(content: bytes) -> None:
    with pytest.raises(notebook.NotebookError, match="no notebook of format 4"):
        notebook.run("n.ipynb", content, {})


def test_an_error_shows_its_cell_and_line() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        notebook.run("n.ipynb", cells("a = 0", "b = 1\n1 / a"), {})
    last = caught.traceback[-1]
    assert (str(last.path).rsplit("/", 1)[-1], last.lineno) == ("n.ipynb, cell 3", 1)
