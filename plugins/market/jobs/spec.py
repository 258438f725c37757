"""What a job is, after defaults: its program, its size, its limits. Stored as JSON and read by the DAG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from typing import Any

from market.hadoop import allocation
from market.jobs import grid as grids
from market.kit import settings

_AT_ONCE = 2  # points of a sweep, where the request is silent


@dataclass(frozen=True)
class JobSpec:
    """Paths are relative: `root_path` to the owner's home, the others to `root_path`. Memory in MiB."""

    root_path: str
    entry_file: str
    machine_type: str
    core_num: int
    executor_cores: int
    driver_memory: int
    executor_memory: int
    max_duration: int
    max_wait: int
    main_class: str | None = None
    libs: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    python_env: str | None = None
    app_params: tuple[str, ...] = ()
    max_credits: str | None = None
    auto_extend_to: str | None = None
    spark_conf: Mapping[str, str] = ()  # type: ignore[assignment]
    # A sweep: its grid, and which of the grid's points it runs (None: all).
    grid: Mapping[str, list[grids.Value]] | None = None
    only: tuple[int, ...] | None = None
    max_parallel: int = 1
    point_retries: int = 0

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> JobSpec:
        """Return the specification in a stored row or a DAG file."""
        known = {field.name for field in fields(cls)}
        found = {name: value for name, value in stored.items() if name in known}
        for name in ("libs", "archives", "app_params"):
            found[name] = tuple(found.get(name) or ())
        found["spark_conf"] = dict(found.get("spark_conf") or {})
        if found.get("only") is not None:
            found["only"] = tuple(found["only"])
        return cls(**found)

    @classmethod
    def of_request(cls, asked: Mapping[str, Any], entry_file: str) -> JobSpec:
        """Return what a loaded body of `POST /jobs` means: with the settings' defaults where it is silent."""
        limits = settings.load().jobs
        defaults = {
            "driver_memory": limits.driver_memory_mib,
            "executor_memory": limits.executor_memory_mib,
            "max_duration": limits.max_duration_s,
            "max_wait": limits.max_wait_s,
        }
        if asked.get("grid"):
            defaults["max_parallel"] = _AT_ONCE
        spec = cls.from_json({**defaults, **asked, "entry_file": entry_file})
        return replace(spec, max_parallel=min(spec.max_parallel, len(spec.points) or 1))

    def to_json(self) -> dict[str, Any]:
        """Return the specification as JSON can hold it."""
        return asdict(self)

    @property
    def executors(self) -> int:
        """How many executors it has."""
        return self.core_num // self.executor_cores

    @property
    def points(self) -> dict[int, grids.Point]:
        """The points of a sweep by their number; none of any other job."""
        if self.grid is None:
            return {}
        found = dict(enumerate(grids.points(self.grid)))
        return found if self.only is None else {number: found[number] for number in self.only}

    @property
    def at_once(self) -> list[tuple[int, int]]:
        """The containers of all applications that it may run at a time."""
        return self.containers * self.max_parallel

    @property
    def whole_duration(self) -> Fraction:
        """How long all its runs may take, in seconds; `max_duration` is for each of them."""
        return Fraction(self.max_duration * (len(self.points) or 1), self.max_parallel)

    @property
    def containers(self) -> list[tuple[int, int]]:
        """Each container's (vcores, MiB) as YARN allocates them, the driver's first; of one application."""
        return allocation.containers(
            self.driver_memory, self.executor_memory, self.executor_cores, self.executors
        )

    @property
    def is_jar(self) -> bool:
        """Tell whether it is a program for Java's virtual machine."""
        return self.entry_file.lower().endswith(".jar")
