"""What a job is, after defaults: its program, its size, its limits. Stored as JSON and read by the DAG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

from market.hadoop import allocation
from market.jobs import grid as grids
from market.kit import deadlines, settings

LIBRARIES = (".py", ".zip", ".egg", ".jar")  # how a file ends that is a library; others are folders
_AT_ONCE = 2  # points of a sweep, where the request is silent
_MAX_RETRIES = 5
# Spark refuses a heap below 450 MiB, and Java gives a program a little less than it is told to.
MIN_HEAP_MIB = 512
MAX_DURATION_S = deadlines.LONGEST_JOB_S


@dataclass(frozen=True)
class Wire:
    """How a field is read and shown: a kind of jobs/fields.py, and what it is told.

    The kind is only named here. A task's process reads specifications but never a body, and importing the
    library that reads bodies would cost it 0.05 s of processor time.
    """

    kind: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


def _wire(kind: str, *arguments: Any, **options: Any) -> Wire:
    return Wire(kind, arguments, options)


def _field(wire: Wire, **default: Any) -> Any:
    return field(metadata={"wire": wire}, **default)


@dataclass(frozen=True)
class JobSpec:
    """Paths are relative: `root_path` to the owner's home, the others to `root_path`. Memory in MiB.

    The one definition of each field: bodies, answers, the OpenAPI document, the stored row and the form's
    fields of text follow from it.
    """

    root_path: str = _field(_wire("path", required=True))
    # Where the request names none: `main.py`, else the only program in root_path.
    entry_file: str = _field(_wire("file", suffixes="py|ipynb|jar"))
    machine_type: str = _field(_wire("text", 32, required=True))
    core_num: int = _field(_wire("whole", 1, "cores", "executor cores in all", required=True))
    executor_cores: int = _field(_wire("whole", 1, "cores", "cores of one executor", load_default=1))
    driver_memory: int = _field(_wire("whole", MIN_HEAP_MIB, "heap_mib", "MiB"))
    executor_memory: int = _field(_wire("whole", MIN_HEAP_MIB, "heap_mib", "MiB"))
    max_duration: int = _field(_wire("whole", 1, MAX_DURATION_S, "seconds"))
    max_wait: int = _field(_wire("whole", 1, MAX_DURATION_S, "seconds to wait for a machine"))
    main_class: str | None = _field(_wire("class_name"), default=None)
    libs: tuple[str, ...] = _field(_wire("files"), default=())
    archives: tuple[str, ...] = _field(_wire("files"), default=())
    python_env: str | None = _field(
        _wire(
            "file",
            description="a packed Python environment in root_path, with bin/python in it",
            allow_none=True,
            load_default=None,
        ),
        default=None,
    )
    requirements: tuple[str, ...] = _field(
        _wire("packages", "packages that it needs; without it what root_path's requirements.txt says"),
        default=(),
    )
    files: tuple[str, ...] = _field(
        _wire("patterns", "what of root_path goes along with the program; without it all"), default=()
    )
    exclude: tuple[str, ...] = _field(
        _wire("patterns", "what of root_path does not go along with the program"), default=()
    )
    env: Mapping[str, str] = _field(_wire("environment"), default=())
    secrets: tuple[str, ...] = _field(_wire("secrets"), default=())
    app_params: tuple[str, ...] = _field(_wire("params"), default=())
    max_credits: str | None = _field(_wire("credits", "the most that may be held and charged"), default=None)
    auto_extend_to: str | None = _field(_wire("credits", "how far the hold grows by itself"), default=None)
    spark_conf: Mapping[str, str] = _field(_wire("spark_conf"), default_factory=dict)
    # Whose credits it is: a project's of which the submitter is a member; None: his own.
    project: str | None = _field(
        _wire(
            "text", 32, "the name of the project that pays; without it the submitter does", allow_none=True
        ),
        default=None,
    )
    job_note: str | None = _field(
        _wire("text", 500, "the owner's words about it", lines=True, allow_none=True), default=None
    )
    # A sweep: its grid, and which of the grid's points it runs (None: all).
    grid: Mapping[str, list[grids.Value]] | None = _field(_wire("sweep"), default=None)
    only: tuple[int, ...] | None = None
    # Its packages were not there yet when it was submitted: they are fetched before it runs.
    builds: bool = False
    max_parallel: int = _field(_wire("whole", 1, "points", "points of a sweep that run at once"), default=1)
    point_retries: int = _field(
        _wire("whole", 0, _MAX_RETRIES, "how often a failed point of a sweep runs again"), default=0
    )

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> JobSpec:
        """Return the specification in a stored row or a DAG file."""
        known = {item.name for item in fields(cls)}
        values = {name: value for name, value in stored.items() if name in known}
        for name in ("libs", "archives", "requirements", "files", "exclude", "secrets", "app_params"):
            values[name] = tuple(values.get(name) or ())
        for name in ("env", "spark_conf"):
            values[name] = dict(values.get(name) or {})
        if values.get("only") is not None:
            values["only"] = tuple(values["only"])
        return cls(**values)

    @classmethod
    def of_request(cls, request: Mapping[str, Any], entry_file: str) -> JobSpec:
        """Return what a loaded body of `POST /jobs` means: with the settings' defaults where it is silent."""
        limits = settings.load().jobs
        defaults = {
            "driver_memory": limits.driver_memory_mib,
            "executor_memory": limits.executor_memory_mib,
            "max_duration": limits.max_duration_s,
            "max_wait": limits.max_wait_s,
        }
        if request.get("grid"):
            defaults["max_parallel"] = _AT_ONCE
        spec = cls.from_json({**defaults, **request, "entry_file": entry_file})
        return replace(spec, max_parallel=min(spec.max_parallel, len(spec.points)))

    def to_json(self) -> dict[str, Any]:
        """Return the specification as JSON can hold it."""
        return asdict(self)

    @property
    def executors(self) -> int:
        """How many executors it has."""
        return self.core_num // self.executor_cores

    @property
    def points(self) -> dict[int, grids.Point]:
        """The parameters of its points by their number: a sweep's of its grid; any other job has one, 0."""
        if self.grid is None:
            return {0: {}}
        every = dict(enumerate(grids.points(self.grid)))
        return every if self.only is None else {number: every[number] for number in self.only}

    def place(self, point: int) -> int | None:
        """Return a point's number as people see it: None where the job has no others."""
        return None if self.grid is None else point

    @property
    def at_once(self) -> list[tuple[int, int]]:
        """The containers of all applications that it may run at a time."""
        return self.containers * self.max_parallel

    @property
    def whole_duration(self) -> Fraction:
        """How long all its runs may take, in seconds; `max_duration` is for each of them."""
        return Fraction(self.max_duration * len(self.points), self.max_parallel)

    @property
    def containers(self) -> list[tuple[int, int]]:
        """Each container's (vcores, MiB) as YARN allocates them, the driver's first; of one application."""
        return allocation.containers(
            self.driver_memory,
            self.executor_memory,
            self.executor_cores,
            self.executors,
            self._off_heap_mib,
        )

    @property
    def _off_heap_mib(self) -> int:
        try:
            return allocation.off_heap_mib(self.spark_conf)
        except ValueError:  # stored by an earlier release, which took anything: Spark itself refuses it
            return 0

    @property
    def folders(self) -> tuple[str, ...]:
        """Those of `libs` that are folders."""
        return tuple(name for name in self.libs if not name.lower().endswith(LIBRARIES))

    @property
    def is_jar(self) -> bool:
        """Tell whether it is a program for Java's virtual machine."""
        return self.entry_file.lower().endswith(".jar")


def wires() -> dict[str, Wire]:
    """Return how each field of a specification is read and shown, by name."""
    return {item.name: item.metadata["wire"] for item in fields(JobSpec) if "wire" in item.metadata}
