"""What goes along with a program: the modules of its folder that it imports, and the data files it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from distributedmarket.errors import SetupError
from distributedmarket.sdk.program import source
from distributedmarket.sdk.program.source import Source

REQUIREMENTS = "requirements.txt"
# A market takes no more beside a program by default; what is larger is named in `exclude`, and read by Spark.
MOST_FILES, MOST_BYTES = 2000, 256 << 20
_PROGRAMS = (".py", ".ipynb", ".jar")
# What programs and their tools make for themselves, and nobody means to send along.
_NEVER = frozenset({"__pycache__", ".git", ".ipynb_checkpoints", ".venv", "node_modules"})
_LONGEST_NAME = 255
_MOST_LOOKED_AT = 100_000  # files, for those that a pattern means


@dataclass
class Program:
    """A program in a folder; `files` are all that go along, itself included, by their paths in the folder."""

    folder: Path
    entry: str
    files: dict[str, Path] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)  # what was read of those that are code
    missing: dict[str, tuple[str, int, bool]] = field(default_factory=dict)  # modules: file, line, guarded

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(path.stat().st_size for path in self.files.values())


def beside(job: Mapping[str, Any]) -> list[str]:
    """Return the files beside the program that the fields of a job name."""
    packed = [job["python_env"]] if job.get("python_env") else []
    return [*job.get("libs", ()), *job.get("archives", ()), *packed]


def collect(
    program: Path, named: Sequence[str] = (), arguments: Iterable[str] = (), folder: Path | None = None
) -> Program:
    """Return a program with what goes along.

    `named` are files, folders and patterns (`data/*.csv`) in its folder, which is that of the program unless
    another one above it is given. Beside them go files that the code or the arguments name as they are.
    Raises SetupError where something is missing, lies elsewhere, or is too much.
    """
    if program.suffix not in _PROGRAMS:
        raise SetupError(f"{program} is no program: it must end in {', '.join(_PROGRAMS)}")
    if not program.is_file():
        raise SetupError(f"there is no file {program}")
    top = (folder or program.parent).resolve()
    try:
        entry = program.resolve().relative_to(top).as_posix()
    except ValueError:
        raise SetupError(f"{program} does not lie in {folder}") from None
    made = Program(top, entry)
    _add_code(made, entry)
    for word in named:
        _add_named(made, word)
    texts = {text for one in made.sources.values() for text in one.texts}
    for text in sorted(texts | set(arguments)):
        _add_mentioned(made, text)
    if (top / REQUIREMENTS).is_file():
        made.files[REQUIREMENTS] = top / REQUIREMENTS
    _check_size(made)
    return made


def _add_code(program: Program, entry: str) -> None:
    """Add a file of code with all that it imports of the folder, and what that imports."""
    waiting = [entry]
    starts = list(dict.fromkeys((PurePosixPath(entry).parent, PurePosixPath("."))))
    while waiting:
        path = waiting.pop()
        if path in program.files:
            continue
        program.files[path] = program.folder / path
        program.sources[path] = read = source.read(program.folder / path)
        for one in read.imports:
            found = [*_module(program.folder, starts, one.module)]
            waiting += [file for file in found if file.endswith(".py")]
            program.files |= {file: program.folder / file for file in found if not file.endswith(".py")}
            if not found:
                first = one.module.partition(".")[0]
                _, _, guarded = program.missing.get(first, ("", 0, True))
                if guarded:  # one import that is not is enough
                    program.missing[first] = (path, one.line, one.guarded)
            _check_size(program)


def _module(folder: Path, starts: Sequence[PurePosixPath], module: str) -> Iterator[str]:
    """Yield the files of a module in the folder: of a package all, whichever part of it is imported."""
    name = module.partition(".")[0]
    for start in starts:
        package, file = start / name, start / f"{name}.py"
        if (folder / file).is_file():
            yield file.as_posix()
            return
        if any(any((folder / package).glob(pattern)) for pattern in ("*.py", "*/*.py")):
            yield from _inside(folder, package.as_posix())
            return


def _inside(folder: Path, path: str) -> Iterator[str]:
    """Yield the files below a folder, without what nobody means to send."""
    for entry in sorted((folder / path).iterdir()):
        if entry.name in _NEVER:
            continue
        below = f"{path}/{entry.name}" if path != "." else entry.name
        if entry.is_dir() and not entry.is_symlink():
            yield from _inside(folder, below)
        elif entry.is_file():
            yield below


def _add_named(program: Program, word: str) -> None:
    """Add what a person names. Raises SetupError where there is nothing of that name."""
    path = PurePosixPath(word)
    if path.is_absolute() or ".." in path.parts:
        raise SetupError(f"{word} does not lie in {program.folder}: --folder names another one above it")
    if (program.folder / path).is_dir():
        found = [*_inside(program.folder, path.as_posix())]
    elif (program.folder / path).is_file():
        found = [path.as_posix()]
    else:
        every = islice(_inside(program.folder, "."), _MOST_LOOKED_AT)
        found = [one for one in every if fnmatchcase(one, word)]
    if not found:
        raise SetupError(f"there is no {word} in {program.folder}")
    program.files |= {one: program.folder / one for one in found}
    _check_size(program)


def _add_mentioned(program: Program, text: str) -> None:
    """Add a file that the code or an argument names, if it is one of the folder and not hidden."""
    if not text or len(text) > _LONGEST_NAME or "\n" in text or "\0" in text:
        return
    path = PurePosixPath(text)
    if path.is_absolute() or any(part.startswith(".") for part in path.parts):
        return
    if (program.folder / path).is_file():
        program.files.setdefault(path.as_posix(), program.folder / path)


def _check_size(program: Program) -> None:
    if len(program.files) > MOST_FILES:
        raise SetupError(f"more than {MOST_FILES} files would go along with the program: name fewer of them")
