"""HDFS over WebHDFS: streamed both ways, as the service account or on behalf of a user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from market.cluster.errors import (
    ClusterRefused,
    ClusterUnavailable,
    HdfsDenied,
    HdfsNotFound,
    HdfsOverQuota,
)
from market.cluster.http import Answer, Bound, items, opened, send
from market.cluster.listing import MOST_ENTRIES, Lister
from market.cluster.tickets import Asker

# Of a file of any size: a DataNode that is busy may be silent for some time, but not slow for ever.
_TRANSFER = Bound(wait_s=300, max_bytes=1 << 44, bytes_per_s=64 << 10)
_OK, _CREATED = 200, 201
_ERRORS = {
    "FileNotFoundException": HdfsNotFound,
    "AccessControlException": HdfsDenied,
    "DSQuotaExceededException": HdfsOverQuota,
    "NSQuotaExceededException": HdfsOverQuota,
    "QuotaByStorageTypeExceededException": HdfsOverQuota,
    "QuotaExceededException": HdfsOverQuota,
}
_TRY_LATER = ("SafeModeException", "StandbyException", "RetriableException")


@dataclass(frozen=True)
class FileStatus:
    """A file or folder. `name` is its last part in a listing, and empty for the path itself."""

    name: str
    size: int
    is_folder: bool
    modified_ms: int
    permission: str
    owner: str
    used_ms: int = 0  # read last, to the hour; of a folder 0
    group: str = ""


@dataclass(frozen=True)
class Summary:
    """What lies below a folder, and its quotas (-1: none); `space_bytes` counts replicas."""

    files: int
    folders: int
    length_bytes: int
    space_bytes: int
    names_quota: int
    space_quota_bytes: int


@dataclass(frozen=True)
class Usage:
    """What a folder holds (files and folders; bytes with replicas), and its quotas (-1: none)."""

    names: int
    space_bytes: int
    names_quota: int
    space_quota_bytes: int


@dataclass(frozen=True)
class File:
    """A file that was found, and any stretch of its bytes."""

    status: FileStatus
    files: Hdfs
    path: str

    def chunks(self, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Return its bytes in chunks, by default to its end as it was found; errors are raised now."""
        most = max(0, self.status.size - offset)
        length = most if length is None else min(length, most)
        return self.files.open(self.path, offset, length) if length else iter(())


class Hdfs:
    """A client. Paths are absolute and need no escaping by the caller."""

    def __init__(
        self, base_url: str, asker: Asker, on_behalf: str | None = None, lister: Lister | None = None
    ) -> None:
        self._base = base_url.rstrip("/")
        self._asker = asker
        self._on_behalf = on_behalf
        self._lister = lister

    def as_user(self, name: str) -> Hdfs:
        """Return a client that acts for a user, with that user's rights."""
        return Hdfs(self._base, self._asker, name, self._lister)

    def status(self, path: str) -> FileStatus | None:
        """Return what is at a path, or None; raise HdfsDenied if the user may not read it."""
        try:
            return _status(self._json("GET", path, "GETFILESTATUS")["FileStatus"])
        except HdfsNotFound:
            return None

    def file(self, path: str) -> File | None:
        """Return what is at a path, to be read later; raise HdfsDenied if the user may not."""
        status = self.status(path)
        return None if status is None else File(status, self, path)

    def list(self, path: str) -> list[FileStatus]:
        """Return what a folder holds (for a file: itself, with an empty name)."""
        answer = self._json("GET", path, "LISTSTATUS")
        return [_status(status) for status in items(answer, "FileStatuses", "FileStatus")]

    def walk(self, path: str) -> Iterator[tuple[str, FileStatus]]:
        """Yield every file below a folder with its path relative to it, in no order.

        In few requests where the lister answers, which asks for many folders at once; else with one for each
        folder, so that whoever stops reading has stopped the asking. Raises HdfsNotFound, HdfsDenied, and
        ClusterRefused where there are too many.
        """
        found = self._lister.below(self._on_behalf, path) if self._lister and self._on_behalf else None
        if found is not None:
            for below_path, size, modified_ms in found:
                yield below_path, FileStatus(below_path.rpartition("/")[2], size, False, modified_ms, "", "")
            return
        folders, left = [""], MOST_ENTRIES
        while folders:
            folder = folders.pop()
            for entry in self._listed(path, folder):
                left -= 1
                if left < 0:
                    raise ClusterRefused(f"There are more than {MOST_ENTRIES} files and folders below this.")
                if entry.is_folder:
                    folders.append(f"{folder}/{entry.name}")
                elif entry.name:
                    yield f"{folder}/{entry.name}"[1:], entry

    def _listed(self, top: str, folder: str) -> Iterable[FileStatus]:
        """Return what a folder holds; of those below the top nothing where it has gone, or is closed."""
        try:
            return self.list(top + folder)
        except (HdfsNotFound, HdfsDenied):
            if not folder:
                raise
            return []

    def mkdirs(self, path: str, permission: str = "755") -> None:
        """Make a folder; parents that it makes on the way get the same mode, so make them first."""
        self._json("PUT", path, "MKDIRS", permission=permission)

    def create(self, path: str, chunks: Iterable[bytes], overwrite: bool = True) -> None:
        """Write a file from chunks with constant memory.

        Raises HdfsOverQuota or ClusterUnavailable; a part of the file may be there then.
        """
        flag = "true" if overwrite else "false"
        redirect = self._send("PUT", path, "CREATE", overwrite=flag, noredirect="true")
        location = str(_checked(redirect)["Location"])
        answer = send(
            "PUT",
            location,
            data=_not_empty(chunks),
            headers={"Content-Type": "application/octet-stream"},
            bound=_TRANSFER,
            own_errors=True,
        )
        _checked(answer)

    def append(self, path: str, content: bytes) -> None:
        """Write at the end of a file that is there. Raises HdfsNotFound, ClusterUnavailable."""
        redirect = self._send("POST", path, "APPEND", noredirect="true")
        location = str(_checked(redirect)["Location"])
        _checked(
            send(
                "POST",
                location,
                data=content,
                headers={"Content-Type": "application/octet-stream"},
                bound=_TRANSFER,
                own_errors=True,
            )
        )

    def open(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Return a file's bytes in chunks; errors are raised now, not while reading."""
        query: dict[str, Any] = {"offset": offset, "noredirect": "true"}
        if length is not None:
            query["length"] = length
        location = str(_checked(self._send("GET", path, "OPEN", **query))["Location"])
        answer = opened("GET", location, _TRANSFER)
        if answer.status_code != _OK:
            _checked(answer.whole())
        return answer.chunks()

    def read(self, path: str) -> bytes:
        """Return a small file whole."""
        return b"".join(self.open(path))

    def rename(self, path: str, target: str) -> None:
        """Move a file or folder; raise ClusterRefused if the target exists or the source does not."""
        if not self._json("PUT", path, "RENAME", destination=target).get("boolean"):
            raise ClusterRefused(f"{path} could not be moved to {target}")

    def appear(self, path: str, target: str) -> None:
        """Move a folder to where nothing is; raise ClusterRefused where something is.

        `rename` would move it into a folder that is there.
        """
        self._json("PUT", path, "RENAME", destination=target, renameoptions="NONE")

    def replace(self, path: str, target: str) -> None:
        """Move a file over another one in one step: readers see the old or the new one, whole."""
        self._json("PUT", path, "RENAME", destination=target, renameoptions="OVERWRITE")

    def delete(self, path: str, recursive: bool = False) -> bool:
        """Delete; tell whether there was anything."""
        flag = "true" if recursive else "false"
        return bool(self._json("DELETE", path, "DELETE", recursive=flag).get("boolean"))

    def set_owner(self, path: str, owner: str, group: str | None = None) -> None:
        """Give a file or folder to a user."""
        extra = {"group": group} if group else {}
        self._json("PUT", path, "SETOWNER", owner=owner, **extra)

    def set_permission(self, path: str, permission: str) -> None:
        """Set the mode, in octal digits."""
        self._json("PUT", path, "SETPERMISSION", permission=permission)

    def set_used(self, path: str, at_ms: int) -> None:
        """Set when a file was read last, in epoch ms. When it was modified stays: YARN goes by that."""
        self._json("PUT", path, "SETTIMES", accesstime=at_ms)

    def set_quota(self, path: str, names: int, space_bytes: int) -> None:
        """Limit how many files and folders, and how many bytes (replicas counted), a folder may hold."""
        self._json("PUT", path, "SETQUOTA", namespacequota=names, storagespacequota=space_bytes)

    def content_summary(self, path: str) -> Summary:
        """Return what lies below a folder, and its quotas."""
        summary = self._json("GET", path, "GETCONTENTSUMMARY")["ContentSummary"]
        return Summary(
            files=int(summary["fileCount"]),
            folders=int(summary["directoryCount"]),
            length_bytes=int(summary["length"]),
            space_bytes=int(summary["spaceConsumed"]),
            names_quota=int(summary["quota"]),
            space_quota_bytes=int(summary["spaceQuota"]),
        )

    def usage(self, path: str) -> Usage:
        """Return what a folder with a quota holds, as HDFS has counted it: without a look at each file."""
        usage = self._json("GET", path, "GETQUOTAUSAGE")["QuotaUsage"]
        return Usage(
            names=int(usage["fileAndDirectoryCount"]),
            space_bytes=int(usage["spaceConsumed"]),
            names_quota=int(usage["quota"]),
            space_quota_bytes=int(usage["spaceQuota"]),
        )

    def _json(self, method: str, path: str, operation: str, **query: Any) -> Any:
        return _checked(self._send(method, path, operation, **query))

    def _send(self, method: str, path: str, operation: str, **query: Any) -> Answer:
        parameters = {"op": operation, **query}
        if self._on_behalf is not None:
            parameters["doas"] = self._on_behalf
        address = f"{self._base}/webhdfs/v1{quote(path)}"
        return send(method, address, own_errors=True, asker=self._asker, params=parameters)


def _checked(answer: Answer) -> Any:
    """Return an answer's JSON ({} for none); raise what a refusal means."""
    if answer.status_code in (_OK, _CREATED):
        # As it is: a name that cannot be stored must not look like another one.
        return answer.json(cleaned=False) if answer.content else {}
    try:
        refusal = answer.json()["RemoteException"]
    except (ClusterUnavailable, KeyError, TypeError):
        raise ClusterUnavailable(f"HDFS answered {answer.status_code}: {answer.text[:200]}") from None
    kind, message = str(refusal.get("exception")), str(refusal.get("message", "")).split("\n", 1)[0]
    if kind in _TRY_LATER:
        raise ClusterUnavailable(f"HDFS is not ready: {message}")
    # Some refusals come wrapped: the name of the real one is in the message then.
    wrapped = next((error for name, error in _ERRORS.items() if name in message), ClusterRefused)
    raise _ERRORS.get(kind, wrapped)(message)


def _not_empty(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Drop empty chunks: in HTTP's chunked encoding an empty one ends the body."""
    return (chunk for chunk in chunks if chunk)


def _status(status: dict[str, Any]) -> FileStatus:
    return FileStatus(
        name=str(status.get("pathSuffix") or ""),
        size=int(status["length"]),
        is_folder=status["type"] == "DIRECTORY",
        modified_ms=int(status["modificationTime"]),
        permission=str(status["permission"]),
        owner=str(status["owner"]),
        used_ms=int(status["accessTime"]),
        group=str(status["group"]),
    )
