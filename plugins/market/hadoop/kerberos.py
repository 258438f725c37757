"""The market's realm: who has a key in it, and the files by which servers and tools find it.

No principal holds a host name, so nothing depends on how an address is resolved. Members need no key: the
submitter acts for them, and their jobs hold delegation tokens.
"""

from __future__ import annotations

from market.kit.settings import Settings

NAMENODE, DATANODE, RESOURCEMANAGER = "namenode", "datanode", "resourcemanager"
JOBHISTORY, HISTORY, SUBMITTER = "jobhistory", "history", "submitter"
ROLES = (NAMENODE, DATANODE, RESOURCEMANAGER, JOBHISTORY, HISTORY, SUBMITTER)
MACHINES = "nm"  # the short name of every machine: what it may do is the same for all
_ENCRYPTION = "aes256-cts-hmac-sha1-96"  # the strongest that Java 17 and MIT's tools have in common


def principal(settings: Settings, role: str) -> str:
    """Return the principal of one of the market's own servers; its short name is the service account."""
    return f"{settings.service.account}/{role}@{settings.security.realm}"


def machine(settings: Settings, address: str) -> str:
    """Return the principal of the machine that is registered with an address."""
    return f"{MACHINES}/{address}@{settings.security.realm}"


def java_options(settings: Settings) -> list[str]:
    """Return what a Java needs to be told: that of the system's /etc/krb5.conf may be another realm."""
    return [f"-Djava.security.krb5.conf={settings.paths.krb5_conf}"] if settings.kerberos else []


def told(settings: Settings) -> str:
    """Return how servers know who speaks to them, for people."""
    if settings.kerberos:
        return f"asks for keys (Kerberos, realm {settings.security.realm})"
    return 'believes any name that is typed ([security] mode = "simple")'


def login(settings: Settings, role: str) -> dict[str, str]:
    """Return the variables by which Hadoop's own programs act as one of the market's servers."""
    if not settings.kerberos:
        return {"HADOOP_USER_NAME": settings.service.account}
    return {
        # Read by Hadoop's UserGroupInformation; with them it needs no cache of tickets.
        "KRB5PRINCIPAL": principal(settings, role),
        "KRB5KEYTAB": str(settings.keytab),
        "JDK_JAVA_OPTIONS": " ".join(java_options(settings)),
    }


def write(settings: Settings) -> None:
    """Write `conf/krb5.conf`, and `conf/kdc.conf` for a realm of the market's own."""
    settings.paths.krb5_conf.write_text(krb5_conf(settings))
    if settings.own_realm:
        settings.paths.kdc_conf.write_text(kdc_conf(settings))


def krb5_conf(settings: Settings) -> str:
    """Return the file that says where the realm is; machines are given the same one."""
    realm = settings.security.realm
    centres = "\n".join(f"  kdc = {address}" for address in settings.kdcs)
    return f"""\
[libdefaults]
 default_realm = {realm}
 dns_lookup_realm = false
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 # Only TCP is served; Java would ask by UDP first, and wait.
 udp_preference_limit = 1
 permitted_enctypes = {_ENCRYPTION}
[realms]
 {realm} = {{
{centres}
 }}
"""


def kdc_conf(settings: Settings) -> str:
    """Return the settings of the market's own key distribution centre."""
    paths = settings.paths
    return f"""\
[kdcdefaults]
 kdc_listen = ""
 kdc_tcp_listen = {settings.address("kdc")}
[realms]
 {settings.security.realm} = {{
  database_name = {paths.kdc / "principal"}
  key_stash_file = {paths.secrets / "kdc_master"}
  supported_enctypes = {_ENCRYPTION}:normal
  master_key_type = {_ENCRYPTION}
  # Without it anybody is given something to guess a key by.
  default_principal_flags = +preauth
  max_life = 24h
  max_renewable_life = 7d
 }}
[dbmodules]
 {settings.security.realm} = {{
  db_library = db2
  database_name = {paths.kdc / "principal"}
  # Nothing is written for a login, so the server only reads.
  disable_last_success = true
  disable_lockout = true
 }}
[logging]
 kdc = STDERR
"""
