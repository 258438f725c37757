"""The files that settings come from: the shipped one with all of them, and an operator's with what differs.

Standard library only: the first steps of a fresh clone read it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OWN_NAME = "market.toml"  # in the state folder
VARIABLE = "MARKET_CONFIG"  # names another file in its place
_WHOLE = "types"  # whoever names types names all of them: else none that is shipped could be left out


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and the remedy."""


@dataclass(frozen=True)
class Files:
    """What two files say, by section and key."""

    shipped_path: Path
    own_path: Path
    shipped: Mapping[str, Any]
    own: Mapping[str, Any]

    @property
    def named(self) -> Path:
        """The file at fault when something is wrong: the shipped one is right."""
        return self.own_path if self.own else self.shipped_path

    @property
    def merged(self) -> dict[str, Any]:
        """The settings in force."""
        found = dict(self.shipped)
        for section, values in self.own.items():
            found[section] = values if section == _WHOLE else {**found[section], **values}
        return found

    def lines(self) -> Iterator[tuple[str, str, Any, Any]]:
        """Yield each setting: its section, key, value, and the shipped value (None: there is none)."""
        for section, values in self.merged.items():
            shipped = self.shipped.get(section, {})
            for key, value in values.items():
                if isinstance(value, Mapping):  # a type of machines
                    before = shipped.get(key, {})
                    for inner, one in value.items():
                        yield f"{section}.{key}", inner, one, before.get(inner)
                else:
                    yield section, key, value, shipped.get(key)


def read(root: Path, state: Path, own: Path | None = None) -> Files:
    """Read the shipped file of a clone and the operator's: `own`, else MARKET_CONFIG's, else the state's.

    Raises SettingsError for what is no TOML, or names a section that there is not.
    """
    shipped_path = root / "config" / "market.toml"
    named = os.environ.get(VARIABLE)
    own_path = own or Path(named or state / OWN_NAME)
    shipped = _parsed(shipped_path)
    found = _parsed(own_path) if own or named or own_path.exists() else {}
    for section, values in found.items():
        if section not in shipped:
            raise SettingsError(f"{own_path}: unknown section [{section}]")
        if not isinstance(values, dict):
            raise SettingsError(f"{own_path}: {section} is a section: write [{section}] above its settings")
        if section in ("network", "ports") and (unknown := sorted(set(values) - set(shipped[section]))):
            raise SettingsError(f"{own_path}: [{section}] unknown setting {unknown[0]}")
    return Files(shipped_path, own_path, shipped, found)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
