"""The market's HDFS for fsspec, and so for pandas and pyarrow: `hdfs://` addresses are opened over WebHDFS.

fsspec's own file system for them needs a library of C that comes with no package. A file is written in one
stream, and read in blocks.
"""

import http.client
import json
import os
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

from market_runner import tokens

WEB = "MARKET_WEBHDFS"  # host:port of the NameNode's pages
_OUTPUT = "MARKET_OUTPUT"
_TIMEOUT_S = 300
_FOUND, _DONE = (301, 302, 303, 307), (200, 201)
_ERRORS: dict[str, type[OSError]] = {
    "FileNotFoundException": FileNotFoundError,
    "FileAlreadyExistsException": FileExistsError,
    "AccessControlException": PermissionError,
    "PathIsNotEmptyDirectoryException": OSError,
}


class MarketHdfs(AbstractFileSystem):  # type: ignore[misc] # fsspec has no types
    """The HDFS of this job's market, as the job's owner."""

    protocol = "hdfs"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{name: options[name] for name in _KEPT if name in options})
        self._web = os.environ[WEB]
        token, user = tokens.delegation(), os.environ.get("SPARK_USER", "")
        # A token says whose it is. Where there is none, any name is believed.
        self._proof = {"delegation": token} if token else {"user.name": user} if user else {}

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        path = os.fspath(path)
        if "://" in path:
            authority, slash, rest = path.split("://", 1)[1].partition("/")
            own = urlsplit(os.environ.get(_OUTPUT, "")).netloc
            if authority not in ("", own):
                raise ValueError(
                    f"{authority} is not the market's HDFS; its addresses begin with hdfs://{own}"
                )
            path = slash + rest
        return path.rstrip("/") or "/"

    def unstrip_protocol(self, name: str) -> str:
        """Return the whole address of a path."""
        return f"hdfs://{urlsplit(os.environ.get(_OUTPUT, '')).netloc}{self._strip_protocol(name)}"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return what is at a path. Raises FileNotFoundError."""
        path = self._strip_protocol(path)
        return _entry(path, self._ask("GET", path, "GETFILESTATUS")["FileStatus"])

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """Return what a folder holds. Raises FileNotFoundError."""
        path = self._strip_protocol(path)
        statuses = self._ask("GET", path, "LISTSTATUS")["FileStatuses"]["FileStatus"]
        found = [
            _entry(f"{path.rstrip('/')}/{one['pathSuffix']}" if one["pathSuffix"] else path, one)
            for one in statuses
        ]
        return found if detail else [one["name"] for one in found]

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """Make a folder, and those that it lies in."""
        if self.exists(path):
            raise FileExistsError(path)
        self.makedirs(path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a folder, and those that it lies in."""
        if not exist_ok and self.exists(path):
            raise FileExistsError(path)
        self._ask("PUT", self._strip_protocol(path), "MKDIRS")

    def rmdir(self, path: str) -> None:
        """Delete an empty folder."""
        self._ask("DELETE", self._strip_protocol(path), "DELETE", recursive="false")

    def _rm(self, path: str) -> None:
        self._ask("DELETE", self._strip_protocol(path), "DELETE", recursive="false")

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Delete files; `recursive`: folders as well."""
        for one in path if isinstance(path, list) else [path]:
            place = self._strip_protocol(one)
            flag = "true" if recursive else "false"
            if not self._ask("DELETE", place, "DELETE", recursive=flag).get("boolean"):
                raise FileNotFoundError(place)

    def mv(self, path1: str, path2: str, **_: Any) -> None:
        """Move a file or folder."""
        target = self._strip_protocol(path2)
        if not self._ask("PUT", self._strip_protocol(path1), "RENAME", destination=target).get("boolean"):
            raise OSError(f"{path1} could not be moved to {path2}")

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy a file."""
        with self.open(path1, "rb") as source, self.open(path2, "wb") as target:
            while chunk := source.read(1 << 20):
                target.write(chunk)

    def created(self, path: str) -> Any:
        """Return when a file was written: HDFS keeps no other time."""
        return self.modified(path)

    def modified(self, path: str) -> Any:
        """Return when a file was written, in seconds."""
        return self.info(path)["mtime"]

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, **options: Any) -> "MarketFile":
        if mode not in ("rb", "wb", "xb"):
            raise ValueError(f"mode {mode!r} is not offered in HDFS: write a file anew, or another one")
        if mode == "xb" and self.exists(path):
            raise FileExistsError(path)
        return MarketFile(self, path, mode.replace("x", "w"), block_size or "default", **options)

    def _url(self, path: str, operation: str, **query: str) -> str:
        words = {"op": operation, **query, **self._proof}
        return f"/webhdfs/v1{quote(path)}?{urlencode(words)}"

    def _ask(self, method: str, path: str, operation: str, **query: str) -> Any:
        connection = http.client.HTTPConnection(self._web, timeout=_TIMEOUT_S)
        try:
            connection.request(method, self._url(path, operation, **query))
            return checked(connection.getresponse())
        finally:
            connection.close()

    def where(self, method: str, path: str, operation: str, **query: str) -> tuple[str, str]:
        """Return the host and the address at which a file's bytes are sent or read."""
        location = urlsplit(self._ask(method, path, operation, noredirect="true", **query)["Location"])
        return location.netloc, f"{location.path}?{location.query}"


_KEPT = ("use_listings_cache", "skip_instance_cache", "asynchronous")


class MarketFile(AbstractBufferedFile):  # type: ignore[misc] # fsspec has no types
    """A file in HDFS, open to be read or written."""

    _sending: http.client.HTTPConnection | None = None

    def _fetch_range(self, start: int, end: int) -> bytes:
        if end <= start:
            return b""
        host, address = self.fs.where(
            "GET", self.path, "OPEN", offset=str(start), length=str(min(end, self.size) - start)
        )
        connection = http.client.HTTPConnection(host, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", address)
            answer = connection.getresponse()
            if answer.status != 200:
                checked(answer)
            return answer.read()
        finally:
            connection.close()

    def _initiate_upload(self) -> None:
        host, address = self.fs.where("PUT", self.path, "CREATE", overwrite="true")
        self._sending = http.client.HTTPConnection(host, timeout=_TIMEOUT_S)
        self._sending.putrequest("PUT", address)
        self._sending.putheader("Content-Type", "application/octet-stream")
        self._sending.putheader("Transfer-Encoding", "chunked")
        self._sending.endheaders()

    def _upload_chunk(self, final: bool = False) -> bool:
        assert self._sending is not None
        chunk = self.buffer.getvalue()
        try:
            if chunk:
                self._sending.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            if final:
                self._sending.send(b"0\r\n\r\n")
        except ConnectionError:  # it was refused: the answer says why
            final = True
        if final:
            sending, self._sending = self._sending, None
            try:
                checked(sending.getresponse())
            finally:
                sending.close()
        return True


def checked(answer: http.client.HTTPResponse) -> Any:
    """Return an answer's JSON ({} for none); raise what a refusal means."""
    content = answer.read()
    if answer.status in _DONE:
        return json.loads(content) if content else {}
    try:
        refusal = json.loads(content)["RemoteException"]
        kind, message = str(refusal["exception"]), str(refusal.get("message", "")).partition("\n")[0]
    except (ValueError, KeyError, TypeError):
        raise OSError(f"HDFS answered {answer.status}: {content[:200]!r}") from None
    raise _ERRORS.get(kind, OSError)(f"{kind}: {message}")


def _entry(path: str, status: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": path,
        "size": int(status["length"]),
        "type": "directory" if status["type"] == "DIRECTORY" else "file",
        "mtime": int(status["modificationTime"]) / 1000,
    }
