"""Who may see what in Airflow: members read the DAGs, runs and logs of their own jobs, and nothing else.

The name must not contain Flask-AppBuilder's own: Airflow looks for that text in the setting, and would then
write nine permission rows for each DAG at every parsing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from airflow.api_fastapi.app import get_cookie_path
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.utils.session import NEW_SESSION, provide_session
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from jwt import InvalidTokenError
from starlette.concurrency import run_in_threadpool

from market.airflow import tokens
from market.kit import database
from market.kit.errors import MarketError, NotLoggedInError

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
    from airflow.providers.fab.auth_manager.models import User
    from sqlalchemy.orm import Session

_JOB_DAG = re.compile(r"job_([0-9a-f]{32})")

# Read by the pages on a DAG and its runs. Not among them: the audit log, whose entries without a DAG are
# everybody's, and what a person could act on.
_READABLE = frozenset(
    {
        DagAccessEntity.CODE,
        DagAccessEntity.DEPENDENCIES,
        DagAccessEntity.HITL_DETAIL,
        DagAccessEntity.RUN,
        DagAccessEntity.TASK,
        DagAccessEntity.TASK_INSTANCE,
        DagAccessEntity.TASK_LOGS,
        DagAccessEntity.VERSION,
        DagAccessEntity.WARNING,
        DagAccessEntity.XCOM,
    }
)


class MarketAuthManager(FabAuthManager):
    """Flask-AppBuilder's roles, and beside them what belongs to a member because he submitted it."""

    def get_fastapi_app(self) -> FastAPI | None:
        """Return Airflow's pages and routes below /auth, which answer as the market does, and end tokens."""
        app: FastAPI | None = super().get_fastapi_app()
        if app is not None:
            app.add_exception_handler(MarketError, _told)
            app.middleware("http")(_end_token_at_logout)
        return app

    def serialize_user(self, user: User) -> dict[str, Any]:
        """Return the claims of a token of a login."""
        return {**super().serialize_user(user), **tokens.claims(user)}

    def deserialize_user(self, token: dict[str, Any]) -> User:  # type: ignore[override]
        """Return the active login that a token's claims speak for. Raises ValueError."""
        user: User = super().deserialize_user(token)
        tokens.check(token, user)
        return user

    async def get_user_from_token(self, token: str) -> User:
        """Return the active login that a token speaks for at Airflow's routes. Raises InvalidTokenError."""
        user = cast("User", await super().get_user_from_token(token))
        claims = await self._get_token_validator().avalidated_claims(token)
        try:
            await run_in_threadpool(tokens.refuse_suspended, claims, user)
        except NotLoggedInError as error:
            raise InvalidTokenError(error.detail) from None
        return user

    def user_with_id(self, login_id: int) -> User:
        """Return the active login with this id, whatever its password. Raises ValueError."""
        return super().deserialize_user({"sub": str(login_id)})

    def is_authorized_dag(
        self,
        *,
        method: ResourceMethod,
        user: User,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """Allow what the roles allow; beside that, reading one's own job's DAG, and lists of one's own."""
        if super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details):
            return True
        if method != "GET" or (access_entity is not None and access_entity not in _READABLE):
            return False
        if details is None or not details.id:
            # A list: Airflow asks get_authorized_dag_ids for the rows.
            return _is_member(user)
        return _owns(user, details.id)

    @provide_session
    def get_authorized_dag_ids(
        self, *, user: User, method: ResourceMethod = "GET", session: Session = NEW_SESSION
    ) -> set[str]:
        """Return the DAGs that the roles allow, and for reading the member's own."""
        allowed: set[str] = super().get_authorized_dag_ids(user=user, method=method, session=session)
        return allowed | _own_dags(user) if method == "GET" else allowed

    # Flask-AppBuilder's manager answers these with everything there is, whoever asks.

    @provide_session
    def get_authorized_assets(
        self, *, user: User, method: ResourceMethod = "GET", session: Session = NEW_SESSION
    ) -> set[int]:
        """Return all assets to those who may see assets, else none."""
        allowed = self.is_authorized_asset(method=method, user=user)
        return super().get_authorized_assets(user=user, method=method, session=session) if allowed else set()

    @provide_session
    def get_authorized_connections(
        self, *, user: User, method: ResourceMethod = "GET", session: Session = NEW_SESSION
    ) -> set[str]:
        """Return all connections to those who may see connections, else none."""
        allowed = self.is_authorized_connection(method=method, user=user)
        everything = super().get_authorized_connections
        return everything(user=user, method=method, session=session) if allowed else set()

    @provide_session
    def get_authorized_pools(
        self, *, user: User, method: ResourceMethod = "GET", session: Session = NEW_SESSION
    ) -> set[str]:
        """Return all pools to those who may see pools, else none."""
        allowed = self.is_authorized_pool(method=method, user=user)
        return super().get_authorized_pools(user=user, method=method, session=session) if allowed else set()

    @provide_session
    def get_authorized_variables(
        self, *, user: User, method: ResourceMethod = "GET", session: Session = NEW_SESSION
    ) -> set[str]:
        """Return all variables to those who may see variables, else none."""
        allowed = self.is_authorized_variable(method=method, user=user)
        everything = super().get_authorized_variables
        return everything(user=user, method=method, session=session) if allowed else set()


def _told(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, MarketError)
    media_type = "application/problem+json"
    return JSONResponse(error.document, error.status, dict(error.headers), media_type)


async def _end_token_at_logout(request: Request, call_next: Any) -> Any:
    """Revoke the token of whoever logs out: the pages only take the cookie from the browser.

    He goes to the first page, which says where to log in again; Airflow's form says nothing.
    """
    leaves = request.url.path.rstrip("/").endswith("/logout")
    token = request.cookies.get(tokens.COOKIE)
    if token and leaves:
        await run_in_threadpool(tokens.revoke, token)
    answer = await call_next(request)
    if leaves and "location" in answer.headers:
        answer.headers["location"] = get_cookie_path()
    return answer


def _is_member(user: Any) -> bool:
    return _holds(user, "SELECT EXISTS (SELECT FROM member WHERE fab_user_id = %s)")


def _owns(user: Any, dag_id: str) -> bool:
    match = _JOB_DAG.fullmatch(dag_id)
    query = (
        "SELECT EXISTS (SELECT FROM job JOIN member USING (user_id) WHERE fab_user_id = %s AND job_id = %s)"
    )
    return match is not None and _holds(user, query, match.group(1))


def _holds(user: Any, query: str, *arguments: object) -> bool:
    if not _identity(user):
        return False
    with database.transaction() as cursor:
        cursor.execute(query, [user.id, *arguments])
        return bool(cursor.fetchone()[0])


def _own_dags(user: Any) -> set[str]:
    """Return the DAGs of a member's jobs that Airflow still has: he may have had many."""
    if not _identity(user):
        return set()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT 'job_' || job_id AS dag_id FROM job"
            " WHERE user_id = (SELECT user_id FROM member WHERE fab_user_id = %s) AND dag_deleted_ms IS NULL",
            [user.id],
        )
        return {row.dag_id for row in cursor.fetchall()}


def _identity(user: Any) -> bool:
    """Tell whether this is a stored login: an anonymous user has no id."""
    return isinstance(getattr(user, "id", None), int)
