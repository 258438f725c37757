"""The files of one's home in a market."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from distributedmarket.client import MarketApiError
from distributedmarket.client.body import Data
from distributedmarket.sdk import models
from distributedmarket.sdk.pages import rows
from distributedmarket.sdk.routes import Routes
from distributedmarket.sdk.transfer import below, download

_MISSING = 404


class Files:
    """Paths are relative to the home, with `/` between their parts."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    def list(self, path: str = ".") -> Iterator[models.FileEntry]:
        """Yield what a folder holds, by name."""
        return rows(
            lambda limit, offset: self._routes.list_files(
                path=path, limit=limit, offset=offset, order_by="path"
            ),
            "files",
        )

    def walk(self, path: str = ".") -> Iterator[models.FileEntry]:
        """Yield every file below a folder; nothing where there is no such folder."""
        waiting = [path]
        while waiting:
            try:
                entries = [*self.list(waiting.pop())]
            except MarketApiError as error:
                if error.status == _MISSING:  # it was deleted meanwhile, or never there
                    continue
                raise
            waiting += [entry["path"] for entry in entries if entry.get("is_folder")]
            yield from (entry for entry in entries if not entry.get("is_folder"))

    def put(self, data: Path | Data, path: str) -> models.FileEntry:
        """Store a file, or bytes, under a path; an old file is replaced."""
        return self._routes.upload_file(path, data)

    def get(self, path: str, target: Path) -> Path:
        """Fetch a file; return where it lies: `target`, or below it where that is a folder."""
        place = below(target, path.rpartition("/")[2]) if target.is_dir() else target
        download(lambda span, tag: self._routes.download_file(path, range=span, if_range=tag), place)
        return place

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it."""
        self._routes.delete_file(path)
