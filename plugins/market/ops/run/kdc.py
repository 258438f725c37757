"""The market's own key distribution centre as a process of the stack: what it starts from, how it runs."""

from __future__ import annotations

import secrets
import socket

from distributedmarket.errors import SetupError
from market.cluster.kdc import Kdc, program
from market.hadoop import kerberos
from market.kit.settings import Settings
from market.ops.database.postgres import unprivileged
from market.ops.run.secrets import replace

_TIMEOUT_S = 5


def prepare(settings: Settings) -> None:
    """Make the realm's database, the principals of the market's servers and their keytab, where they lack.

    Raises SetupError where MIT's programs are missing, or the keys of a realm that others serve;
    ClusterRefused when the programs fail.
    """
    if not settings.own_realm:
        if not settings.keytab.is_file():
            raise SetupError(f"[security] keytab: there is no file {settings.keytab}")
        return
    if program("kadmin.local") is None or program("krb5kdc") is None:
        raise SetupError("krb5kdc and kadmin.local are not installed: run ./market setup")
    paths = settings.paths
    realm = Kdc(paths.krb5_conf, paths.kdc_conf)
    paths.kdc.mkdir(mode=0o700, exist_ok=True)
    if not (paths.kdc / "principal").exists():
        realm.create(secrets.token_hex(32))  # nobody needs the word again: the key made of it is kept
    names = [kerberos.principal(settings, role) for role in kerberos.ROLES]
    missing = set(names) - realm.principals()
    for name in names:
        realm.ensure(name)
    if missing or not paths.keytab.exists():
        replace(paths.keytab, realm.keytab(names))


def command(settings: Settings) -> list[str]:
    """Return the command that serves the realm in the foreground."""
    found = program("krb5kdc") or "krb5kdc"
    return [*unprivileged(), found, "-n", "-P", str(settings.paths.run / "kdc.pid")]


def environment(settings: Settings) -> dict[str, str]:
    """Return its variables: by them it finds its own files."""
    return Kdc(settings.paths.krb5_conf, settings.paths.kdc_conf).environment()


def check(settings: Settings) -> str:
    """Return what is wrong with it, in words; raise OSError if nobody listens."""
    socket.create_connection((settings.bind, settings.port("kdc")), timeout=_TIMEOUT_S).close()
    return ""
