"""Settings: `config/market.toml`, the ports that were really taken, and the secrets, for every process.

Only the standard library is imported here: the launcher reads settings before anything is installed.
"""

from __future__ import annotations

import functools
import json
import os
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from market.kit.money import parse_credits

ROOT = Path(__file__).resolve().parents[3]


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and the remedy."""


@dataclass(frozen=True)
class Paths:
    """Where things lie. Installs are shared by all stacks of a clone, state belongs to one stack."""

    root: Path
    installs: Path
    state: Path

    @property
    def airflow_env(self) -> Path:
        """Python environment of Airflow and of the market."""
        return self.installs / "airflow-env"

    @property
    def agent_env(self) -> Path:
        """Python environment of the agent that lends a machine: the command line and what it needs."""
        return self.installs / "agent-env"

    @property
    def runtime(self) -> Path:
        """What a machine needs to run jobs: pyspark, Python libraries, the compiled archives."""
        return self.installs / "runtime"

    @property
    def hadoop(self) -> Path:
        """Hadoop's servers: `jars/` and `webapps/`."""
        return self.installs / "hadoop"

    @property
    def hadoop_archive(self) -> Path:
        """Hadoop's jars in one file, for machines that join."""
        return self.installs / "hadoop.zip"

    @property
    def tools(self) -> Path:
        """Python environment of the installer and the process manager."""
        return self.installs / "tools"

    @property
    def conf(self) -> Path:
        """Generated configuration."""
        return self.state / "conf"

    @property
    def hadoop_conf(self) -> Path:
        """HADOOP_CONF_DIR of clients; holds no secret."""
        return self.state / "conf" / "hadoop"

    @property
    def secrets(self) -> Path:
        """One file for each secret, mode 600."""
        return self.state / "secrets"

    @property
    def data(self) -> Path:
        """What must survive: databases, HDFS, the ResourceManager's store."""
        return self.state / "data"

    @property
    def logs(self) -> Path:
        """One file for each service."""
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """Sockets, process ids, locks, the ports in use."""
        return self.state / "run"


@dataclass(frozen=True)
class MachineType:
    """A tariff line: `weight_micro` is credits for a core and hour at rate 1, times 10^6."""

    name: str
    weight_micro: int


@dataclass(frozen=True)
class Credits:
    """Section [credits]; `_ucr` are micro-credits, `_micro` figures scaled by 10^6."""

    signup_grant: str
    gib_weight: str
    fee: str
    initial_rate: str
    rate_min: str
    rate_max: str
    target_utilisation: str
    settlement_cron: str
    stipend_per_core_hour: str
    stipend_cap_per_interval: str

    def micro(self, name: str) -> int:
        """Return a figure of this section scaled by 10^6 (for amounts: micro-credits)."""
        return parse_credits(getattr(self, name))


@dataclass(frozen=True)
class Jobs:
    """Section [jobs]."""

    driver_memory_mib: int
    executor_memory_mib: int
    memory_overhead_mib: int
    max_duration_s: int
    max_wait_s: int
    max_cores: int
    max_container_memory_mib: int
    open_jobs_per_user: int
    open_cores_per_user: int
    max_points: int
    result_retention_s: int
    withdraw_after_s: int
    dag_retention_s: int
    run_retention_s: int


@dataclass(frozen=True)
class Files:
    """Section [files]."""

    home_quota_mib: int
    home_quota_names: int
    max_upload_mib: int


@dataclass(frozen=True)
class Accounts:
    """Section [accounts]."""

    token_lifetime_s: int
    login_attempts_per_minute: int
    registrations_per_minute: int


@dataclass(frozen=True)
class Machines:
    """Section [machines]."""

    max_cores: int
    max_memory_mib: int
    min_memory_mib: int
    max_time_period_s: int
    drain_timeout_s: int
    poll_interval_s: int
    node_expiry_s: int
    verify: bool
    verify_after_s: int
    verify_every_s: int
    verify_min_percent: int
    verify_timeout_s: int


@dataclass(frozen=True)
class Recovery:
    """Section [recovery]: when the tasks of a scheduler that was killed are begun again."""

    scheduler_silence_s: int
    look_every_s: int


@dataclass(frozen=True)
class Pool:
    """Section [pool]: the market's own machine."""

    enabled: bool
    ip_address: str
    cores: int
    memory_mib: int


@dataclass(frozen=True)
class Service:
    """Section [service]: account names."""

    account: str
    admin: str


@dataclass(frozen=True)
class Settings:
    """All settings of one stack."""

    paths: Paths
    bind: str
    preferred_ports: dict[str, int]
    service: Service
    credits: Credits
    types: dict[str, MachineType]
    jobs: Jobs
    files: Files
    accounts: Accounts
    machines: Machines
    recovery: Recovery
    pool: Pool

    def port(self, name: str) -> int:
        """Return the port that a service has taken, else the preferred one."""
        recorded = _recorded_ports(self.paths.run / "ports.json")
        try:
            return recorded.get(name, self.preferred_ports[name])
        except KeyError:
            raise SettingsError(f"config/market.toml: [ports] lacks {name}") from None

    def address(self, name: str) -> str:
        """Return host:port of a service."""
        return f"{self.bind}:{self.port(name)}"

    def url(self, name: str) -> str:
        """Return the base address of a service that speaks HTTP, without a closing slash."""
        return f"http://{self.address(name)}"

    @property
    def hdfs_uri(self) -> str:
        """The file system that jobs and clients name."""
        return f"hdfs://{self.address('namenode_rpc')}"

    def secret(self, name: str) -> str:
        """Return a secret that `./market up` generated."""
        try:
            return (self.paths.secrets / name).read_text().strip()
        except FileNotFoundError:
            raise SettingsError(f"the secret {name} does not exist yet: run ./market up") from None

    def database_url(self, role: str, database: str = "market") -> str:
        """Return the libpq address for a database role; its password is the secret `db_<role>`."""
        return f"postgresql://{role}:{quote(self.secret('db_' + role))}@{self.address('postgres')}/{database}"


def load(state: Path | str | None = None, root: Path | None = None) -> Settings:
    """Return the settings of the stack in `state` (default: MARKET_STATE_DIR, else `.market`).

    Raises SettingsError, naming the setting, if `config/market.toml` does not hold what it should.
    """
    root_name = str(root or ROOT)
    chosen = state or os.environ.get("MARKET_STATE_DIR") or f"{root_name}/.market"
    source = os.environ.get("MARKET_CONFIG") or f"{root_name}/config/market.toml"
    return _load(root_name, os.path.abspath(chosen), source)


@functools.cache  # with texts as keys: to make and to compare paths would cost more than all else here
def _load(root_name: str, state_name: str, source_name: str) -> Settings:
    root, state, source = Path(root_name), Path(state_name), Path(source_name)
    try:
        raw = tomllib.loads(source.read_text())
    except FileNotFoundError:
        raise SettingsError(f"{source} is missing") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source}: {error}") from None
    ports = raw.get("ports", {})
    wrong = [name for name, port in ports.items() if type(port) is not int or not 0 < port < 65536]
    if wrong:
        raise SettingsError(f"{source}: [ports] {wrong[0]} must be a number from 1 to 65535")
    settings = Settings(
        paths=Paths(root=root, installs=root / ".market", state=state),
        bind=raw.get("network", {}).get("bind", "127.0.0.1"),
        preferred_ports=dict(ports),
        service=_section(source, raw, "service", Service),
        credits=_section(source, raw, "credits", Credits),
        types=_types(source, raw),
        jobs=_section(source, raw, "jobs", Jobs),
        files=_section(source, raw, "files", Files),
        accounts=_section(source, raw, "accounts", Accounts),
        machines=_section(source, raw, "machines", Machines),
        recovery=_section(source, raw, "recovery", Recovery),
        pool=_section(source, raw, "pool", Pool),
    )
    _check_credits(source, settings.credits)
    return settings


_CRON = re.compile(r"[\d*/,-]+( [\d*/,-]+){4}")


def _check_credits(source: Path, credits: Credits) -> None:
    """Refuse figures that no quote or settlement could work with."""
    micro = {}
    for field in fields(Credits):
        if field.name == "settlement_cron":
            continue
        try:
            micro[field.name] = credits.micro(field.name)
        except (ValueError, TypeError) as error:
            raise SettingsError(f"{source}: [credits] {field.name}: {error}") from None
    wrong = {
        "fee": micro["fee"] > 1_000_000 and "must be from 0 to 1",
        "rate_min": micro["rate_min"] <= 0 and "must be positive",
        "rate_max": micro["rate_max"] < micro["rate_min"] and "must not be less than rate_min",
        "initial_rate": not micro["rate_min"] <= micro["initial_rate"] <= micro["rate_max"]
        and "must lie between rate_min and rate_max",
        "target_utilisation": not 0 < micro["target_utilisation"] <= 1_000_000
        and "must be more than 0 and at most 1",
        "settlement_cron": not _CRON.fullmatch(credits.settlement_cron)
        and 'must be five fields of cron, like "*/5 * * * *"',
    } | {name: "must not be negative" for name, figure in micro.items() if figure < 0}
    for name, rule in wrong.items():
        if rule:
            raise SettingsError(f"{source}: [credits] {name} {rule}")


_EXPECTED: dict[str, type] = {"int": int, "str": str, "bool": bool}


def _section(source: Path, raw: dict[str, Any], name: str, into: Any) -> Any:
    values = raw.get(name)
    if not isinstance(values, dict):
        raise SettingsError(f"{source}: section [{name}] is missing")
    known = {field.name: str(field.type) for field in fields(into)}
    unknown = sorted(set(values) - set(known))
    missing = sorted(set(known) - set(values))
    if unknown or missing:
        what = f"unknown setting {unknown[0]}" if unknown else f"{missing[0]} is missing"
        raise SettingsError(f"{source}: [{name}] {what}")
    for key, kind in known.items():
        if type(values[key]) is not _EXPECTED[kind]:
            raise SettingsError(f"{source}: [{name}] {key} must be of type {kind}, not {values[key]!r}")
        if kind == "int" and values[key] < 0:
            raise SettingsError(f"{source}: [{name}] {key} must not be negative")
    return into(**values)


def _types(source: Path, raw: dict[str, Any]) -> dict[str, MachineType]:
    lines = raw.get("types")
    if not isinstance(lines, dict) or not lines:
        raise SettingsError(f"{source}: at least one machine type is needed, as [types.cpu]")
    types = {}
    for name, line in lines.items():
        if not (name.isascii() and name.isalnum() and name.islower()) or name in ("pool", "nobody"):
            raise SettingsError(f"{source}: [types.{name}]: a type's name is lower-case letters and digits")
        try:
            weight = parse_credits(line["weight"])
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f'{source}: [types.{name}] weight must be like "1.250000" ({error})'
            ) from None
        if weight <= 0 or set(line) != {"weight"}:
            raise SettingsError(f"{source}: [types.{name}] holds a positive weight and nothing else")
        types[name] = MachineType(name=name, weight_micro=weight)
    return types


def _recorded_ports(path: Path) -> dict[str, int]:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
