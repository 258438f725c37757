"""Copies of what a job is made of: made by its first run in the job's own folder, used by all its runs.

What its owner changes in his home while the job waits or runs changes nothing for it. Without them YARN would
refuse the executors that start later: it notes when a file was modified, and takes it as that one only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from market.cluster.errors import ClusterRefused, HdfsDenied, HdfsNotFound
from market.cluster.hdfs import Hdfs
from market.hadoop import paths
from market.hadoop.paths import JobFolder
from market.jobs import folder, kept_files
from market.jobs.spec import JobSpec
from market.jobs.submission import archive, spark_submit
from market.kit.clock import new_id
from market.kit.errors import ConflictError

_AT_ONCE = 4
_SMALL = (".py", ".ipynb")  # not worth a look at their size


@dataclass(frozen=True)
class Copies:
    """What a job has: of what lies beside its program the names of a few files, or an archive of all.

    `elsewhere`: where those copies are that do not lie where `spark_submit.files` says.
    """

    few: tuple[str, ...] = ()
    has_archive: bool = False
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def made(files: Hdfs, username: str, job: JobFolder, spec: JobSpec) -> Copies:
    """Copy, as `files` may, unless an earlier run of the job has; return what there is.

    Raises BadInputError where the folder holds too much by now, ConflictError where a file has gone.
    """
    found = _found(files, username, job, spec)
    return found if found is not None else _make(files, username, job, spec)


def _found(files: Hdfs, username: str, job: JobFolder, spec: JobSpec) -> Copies | None:
    try:
        held = {status.name for status in files.list(paths.program(job))}
    except HdfsNotFound:
        return None
    few = paths.few(job)
    names = tuple(sorted(s.name for s in files.list(few))) if paths.base(few) in held else ()
    marks = kept_files.marked(files, job) if paths.base(paths.kept_marks(job)) in held else {}
    places = [place for _, place in spark_submit.files(username, job, spec)]
    elsewhere = {
        places[number]: _kept(username, version, places[number])
        for number, version in marks.items()
        if number < len(places)
    }
    return Copies(names, paths.base(paths.beside(job)) in held, elsewhere)


def _make(files: Hdfs, username: str, job: JobFolder, spec: JobSpec) -> Copies:
    """Copy into a folder of another name, which then gets its own: so it is there with all that is in it."""
    entries, root = folder.beside(username, spec), folder.root(username, spec)
    names = spark_submit.few(spec, entries)
    whole = paths.program(job)
    part = f"{whole}.{new_id()}"

    def one(number: int | None, source: str, place: str) -> None:
        may_be_large = number is not None and not source.endswith(_SMALL)
        status = files.status(source) if may_be_large else None
        if number is None or status is None or not kept_files.is_large(status):
            files.create(part + place.removeprefix(whole), files.open(source))
            return
        version = kept_files.keep(files, username, source, status, paths.base(place))
        mark = f"{paths.kept_marks(job)}/{kept_files.mark(number, version)}"
        files.create(part + mark.removeprefix(whole), [])
        elsewhere[place] = _kept(username, version, place)

    elsewhere: dict[str, str] = {}
    wanted: list[tuple[int | None, tuple[str, str]]] = [*enumerate(spark_submit.files(username, job, spec))]
    wanted += [(None, (f"{root}/{name}", f"{paths.few(job)}/{name}")) for name in names]
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda pair: _named(one, pair[0], *pair[1]), wanted))
        if entries and not names:
            archive.write(files, root, entries, part + paths.beside(job).removeprefix(whole))
        files.appear(part, whole)
    except ClusterRefused:  # another point of a sweep was sooner
        files.delete(part, recursive=True)
        if (theirs := _found(files, username, job, spec)) is None:
            raise
        return theirs
    except BaseException:
        files.delete(part, recursive=True)
        raise
    return Copies(names, bool(entries and not names), elsewhere)


def _kept(username: str, version: str, place: str) -> str:
    return f"{paths.kept(username)}/{version}/{paths.base(place)}"


def _named(copy: Callable[[int | None, str, str], None], number: int | None, source: str, place: str) -> None:
    """Copy, and name the file in what is told of a failure."""
    name = paths.base(source)
    try:
        copy(number, source, place)
    except HdfsNotFound:
        raise ConflictError(f"{name} is not there any more. Submit the job again.") from None
    except HdfsDenied:
        raise ConflictError(f"{name} may not be read. Change that, and submit the job again.") from None
