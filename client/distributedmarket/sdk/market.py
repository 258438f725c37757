"""A market, for one person: jobs, files, machines and money."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from distributedmarket import profiles
from distributedmarket.client import MarketClient, MarketClientError, Trust
from distributedmarket.client.login import Login
from distributedmarket.client.retries import Retries
from distributedmarket.errors import SetupError
from distributedmarket.profiles import Profile
from distributedmarket.sdk import models
from distributedmarket.sdk.defaults import with_defaults
from distributedmarket.sdk.files import Files
from distributedmarket.sdk.job import Job
from distributedmarket.sdk.pages import rows
from distributedmarket.sdk.program.bundle import beside, collect
from distributedmarket.sdk.program.check import check
from distributedmarket.sdk.program.upload import default_root, upload
from distributedmarket.sdk.routes import Routes

if TYPE_CHECKING:
    from typing import Unpack  # from Python 3.11 on

_SOON = Retries(attempts=2)


class NotLoggedInError(MarketClientError):
    """Nobody is logged in, or his login has expired."""


class Market:
    """A market at an address, for whom a token speaks; without an address the one of `market login`.

    `trust` is what the market at the address must show over https.
    Raises NotLoggedInError. Every method raises MarketApiError for a refusal, which holds the market's
    problem document, and UnreachableError when nobody answers. Threads may share it.
    """

    def __init__(
        self,
        url: str = "",
        token: str = "",
        *,
        profile: str = "",
        trust: Trust | None = None,
        client: MarketClient | None = None,
    ) -> None:
        if client is None:
            client = MarketClient(url, token, trust=trust) if url else _of_profile(profile)
        self.client = client
        self.routes = Routes(client)
        self.files = Files(self.routes)
        self._user_id = ""

    @classmethod
    def login(cls, url: str, username: str, password: str, trust: Trust | None = None) -> Market:
        """Log in for this program alone; a token that expires is replaced."""
        return cls(client=MarketClient(url, trust=trust).login(username, password))

    # --- jobs ---------------------------------------------------------------------------------------------

    def submit(self, *, key: str | None = None, **job: Unpack[models.JobRequest]) -> Job:
        """Submit a job; return it. With the `key` of an earlier call that job comes again."""
        made = cast(models.Submitted, self.routes.submit_job(job, key=key))
        return self.job(made["job_id"])

    def quote(self, **job: Unpack[models.JobRequest]) -> models.Quote:
        """Return what a job would cost; nothing is written."""
        return self.routes.submit_job(job, dry_run=True)["quote"]

    def run(
        self,
        program: str | Path,
        arguments: Sequence[str] = (),
        *,
        named: Sequence[str] = (),
        folder: Path | None = None,
        **fields: Any,
    ) -> Job:
        """Submit a program of this host with what goes along, as `market run` does; return the job.

        `named` are files of its folder that it needs beside what its code imports and names, and `fields`
        those of a job. Raises SetupError where the program would fail, before anything is sent.
        """
        found = collect(Path(program), [*named, *beside(fields)], arguments, folder)
        fatal = [f"{one.place}: {one.words}" for one in check(found, fields) if one.fatal]
        if fatal:
            raise SetupError(f"the program would fail: {'; '.join(fatal)}")
        body = {"root_path": default_root(found), "entry_file": found.entry, **fields}
        if arguments:
            body["app_params"] = list(arguments)
        body = with_defaults(self, body)
        upload(self, found, body["root_path"])
        return self.submit(**body)

    def job(self, job_id: str) -> Job:
        """Return a job."""
        return Job(self.routes, self.routes.get_job(job_id))

    def jobs(self, most: int | None = None, project_id: str | None = None) -> Iterator[Job]:
        """Yield one's jobs, newest first; with a project everybody's that it pays, to who manages it."""

        def ask(limit: int, offset: int) -> Mapping[str, Any]:
            return self.routes.list_jobs(project=project_id, limit=limit, offset=offset)

        found = rows(ask, "jobs", most)
        return (Job(self.routes, record) for record in found)

    # --- machines -----------------------------------------------------------------------------------------

    def machines(self, of_all: bool = False) -> Iterator[models.Machine]:
        """Yield one's machines, newest first; with `of_all` those of the market."""
        return rows(
            lambda limit, offset: self.routes.list_machines(
                scope="market" if of_all else "own", limit=limit, offset=offset
            ),
            "machines",
        )

    def capacity(self) -> dict[str, dict[str, Any]]:
        """Return by machine type what there is, what is free, and what it costs.

        Not waited for long: where YARN is away, a refusal (503) comes soon.
        """
        return Routes(self.client.using(retries=_SOON)).metadata()["machine_info"]

    # --- money --------------------------------------------------------------------------------------------

    @property
    def user_id(self) -> str:
        """The id of whom the token speaks for."""
        if not self._user_id:
            self._user_id = self.routes.me()["user_id"]
        return self._user_id

    def credits(self) -> models.Credits:
        """Return what one has earned, spent and holds."""
        return self.routes.credits(self.user_id)

    def statement(self) -> list[models.StatementLine]:
        """Return every posting of one's account, oldest first."""
        return self.routes.statement(self.user_id)["lines"]


def _of_profile(name: str) -> MarketClient:
    profile = profiles.find(name)
    if profile is None:
        raise NotLoggedInError("nobody is logged in: run market login --server https://HOST:PORT")
    login = Login(profile.token, lambda: renewed(profile, name))
    return MarketClient(profile.server, trust=profile.trust, _login=login)


def renewed(profile: Profile, name: str = "") -> str:
    """Return a new token for a profile that knows where its password lies. Raises NotLoggedInError."""
    if not profile.password_file:
        raise NotLoggedInError(f"the login at {profile.server} has expired: run market login")
    try:
        password = Path(profile.password_file).read_text().strip()
    except OSError as error:
        raise NotLoggedInError(
            f"the login has expired, and {profile.password_file} cannot be read: {error.strerror}"
        ) from None
    return log_in(
        profile.server, profile.username, password, name, profile.password_file, profile.trust
    ).token


def log_in(
    server: str,
    username: str,
    password: str,
    name: str = "",
    password_file: str = "",
    trust: Trust | None = None,
) -> Profile:
    """Log in, and remember it as a profile; return that."""
    token = Routes(MarketClient(server, trust=trust)).login({"username": username, "password": password})
    return remember(server, username, token, name, password_file, trust)


def remember(
    server: str,
    username: str,
    token: models.Token,
    name: str = "",
    password_file: str = "",
    trust: Trust | None = None,
) -> Profile:
    """Store a token as a profile, with what the market is known by; return that."""
    trust = trust or Trust()
    ends = round((time.time() + token["expires_in"]) * 1000)
    made = Profile(
        *(server, username, token["user_id"], token["access_token"], ends, password_file),
        *(trust.pin, trust.ca, trust.plain),
    )
    profiles.save(made, name)
    return made
