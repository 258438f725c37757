"""axe-core, by which tests look for what shuts people out of a page: fetched once, kept below `.market/`.

What is on PyPI is years behind (axe-core-python, axe-selenium) or drives a browser in its own way
(axe-playwright-python, 40 MB), so it comes from npm, by its digest. It is under MPL-2.0, and no part of what
the market gives to others.
"""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

from market.kit import settings

VERSION = "4.14.1"
_MEMBER = "package/axe.min.js"
_PATIENCE_S = 120
_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


def source() -> str:
    """Return the program's text.

    Raises RuntimeError when it is neither there nor to be had, or is not what was published.
    """
    kept = settings.load().paths.installs / f"axe-core-{VERSION}.min.js"
    if not kept.exists():
        fresh = kept.with_suffix(".new")
        fresh.write_bytes(_fetched(kept))
        fresh.rename(kept)  # in one move: an interrupted download leaves no half of it
    text = kept.read_bytes()
    if hashlib.sha256(text).hexdigest() != _SHA256:
        kept.unlink()
        raise RuntimeError(f"{kept} was not axe-core {VERSION} and is deleted: run the test again")
    return text.decode()


def _fetched(kept: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        words = ["npm", "pack", "--silent", "--ignore-scripts", f"axe-core@{VERSION}"]
        try:
            subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=_PATIENCE_S)
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                member = archive.extractfile(_MEMBER)
                assert member is not None
                return member.read()
        except (OSError, subprocess.SubprocessError) as error:
            raise RuntimeError(
                f"`{' '.join(words)}` fails ({error}): put {_MEMBER} of that package at {kept}"
            ) from error
