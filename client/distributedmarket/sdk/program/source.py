"""The code of a program, as far as it can be read without running it: Python, and the cells of a notebook."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from distributedmarket.errors import SetupError

_MOST_BYTES = 16 << 20
# The lines of a notebook that the market leaves out with a word; any other command ends the job at once.
_LEFT_OUT = re.compile(r"\s*%(matplotlib|load_ext|autoreload|reload_ext|config|pylab)\b.*")
_COMMAND = re.compile(r"\s*(%%?|!|\?)")
_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


@dataclass(frozen=True)
class Import:
    """A module that is imported, at a line; `guarded`: the program goes on without it."""

    module: str
    line: int
    guarded: bool


@dataclass
class Source:
    """What a file says: its imports, its texts, masters of Spark that it sets, and what is wrong with it."""

    imports: list[Import] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    masters: list[tuple[int, str]] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)


def read(file: Path) -> Source:
    """Return what a .py or .ipynb says; of any other file nothing. Raises SetupError if it cannot be read."""
    if file.suffix not in (".py", ".ipynb"):
        return Source()
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SetupError(f"{file}: {error.strerror}") from None
    found = Source()
    if len(raw) > _MOST_BYTES:
        found.problems.append((1, f"has more than {_MOST_BYTES >> 20} MiB of code"))
        return found
    try:
        # Bytes, so that Python itself finds the encoding that a first line may name.
        code: str | bytes = _of_notebook(raw, found) if file.suffix == ".ipynb" else raw
        tree = ast.parse(code)
    except SyntaxError as error:
        found.problems.append((error.lineno or 1, f"is no Python: {error.msg}"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found.problems.append((1, "cannot be read as a program"))
    else:
        _look(tree, found, guarded=False)
    return found


def _of_notebook(raw: bytes, found: Source) -> str:
    """Return the code of a notebook, cell after cell; its commands are blank lines."""
    lines: list[str] = []
    for cell in json.loads(raw)["cells"]:
        if cell["cell_type"] != "code":
            continue
        text = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        for line in text.splitlines():
            if _COMMAND.match(line) and not _is_code(text):
                if not _LEFT_OUT.fullmatch(line):
                    command = f"{line.strip()[:60]!r} is a command of notebooks, which ends the job at once"
                    found.problems.append((len(lines) + 1, command))
                lines.append("")
            else:
                lines.append(line)
    return "\n".join(lines)


def _is_code(text: str) -> bool:
    """Tell whether a cell is Python as it is: then a % begins a line of a text in it."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _look(node: ast.AST, found: Source, guarded: bool) -> None:
    """Note what a part of the code says, and all in it."""
    if isinstance(node, ast.Import):
        found.imports += [Import(alias.name, node.lineno, guarded) for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        found.imports.append(Import(node.module, node.lineno, guarded))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        found.texts.add(node.value)
    elif isinstance(node, ast.Call) and (master := _master(node)):
        found.masters.append((node.lineno, master))
    for child, is_guarded in _parts(node, guarded):
        _look(child, found, is_guarded)


def _parts(node: ast.AST, guarded: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Yield the parts of a piece of code, each with whether an import that fails in it is caught."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        yield from ((child, guarded) for child in node.orelse)  # the rest never runs
    elif isinstance(node, ast.Try):
        caught = guarded or any(map(_catches_imports, node.handlers))
        yield from ((child, caught) for child in node.body)
        # What stands in for it may be missing where the first is there.
        yield from ((child, caught) for handler in node.handlers for child in handler.body)
        yield from ((child, guarded) for child in (*node.orelse, *node.finalbody))
    else:
        yield from ((child, guarded) for child in ast.iter_child_nodes(node))


def _catches_imports(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(name in ast.dump(handler.type) for name in _IMPORT_ERRORS)


def _master(call: ast.Call) -> str:
    """Return the local master of Spark that a call sets; empty for any other call."""
    texts = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "config" and texts[:1] == ["spark.master"]:
        texts = texts[1:]
    elif name not in ("master", "setMaster", "SparkContext"):
        return ""
    return next((text for text in texts[:1] if text.startswith("local")), "")
