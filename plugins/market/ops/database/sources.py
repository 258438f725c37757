"""The files of `sql/`, of three kinds, and what can be wrong with them before a database sees them.

    schema/NNNN_name.sql   tables, types, indexes and who may use them: applied once, and kept as they are
    functions/NN_name.sql  functions, views and triggers, each in one place: made anew when one changed
    invariants/name.sql    a query that returns no row while the invariant holds, below its sentence

A schema file stands on tables alone, because functions are made after all tables. In an invariant,
`:only_new` is whether to look only at what no seal covers yet; psql runs the file as it is, with
`-v only_new=false`.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from distributedmarket.errors import SetupError

_DEFINITION = re.compile(
    r"^CREATE (?:OR REPLACE )?(?:(?P<kind>FUNCTION|PROCEDURE|VIEW) (?P<name>\w+)"
    r"|TRIGGER (?P<trigger>\w+) [^;]*? ON (?P<table>\w+))",
    re.MULTILINE | re.IGNORECASE,
)
_NO_CODE = re.compile(
    r"^(?:CREATE|ALTER|DROP) (?!OR REPLACE|FUNCTION|PROCEDURE|VIEW|TRIGGER)[^\n]*", re.MULTILINE
)
_INVARIANT = re.compile(r"(?P<comment>(?:--[^\n]*\n)+)\n*(?P<query>(?:SELECT|WITH)\b.*);\s*", re.DOTALL)


# What a release before could not work with, or would miss. Constraints and defaults that go do not count:
# they were in the way of the next release only.
_REMOVES = re.compile(
    r"^\s*(?:ALTER TABLE \w+\s[^;]*?)?\b(?:DROP (?:TABLE|COLUMN|TYPE|DOMAIN)|RENAME (?:TO|COLUMN)"
    r"|ALTER COLUMN \w+ (?:SET DATA )?TYPE|SET NOT NULL)\b",
    re.MULTILINE | re.IGNORECASE,
)
_COMMENTS = re.compile(r"--[^\n]*")
_CONTRACT = "-- contract:"


class MigrationError(SetupError):
    """A file of `sql/` is not as it must be, or does not fit the database; the message names it."""


@dataclass(frozen=True)
class File:
    """One file; its name is its path within `sql/`."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def contracts(self) -> bool:
        """Tell whether the release before cannot work with what this file leaves: then there is no way back.

        It says so in its first line, `-- contract: why`; files of before that rule are known by what they do.
        """
        return self.text.startswith(_CONTRACT) or self.removes

    @property
    def removes(self) -> bool:
        """Tell whether it drops, renames or narrows what was there."""
        return _REMOVES.search(_COMMENTS.sub("", self.text)) is not None

    @property
    def declared(self) -> bool:
        """Tell whether it says that it contracts."""
        return self.text.startswith(_CONTRACT)


@dataclass(frozen=True)
class Baseline:
    """A database from before the three kinds."""

    release: str
    files: Mapping[str, str]  # name -> checksum, of what made it
    schema: tuple[str, ...]  # the files of now that make the same tables


@dataclass(frozen=True)
class Sources:
    """All files, each kind in the order in which it is applied."""

    schema: tuple[File, ...]
    functions: tuple[File, ...]
    invariants: tuple[File, ...]
    baseline: Baseline

    @property
    def code(self) -> tuple[File, ...]:
        """What is made anew as a whole: functions and invariants, as SQL."""
        return (*self.functions, *map(_invariant, self.invariants), _violations(self.invariants))


def read(folder: Path) -> Sources:
    """Return the files of a folder. Raises MigrationError when one of them is in the wrong place."""
    baseline = tomllib.loads((folder / "schema" / "baseline.toml").read_text())
    sources = Sources(
        schema=_files(folder, "schema", "[0-9][0-9][0-9][0-9]_*.sql"),
        functions=_files(folder, "functions", "[0-9][0-9]_*.sql"),
        invariants=_files(folder, "invariants", "*.sql"),
        baseline=Baseline(baseline["release"], baseline["files"], tuple(baseline["schema"])),
    )
    check(sources)
    return sources


def _files(folder: Path, kind: str, pattern: str) -> tuple[File, ...]:
    files = (folder / kind).glob("*.sql")
    wrong = sorted(path.name for path in files if not path.match(pattern))
    if wrong:
        raise MigrationError(f"sql/{kind}/{wrong[0]} would never be applied: name it {pattern}")
    return tuple(
        File(f"{kind}/{path.name}", path.read_text()) for path in sorted((folder / kind).glob(pattern))
    )


def definitions(file: File) -> Iterator[str]:
    """Return what a file defines: functions and views by name, triggers as `name on table`."""
    for match in _DEFINITION.finditer(file.text):
        yield match["name"] or f"{match['trigger']} on {match['table']}"


def sentence(file: File) -> str:
    """Return what an invariant says, the first paragraph of its comment."""
    lines = [line.removeprefix("--").strip() for line in _parts(file)["comment"].splitlines()]
    return " ".join(lines).split("  ")[0].strip()


def check(sources: Sources) -> None:
    """Raise MigrationError unless each thing is defined once, in a file of its kind."""
    for file in sources.schema:
        for name in definitions(file):
            raise MigrationError(f"sql/{file.name} defines {name}: that belongs in sql/functions/")
    places: dict[str, str] = {}
    for file in sources.code:
        if match := _NO_CODE.search(file.text):
            raise MigrationError(f"sql/{file.name} has {match[0]!r}: that belongs in sql/schema/")
        for name in definitions(file):
            if name in places:
                raise MigrationError(f"{name} is defined in sql/{places[name]} and in sql/{file.name}")
            places[name] = file.name


def _parts(file: File) -> re.Match[str]:
    parts = _INVARIANT.fullmatch(file.text)
    if parts is None or re.search(r";\s*$", parts["query"], re.MULTILINE):
        raise MigrationError(f"sql/{file.name} is not a comment with a sentence and one query below it")
    return parts


def _invariant(file: File) -> File:
    """Return an invariant as a function of the same name."""
    name = f"invariant_{Path(file.name).stem}"
    query = re.sub(r"(?<!:):only_new\b", "only_new", _parts(file)["query"])
    text = (
        f"CREATE FUNCTION {name}(only_new boolean) RETURNS TABLE (subject text, detail text)\n"
        f"LANGUAGE sql STABLE AS $invariant$\n{query}\n$invariant$;\n"
        f"COMMENT ON FUNCTION {name} IS $sentence${sentence(file)}$sentence$;\n"
    )
    return File(file.name, text)


def _violations(invariants: tuple[File, ...]) -> File:
    """Return the function that asks all of them; the settlement and `./market ledger verify` call it."""
    names = [Path(file.name).stem for file in invariants]
    each = "\n    UNION ALL ".join(
        f"SELECT '{name}', v.* FROM invariant_{name}(only_new) v"  # noqa: S608 - names of files
        for name in names
    )
    text = (
        "CREATE FUNCTION violations(only_new boolean)\n"
        "RETURNS TABLE (invariant text, subject text, detail text)\n"
        "LANGUAGE sql STABLE SECURITY DEFINER SET search_path = market, pg_temp AS $$\n"
        f"    {each}\n$$;\nGRANT EXECUTE ON FUNCTION violations TO market_app;\n"
    )
    return File("invariants/", text)
