"""Settings: those of the files, the ports that were really taken, and the secrets, for every process.

Only the standard library is imported here: the launcher reads settings before anything is installed.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import os
import re
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from market.kit import mail_settings, settings_files
from market.kit.mail_settings import Mail
from market.kit.money import parse_credits
from market.kit.settings_files import SettingsError as SettingsError
from market.kit.vocabulary import CONFIRMED, OPEN_TO_ALL, REGISTRATIONS

ROOT = Path(__file__).resolve().parents[3]
API = "api"  # the port of Airflow's api-server, with the market's routes
METRICS_TOKEN = "metrics_token"  # noqa: S105 - the name of the secret that opens /market/metrics


@dataclass(frozen=True)
class Paths:
    """Where things lie. Installs are shared by all stacks of a clone, state belongs to one stack."""

    root: Path
    installs: Path
    state: Path

    @property
    def origin(self) -> Path:
        """Where a release has its environments from: its clone's installs; in a clone the installs."""
        link = self.installs / "origin"
        return _linked(link) if link.is_symlink() else self.installs

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
        """What a machine needs to run jobs: pyspark, Python libraries, the compiled archives.

        It is the folder that the link names (distributedmarket.runtime.places).
        """
        return _linked(self.installs / "runtime")

    @property
    def hadoop(self) -> Path:
        """Hadoop's servers: `jars/`, and `classes/` with their web pages and the market's own classes."""
        return self.installs / "hadoop"

    @property
    def hadoop_classes(self) -> Path:
        """What stands before Hadoop's jars in the class path of its servers."""
        return self.hadoop / "classes"

    @property
    def hadoop_archive(self) -> Path:
        """Hadoop's jars in one file, for machines that join."""
        return self.installs / "hadoop.zip"

    @property
    def client_package(self) -> Path:
        """The folder with the client as one file, for whoever wants to lend a machine or run jobs."""
        return self.installs / "client-package"

    @property
    def class_list(self) -> Path:
        """The classes that jobs load, for machines that join; its first line names the Java."""
        return self.runtime / "spark.classes"

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
    def krb5_conf(self) -> Path:
        """Where the realm is and who answers for it: for Kerberos's own tools and for Java. No secret."""
        return self.conf / "krb5.conf"

    @property
    def kdc_conf(self) -> Path:
        """The settings of the market's own key distribution centre."""
        return self.conf / "kdc.conf"

    @property
    def kdc(self) -> Path:
        """The database of the market's own key distribution centre."""
        return self.state / "kdc"

    @property
    def ticket_key_public(self) -> Path:
        """What servers check the market's own tickets by."""
        return self.conf / "ticket_key.pub"

    @property
    def keytab(self) -> Path:
        """The keys of the market's own servers in a realm of its own."""
        return self.secrets / "market.keytab"

    @property
    def secrets(self) -> Path:
        """One file for each secret, mode 600."""
        return self.state / "secrets"

    @property
    def tls(self) -> Path:
        """The certificates of the market's own: the API's and that of the authority above it. No secret."""
        return self.state / "tls"

    @property
    def data(self) -> Path:
        """What must survive: databases, HDFS, the ResourceManager's store."""
        return self.state / "data"

    @property
    def ended_applications(self) -> Path:
        """The file in which the ResourceManager sums up what has ended, and forgets; older ones beside it."""
        return self.state / "data" / "ended-applications" / "applications.log"

    @property
    def seal_log(self) -> Path:
        """The seals of all settled intervals, outside the database: see credits/seal_log.py."""
        return self.state / "seals" / "seals.log"

    @property
    def logs(self) -> Path:
        """One file for each service."""
        return self.state / "logs"

    @property
    def submitter_socket(self) -> Path:
        """Where the warm submitter listens; the file is closed to other accounts."""
        return self.run / "submitter.sock"

    @property
    def run(self) -> Path:
        """Sockets, process ids, locks, the ports in use."""
        return self.state / "run"


def _linked(path: Path) -> Path:
    return path.parent / os.readlink(path) if path.is_symlink() else path


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
    refund_bound: str
    transfers_per_day: str = "1000.000000"  # a file of before it has none, nor the next two
    verify_every_s: int = 86_400
    verify_whole_every_s: int = 604_800

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
    folder_mib: int
    folder_files: int
    max_log_mib: int
    max_disk_mib: int
    package_index: str
    environment_mib: int
    environments_mib: int
    environment_timeout_s: int
    result_retention_s: int
    withdraw_after_s: int
    dag_retention_s: int
    run_retention_s: int
    find_every_ms: int = 200  # a file of before it has none
    package_files: str = "https://files.pythonhosted.org"  # the same


@dataclass(frozen=True)
class Files:
    """Section [files]."""

    home_quota_mib: int
    home_quota_names: int
    max_upload_mib: int
    reserved_disk_mib: int
    log_quota_mib: int
    log_quota_names: int
    shared_quota_mib: int
    shared_quota_names: int
    scratch_retention_s: int


@dataclass(frozen=True)
class Accounts:
    """Section [accounts]."""

    token_lifetime_s: int
    login_attempts_per_minute: int
    registrations_per_minute: int
    registration: str = OPEN_TO_ALL  # a file of before it has none
    deletion_days: int = 7


@dataclass(frozen=True)
class Machines:
    """Section [machines]."""

    live_per_user: int
    registrations_per_minute: int
    max_cores: int
    max_memory_mib: int
    min_memory_mib: int
    max_time_period_s: int
    drain_timeout_s: int
    poll_interval_s: int
    node_expiry_s: int
    max_disk_percent: int
    min_free_disk_mib: int
    verify: bool
    verify_after_s: int
    verify_every_s: int
    verify_min_percent: int
    verify_timeout_s: int
    archived_classes: int = 65_536  # a file of before it has none


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
    disk_mib: int


@dataclass(frozen=True)
class Service:
    """Section [service]: account names."""

    account: str
    admin: str


@dataclass(frozen=True)
class Backup:
    """Section [backup]. A file of before it has none."""

    folder: str = ""
    cron: str = ""
    key_file: str = ""
    full_every_s: int = 604_800
    retention_s: int = 1_209_600
    hdfs_files: bool = True


SIMPLE, KERBEROS = MODES = ("simple", "kerberos")
ENCRYPTED = "encrypted"
PROTECTIONS = (*MODES, ENCRYPTED)
AUTO, ON, OFF = CHOICES = ("auto", "on", "off")


@dataclass(frozen=True)
class Security:
    """Section [security]: how Hadoop's servers tell who speaks to them, and what is encrypted on its way.

    A file of before it has none.
    """

    tls: str = AUTO
    tls_certificate: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    tls_name: str = ""
    mode: str = KERBEROS
    wire_encryption: str = AUTO
    realm: str = "MARKET"
    token_renewal_s: int = 86_400
    token_lifetime_s: int = 31_536_000
    # Of a realm that somebody else serves: its centres (host:port, parted by commas) and where its keys lie.
    kdc: str = ""
    keytab: str = ""
    machine_keytabs: str = ""


@dataclass(frozen=True)
class Notifications:
    """Section [notifications]: who is told of what, and within which bounds. A file of before it has none."""

    alerts_to: str = ""
    mails_per_hour: int = 30
    digest_hour: int = 7
    webhooks_per_user: int = 5
    webhook_networks: str = ""
    lease_notice_s: int = 3600
    retention_s: int = 2_592_000


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
    security: Security = Security()
    mail: Mail = Mail()  # noqa: RUF009 - nobody can change it
    notifications: Notifications = Notifications()
    backup: Backup = Backup()

    @property
    def backup_folder(self) -> Path:
        """Where backups go unless another folder is named."""
        return Path(self.backup.folder or self.paths.state / "backups")

    @property
    def backup_key(self) -> Path:
        """The file with the key by which the secrets in backups are encrypted."""
        return Path(self.backup.key_file or self.paths.state / "backup.key")

    @property
    def kerberos(self) -> bool:
        """Whether Hadoop's servers believe keys only, and not whatever name somebody types."""
        return self.security.mode == KERBEROS

    @property
    def own_realm(self) -> bool:
        """Whether the market serves the realm itself."""
        return self.kerberos and not self.security.kdc

    @property
    def keytab(self) -> Path:
        """The keys of the market's own servers."""
        return Path(self.security.keytab) if self.security.kdc else self.paths.keytab

    @property
    def kdcs(self) -> list[str]:
        """Who answers for the realm, as host:port."""
        return self.security.kdc.split(",") if self.security.kdc else [self.address("kdc")]

    @property
    def tls(self) -> bool:
        """Whether the API speaks TLS: unless it is said otherwise, beyond loopback."""
        return self.security.tls == ON or (self.security.tls == AUTO and not self.loopback)

    @property
    def wire_encryption(self) -> bool:
        """Whether Hadoop and Spark encrypt what they say: unless it is said otherwise, beyond loopback."""
        wanted = self.security.wire_encryption
        return self.kerberos and (wanted == ON or (wanted == AUTO and not self.loopback))

    @property
    def protection(self) -> str:
        """How Hadoop's servers are spoken to, of PROTECTIONS: what began in one cannot go on in another."""
        return ENCRYPTED if self.wire_encryption else self.security.mode

    @property
    def loopback(self) -> bool:
        """Whether only this host reaches the services."""
        return _is_loopback(self.bind)

    @property
    def own_certificate(self) -> bool:
        """Whether the API's certificate is the market's own, and none that was given."""
        return not self.security.tls_certificate

    @property
    def tls_certificate(self) -> Path:
        """What the API shows to whoever connects: its certificate, and those above it."""
        return Path(self.security.tls_certificate or self.paths.tls / "api.pem")

    @property
    def tls_key(self) -> Path:
        """The key of the API's certificate."""
        return Path(self.security.tls_key or self.paths.secrets / "api_tls_key")

    @property
    def tls_trust(self) -> Path:
        """What the market's own clients trust, and nothing else: its authority, or the given certificate."""
        if self.own_certificate:
            return self.paths.tls / "ca.pem"
        return Path(self.security.tls_ca or self.security.tls_certificate)

    def port(self, name: str) -> int:
        """Return the port that a service has taken, else the preferred one."""
        recorded = _recorded_ports(self.paths.run / "ports.json")
        try:
            return recorded.get(name, self.preferred_ports[name])
        except KeyError:
            raise SettingsError(f"there is no port for {name}: [ports] lacks it") from None

    def address(self, name: str) -> str:
        """Return host:port of a service."""
        return f"{self.bind}:{self.port(name)}"

    def url(self, name: str) -> str:
        """Return the base address of a service that speaks HTTP, without a closing slash."""
        if name == API and self.tls:
            return f"https://{self.security.tls_name or self.bind}:{self.port(name)}"
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

    Raises SettingsError, naming the file and the setting, for one that is not what it should be.
    """
    root_name = str(root or ROOT)
    chosen = state or os.environ.get("MARKET_STATE_DIR") or f"{root_name}/.market"
    return _load(root_name, os.path.abspath(chosen), os.environ.get(settings_files.VARIABLE, ""))


@functools.cache  # with texts as keys: to make and to compare paths would cost more than all else here
def _load(root_name: str, state_name: str, own_name: str) -> Settings:
    root, state = Path(root_name), Path(state_name)
    own = Path(own_name) if own_name else None
    return of_files(settings_files.read(root, state, own), root, state)


def of_files(files: settings_files.Files, root: Path, state: Path) -> Settings:
    """Return the settings that two files come to. Raises SettingsError."""
    source, raw = files.named, files.merged
    ports = raw["ports"]
    wrong = [name for name, port in ports.items() if type(port) is not int or not 0 < port < 65536]
    if wrong:
        raise SettingsError(f"{source}: [ports] {wrong[0]} must be a number from 1 to 65535")
    settings = Settings(
        paths=Paths(root=root, installs=root / ".market", state=state),
        bind=raw["network"]["bind"],
        preferred_ports=ports,
        service=_section(source, raw, "service", Service),
        credits=_section(source, raw, "credits", Credits),
        types=_types(source, raw),
        jobs=_section(source, raw, "jobs", Jobs),
        files=_section(source, raw, "files", Files),
        accounts=_section(source, raw, "accounts", Accounts),
        machines=_section(source, raw, "machines", Machines),
        recovery=_section(source, raw, "recovery", Recovery),
        pool=_section(source, raw, "pool", Pool),
        security=_section(source, raw, "security", Security),
        mail=_section(source, raw, "mail", Mail),
        notifications=_section(source, raw, "notifications", Notifications),
        backup=_section(source, raw, "backup", Backup),
    )
    if settings.backup.cron and not _CRON.fullmatch(settings.backup.cron):
        raise SettingsError(
            f'{source}: [backup] cron must be empty or five fields of cron, like "30 3 * * *"'
        )
    _check_security(source, settings.security)
    mail_settings.check(source, settings.mail)
    _check_accounts(source, settings)
    _check_notifications(source, settings.notifications)
    _check_credits(source, settings.credits)
    _check_disks(source, settings)
    return settings


def _check_disks(source: Path, settings: Settings) -> None:
    """Refuse limits with which no container could run."""
    wrong = {
        "[jobs] max_log_mib": settings.jobs.max_log_mib < 1 and "must be positive",
        "[jobs] max_disk_mib": settings.jobs.max_disk_mib < 1 and "must be positive",
        "[machines] max_disk_percent": not 1 <= settings.machines.max_disk_percent <= 100
        and "must be from 1 to 100",
    }
    for name, rule in wrong.items():
        if rule:
            raise SettingsError(f"{source}: {name} {rule}")


_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_REALM = re.compile(r"[A-Z0-9][A-Z0-9.-]{0,62}")
_CENTRES = re.compile(r"[A-Za-z0-9.-]+:\d{1,5}(,[A-Za-z0-9.-]+:\d{1,5})*")


def _check_security(source: Path, security: Security) -> None:
    for name in ("tls", "wire_encryption"):
        if getattr(security, name) not in CHOICES:
            raise SettingsError(f"{source}: [security] {name} must be one of {', '.join(CHOICES)}")
    if bool(security.tls_certificate) != bool(security.tls_key):
        raise SettingsError(f"{source}: [security] tls_certificate and tls_key belong together")
    if security.tls_name and not _HOST.fullmatch(security.tls_name):
        raise SettingsError(f"{source}: [security] tls_name must be the name of a host")
    if security.mode not in MODES:
        raise SettingsError(f"{source}: [security] mode must be one of {', '.join(MODES)}")
    if security.wire_encryption == ON and security.mode == SIMPLE:
        raise SettingsError(
            f'{source}: [security] wire_encryption = "on" needs mode = "kerberos", by whose keys it works'
        )
    if not _REALM.fullmatch(security.realm):
        raise SettingsError(f"{source}: [security] realm must be capitals, digits, dots and hyphens")
    given = [security.kdc, security.keytab, security.machine_keytabs]
    if any(given) and not all(given):
        raise SettingsError(f"{source}: [security] kdc, keytab and machine_keytabs belong together")
    if security.kdc and not _CENTRES.fullmatch(security.kdc):
        raise SettingsError(f"{source}: [security] kdc must be host:port, several parted by commas")
    if not 0 < security.token_renewal_s <= security.token_lifetime_s:
        raise SettingsError(
            f"{source}: [security] token_renewal_s must be positive, and at most token_lifetime_s"
        )


_MOST_DELETION_DAYS = 365


def _check_accounts(source: Path, settings: Settings) -> None:
    if not 1 <= settings.accounts.deletion_days <= _MOST_DELETION_DAYS:
        raise SettingsError(f"{source}: [accounts] deletion_days must be from 1 to {_MOST_DELETION_DAYS}")
    mode = settings.accounts.registration
    if mode not in REGISTRATIONS:
        raise SettingsError(f"{source}: [accounts] registration must be one of {', '.join(REGISTRATIONS)}")
    if mode == CONFIRMED and not settings.mail.enabled:
        raise SettingsError(
            f'{source}: [accounts] registration = "{CONFIRMED}" needs [mail] host and sender: '
            "new members confirm their addresses by mail"
        )


def _check_notifications(source: Path, chosen: Notifications) -> None:
    if chosen.alerts_to and not mail_settings.is_address(chosen.alerts_to):
        raise SettingsError(f"{source}: [notifications] alerts_to must be a mail address")
    if chosen.digest_hour > 23:
        raise SettingsError(f"{source}: [notifications] digest_hour must be from 0 to 23")
    try:
        for network in filter(None, chosen.webhook_networks.split(",")):
            ipaddress.ip_network(network)
    except ValueError as error:
        raise SettingsError(f"{source}: [notifications] webhook_networks: {error}") from None


_CRON = re.compile(r"[\d*/,-]+( [\d*/,-]+){4}")


def _check_credits(source: Path, credits: Credits) -> None:
    """Refuse figures that no quote or settlement could work with."""
    micro = {}
    for field in fields(Credits):
        if field.name == "settlement_cron" or field.type == "int":
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
        "verify_whole_every_s": credits.verify_whole_every_s < credits.verify_every_s
        and "must not be less than verify_every_s",
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
    needed = {field.name for field in fields(into) if field.default is MISSING}
    missing = sorted(needed - set(values))
    if unknown or missing:
        what = f"unknown setting {unknown[0]}" if unknown else f"{missing[0]} is missing"
        raise SettingsError(f"{source}: [{name}] {what}")
    for key in values:
        kind = known[key]
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


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _recorded_ports(path: Path) -> dict[str, int]:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
