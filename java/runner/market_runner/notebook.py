"""Run a notebook (`.ipynb`) as a program: its cells of code in turn, and what they show into the log."""

import ast
import json
import linecache
import os
import re
from typing import Any

# Lines that mean something to a notebook's own program only. These do no harm if they are left out.
_LEFT_OUT = re.compile(r"\s*%(matplotlib|load_ext|autoreload|reload_ext|config|pylab)\b.*")
_COMMAND = re.compile(r"\s*(%%?|!|\?)")


class NotebookError(Exception):
    """A notebook that cannot run as a program."""


def run(name: str, content: bytes, variables: dict[str, Any]) -> None:
    """Run all cells of code. Raises NotebookError, SyntaxError before the first one, and what they raise."""
    cells = [_compiled(f"{name}, cell {number}", text) for number, text in _cells(name, content)]
    variables["display"] = _display
    _draw_without_a_screen()
    for code, last in cells:
        exec(code, variables)  # noqa: S102 - the user's program is what this process is for
        if last is not None:
            value = eval(last, variables)  # noqa: S307 - likewise
            if value is not None:
                _display(value)


def _cells(name: str, content: bytes) -> list[tuple[int, str]]:
    """Return the number and the text of each cell of code, without what may be left out."""
    try:
        cells = json.loads(content)["cells"]
        texts = [
            (number, "".join(cell["source"]))
            for number, cell in enumerate(cells, 1)
            if cell["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotebookError(
            f"{name} is no notebook of format 4 ({type(error).__name__}); save it again, or as .py"
        ) from None
    return [(number, _plain(f"{name}, cell {number}", text)) for number, text in texts]


def _plain(place: str, text: str) -> str:
    """Return a cell's text with an empty line for each one that a program can do without."""
    try:
        ast.parse(text)
    except SyntaxError:
        pass
    else:
        return text  # a % or ! at the start of a line within a text is no command
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if _LEFT_OUT.fullmatch(line):
            print(f"market: {place}: {line.strip()} is left out: it is for notebooks on a screen")
            lines[number] = ""
        elif _COMMAND.match(line):
            raise NotebookError(
                f"{place}, line {number + 1}: {line.strip()[:80]} is a command of notebooks (% or !), which"
                " a job does not have: write it as Python; packages come in a python_env"
            )
    return "\n".join(lines)


def _compiled(place: str, text: str) -> tuple[Any, Any]:
    """Return a cell's statements and, where the last one is an expression, that one apart: it is shown."""
    linecache.cache[place] = (
        len(text),
        None,
        text.splitlines(True),
        place,
    )  # so that a traceback shows its lines
    tree = ast.parse(text, place)
    last = None
    # As in a notebook, a semicolon at the end shows nothing.
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not text.rstrip().endswith(";"):
        expression = tree.body.pop()
        assert isinstance(expression, ast.Expr)
        last = compile(ast.Expression(expression.value), place, "eval")
    return compile(tree, place, "exec"), last


def _display(*values: Any) -> None:
    """Show values in the log: of a Spark table its first rows."""
    for value in values:
        if type(value).__module__.startswith("pyspark.sql") and hasattr(value, "show"):
            value.show()
        else:
            print(value if hasattr(value, "to_string") else repr(value))


def _draw_without_a_screen() -> None:
    """Let matplotlib draw into files, where it is there at all."""
    os.environ.setdefault("MPLBACKEND", "Agg")
