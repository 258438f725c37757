"""HDFS over WebHDFS: streamed both ways, as the service account or on behalf of a user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from market.cluster.errors import (
    ClusterRefused,
    ClusterUnavailable,
    HdfsDenied,
    HdfsNotFound,
    HdfsOverQuota,
)
from market.cluster.http import CONNECT_S, READ_S, items, send

_CHUNK = 1 << 16
_TRANSFER_S = 300.0
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


@dataclass(frozen=True)
class Summary:
    """What lies below a folder, and its quotas (-1: none); `space_bytes` counts replicas."""

    files: int
    folders: int
    length_bytes: int
    space_bytes: int
    names_quota: int
    space_quota_bytes: int


class Hdfs:
    """A client. Paths are absolute and need no escaping by the caller."""

    def __init__(self, base_url: str, user: str, on_behalf: str | None = None) -> None:
        self._base = base_url.rstrip("/")
        self._user = user
        self._on_behalf = on_behalf

    def as_user(self, name: str) -> Hdfs:
        """Return a client that acts for a user, with that user's rights."""
        return Hdfs(self._base, self._user, name)

    def status(self, path: str) -> FileStatus | None:
        """Return what is at a path, or None; raise HdfsDenied if the user may not read it."""
        try:
            return _status(self._json("GET", path, "GETFILESTATUS")["FileStatus"])
        except HdfsNotFound:
            return None

    def list(self, path: str) -> list[FileStatus]:
        """Return what a folder holds (for a file: itself, with an empty name)."""
        answer = self._json("GET", path, "LISTSTATUS")
        return [_status(status) for status in items(answer, "FileStatuses", "FileStatus")]

    def walk(self, path: str) -> Iterator[tuple[str, FileStatus]]:
        """Yield every file below a folder with its path relative to it, in order of names."""
        for entry in sorted(self.list(path), key=lambda status: status.name):
            if entry.is_folder:
                for below_path, below_status in self.walk(f"{path}/{entry.name}"):
                    yield f"{entry.name}/{below_path}", below_status
            elif entry.name:
                yield entry.name, entry

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
            timeout=(CONNECT_S, _TRANSFER_S),
            own_errors=True,
        )
        _checked(answer)

    def open(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Return a file's bytes in chunks; errors are raised now, not while reading."""
        query: dict[str, Any] = {"offset": offset, "noredirect": "true"}
        if length is not None:
            query["length"] = length
        location = str(_checked(self._send("GET", path, "OPEN", **query))["Location"])
        answer = send("GET", location, stream=True, timeout=(CONNECT_S, _TRANSFER_S), own_errors=True)
        if answer.status_code != 200:
            _checked(answer)
        return _streamed(answer)

    def read(self, path: str) -> bytes:
        """Return a small file whole."""
        return b"".join(self.open(path))

    def rename(self, path: str, target: str) -> None:
        """Move a file or folder; raise ClusterRefused if the target exists or the source does not."""
        if not self._json("PUT", path, "RENAME", destination=target).get("boolean"):
            raise ClusterRefused(f"{path} could not be moved to {target}")

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

    def _json(self, method: str, path: str, operation: str, **query: Any) -> Any:
        return _checked(self._send(method, path, operation, **query))

    def _send(self, method: str, path: str, operation: str, **query: Any) -> requests.Response:
        parameters = {"op": operation, "user.name": self._user, **query}
        if self._on_behalf is not None:
            parameters["doas"] = self._on_behalf
        url = f"{self._base}/webhdfs/v1{quote(path)}"
        timeout = (CONNECT_S, READ_S)
        return send(method, url, params=parameters, timeout=timeout, allow_redirects=False, own_errors=True)


def _checked(answer: requests.Response) -> Any:
    """Return an answer's JSON ({} for none); raise what a refusal means."""
    if answer.status_code in (200, 201):
        return answer.json() if answer.content else {}
    try:
        refusal = answer.json()["RemoteException"]
    except (ValueError, KeyError, TypeError):
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


def _streamed(answer: requests.Response) -> Iterator[bytes]:
    try:
        yield from answer.iter_content(_CHUNK)
    except requests.RequestException as error:
        raise ClusterUnavailable(f"HDFS broke off ({type(error).__name__})") from error
    finally:
        answer.close()


def _status(status: dict[str, Any]) -> FileStatus:
    return FileStatus(
        name=str(status.get("pathSuffix") or ""),
        size=int(status["length"]),
        is_folder=status["type"] == "DIRECTORY",
        modified_ms=int(status["modificationTime"]),
        permission=str(status["permission"]),
        owner=str(status["owner"]),
    )
