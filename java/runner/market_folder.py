"""What lies beside a job's program, brought into the working folders of its driver and its executors.

YARN unpacks the files of the job's folder under the name LINK, or brings each itself. They are put beside
Spark's own, and hide none of them: as copies in the driver, whose program may change them, as links in
executors. It lies in the archive with PySpark.
"""

import base64
import json
import os
import sys
from collections.abc import Callable
from typing import Any

LINK = "__root_path__"
PACKAGES = "__packages__"
_DONE = "MARKET_FOLDER_DONE"


def lay_out() -> None:
    """Put the job's files into this folder, once, and have Python find what it imports from them."""
    if not os.environ.get(_DONE):  # not in a process that the program has started
        os.environ[_DONE] = "1"
        if os.path.isdir(LINK):
            _lay(os.path.realpath(LINK), os.getcwd(), _copy if _in_driver() else os.symlink)
        for name in filter(None, _decoded(os.environ.get("MARKET_COPIES", "")).split("\0")):
            _make_own(name)
    if os.path.isdir(PACKAGES):  # before what the machine has, behind PySpark and Python's own
        places = [number for number, place in enumerate(sys.path) if place.endswith("site-packages")]
        sys.path.insert(min(places, default=len(sys.path)), os.path.abspath(PACKAGES))
    sys.path[:0] = [_found_in(place) for place in _told().get("paths", ()) if os.path.exists(place)]


def program(name: str) -> str:
    """Return where the program lies: under its own name among the job's files, else under this one."""
    own: str = _told().get("program", name)
    return own if os.path.exists(own) else name


def resolve_below_root() -> None:
    """Have Spark resolve relative paths below the job's folder in HDFS instead of its owner's home."""
    from pyspark import SparkContext

    begin = SparkContext._ensure_initialized

    def initialized(*arguments: Any, **named: Any) -> None:
        began = SparkContext._gateway is not None
        begin(*arguments, **named)
        if not began:
            hadoop: Any = SparkContext._jvm.org.apache.hadoop  # type: ignore[union-attr]
            root = hadoop.fs.Path(os.environ["MARKET_INPUT"])
            root.getFileSystem(hadoop.conf.Configuration()).setWorkingDirectory(root)

    SparkContext._ensure_initialized = staticmethod(initialized)  # type: ignore[method-assign]


def _found_in(place: str) -> str:
    """Return where Python must look for what a folder holds: of a package in the folder above."""
    is_package = os.path.isfile(os.path.join(place, "__init__.py"))
    return os.path.abspath(os.path.dirname(place) if is_package else place)


def _in_driver() -> bool:
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _told() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(_decoded(os.environ.get("MARKET_FOLDER", "")) or "{}")
    return told


def _decoded(encoded: str) -> str:
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()


def _make_own(name: str) -> None:
    """Put a copy in the place of a link to a file that YARN has brought."""
    if os.path.islink(name):
        fresh = f"{name}.{os.getpid()}"
        _copy(os.path.realpath(name), fresh)
        os.replace(fresh, name)


def _lay(source: str, target: str, put: Callable[[str, str], None]) -> None:
    """Put what `source` holds into `target`; what is there stays, and folders of one name become one."""
    with os.scandir(source) as entries:
        for entry in entries:
            place = os.path.join(target, entry.name)
            if entry.is_dir() and os.path.isdir(place) and not os.path.islink(place):
                _lay(entry.path, place, put)
            elif not os.path.lexists(place):
                try:
                    put(entry.path, place)
                except FileExistsError:  # by another process of this container
                    continue


def _copy(source: str, target: str) -> None:
    from shutil import copyfile

    if os.path.isdir(source):
        os.mkdir(target)
        _lay(source, target, _copy)
        return
    copyfile(source, target)  # the unpacked files are for reading only
    status = os.stat(source)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
