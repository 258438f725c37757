"""What is away for a moment is said so, with when to ask again; it is no fault of anybody's."""

import psycopg2
import pytest
import sqlalchemy.exc
from fastapi import FastAPI
from fastapi.testclient import TestClient

from market.kit.errors import BusyError, UnavailableError
from market.web.api import problems

RESTARTING = psycopg2.OperationalError("FATAL: the database system is starting up")


@pytest.mark.parametrize(
    ("error", "again_after"),
    [
        (RESTARTING, "10"),
        (psycopg2.InterfaceError("connection already closed"), "10"),
        (sqlalchemy.exc.OperationalError("SELECT 1", {}, RESTARTING), "10"),
        (UnavailableError("HDFS does not answer."), "10"),
        (BusyError("Somebody else is at it."), "5"),
    ],
)
def test_a_server_that_restarts_is_a_503_with_when_to_ask_again(error, again_after):
    app = FastAPI()
    problems.register(app)

    @app.get("/asked")
    def asked():
        raise error

    answer = TestClient(app, raise_server_exceptions=False).get("/asked")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, again_after)
    assert answer.headers["Content-Type"] == problems.MEDIA_TYPE
    assert "SELECT" not in answer.text
    assert "FATAL" not in answer.text
