"""New values for the market's secrets, while it runs: each in its own way, and each noted in the audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from secrets import token_hex

from market.kit import audit, database
from market.kit.settings import METRICS_TOKEN, Settings, SettingsError
from market.ops.database import migrate, postgres
from market.ops.run import certificate, secrets
from market.people import secrets as member_secrets

Rotation = Callable[[Settings], str]  # returns what whoever asked should know


def rotate(settings: Settings, name: str) -> str:
    """Give a secret a new value; return what is to be known of it. Raises SettingsError."""
    if name not in ROTATIONS:
        known = ", ".join(ROTATIONS)
        raise SettingsError(f"{name} cannot be rotated while the market runs; what can: {known}")
    told = ROTATIONS[name](settings)
    with database.transaction() as cursor:
        audit.write(cursor, audit.ROTATION, settings.service.account, name, told)
    return told


def _member_secrets_key(settings: Settings) -> str:
    file = settings.paths.secrets / member_secrets.KEY
    resealed = member_secrets.reseal(partial(secrets.replace, file))
    return f"{resealed} secrets of members are encrypted with the new key"


def _api_tls_key(settings: Settings) -> str:
    if not settings.tls or not settings.own_certificate:
        raise SettingsError("the API speaks no TLS with a key of the market's own: there is none to rotate")
    certificate.renew_key(settings)
    return "it is shown at once; lenders and clients need its fingerprint, which ./market up prints"


def _metrics_token(settings: Settings) -> str:
    secrets.replace(settings.paths.secrets / METRICS_TOKEN, token_hex(_BYTES).encode())
    return "whoever scrapes /market/metrics needs the new one at once: give it to Prometheus"


def _password(role: str, settings: Settings) -> str:
    """Give a role of PostgreSQL another password; connections that are open stay so.

    A process reads the password whenever it connects. The file comes first, over a connection that is there
    already: whatever ends in between, the next `./market up` gives the role what is in the file.
    """
    file = settings.paths.secrets / f"db_{role}"
    fresh = token_hex(_BYTES)
    with migrate.superuser(settings.database_url(postgres.SUPERUSER, "postgres")) as cursor:
        secrets.replace(file, fresh.encode())
        migrate.set_password(cursor, role, fresh)
    return "new connections use it at once; those that are open stay"


_BYTES = 32
# Not Airflow's own role: its processes have the password from their start.
_ROLES = (migrate.APPLICATION, migrate.OWNER, postgres.SUPERUSER)

ROTATIONS: Mapping[str, Rotation] = {
    member_secrets.KEY: _member_secrets_key,
    "api_tls_key": _api_tls_key,
    METRICS_TOKEN: _metrics_token,
    **{f"db_{role}": partial(_password, role) for role in _ROLES},
}
