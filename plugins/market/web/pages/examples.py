"""Programs to try with one click: copied from this project into a member's home."""

from __future__ import annotations

from market.kit.errors import NotFoundError
from market.kit.settings import ROOT
from market.people import files
from market.people.member import Member

# Folder below examples/ -> what it does.
EXAMPLES = {
    "digits": "Train a classifier of handwritten digits with Spark's MLlib",
    "kmeans": "Find ten groups among images of digits with k-means",
    "als": "Recommend by alternating least squares",
    "grid_search": "Search scikit-learn's parameters on many machines",
}


def copy(member: Member, name: str) -> str:
    """Copy an example into the home, over an older copy; return its folder there. Raises NotFoundError."""
    if name not in EXAMPLES:
        raise NotFoundError("There is no such example.")
    folder = f"examples/{name}"
    for file in sorted((ROOT / "examples" / name).iterdir()):
        if file.is_file():
            content = file.read_bytes()
            files.put(member, f"{folder}/{file.name}", iter([content]), len(content))
    return folder
