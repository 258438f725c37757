"""How the market's own processes prove to Airflow's interface that they are: by a token of their own making.

No password is used, so nobody who guesses at the administrator's keeps the market's own work waiting. Small:
the triggerer and tasks import it.
"""

from __future__ import annotations

from airflow.api_fastapi.auth.tokens import JWTGenerator
from airflow.configuration import conf

from market.kit import settings

CLAIM = "market_service"  # nobody else can make it: it takes Airflow's signing secret
_LIFETIME_S = 300


def of(login_id: int) -> str:
    """Return a token that speaks for a login for some minutes."""
    audience = conf.get("api_auth", "jwt_audience", fallback="apache-airflow")
    # Not as Airflow's configuration has it: that is in the environment of the services alone.
    secret = settings.load().secret("jwt_secret")
    signer = JWTGenerator(secret_key=secret, valid_for=_LIFETIME_S, audience=audience)
    return str(signer.generate({"sub": str(login_id), CLAIM: True}))
