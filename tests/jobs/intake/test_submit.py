"""What a submission writes: a job with its hold and the kept answer together, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from ledger_world import World
from starlette.responses import JSONResponse

from market.credits import ledger
from market.jobs import store
from market.jobs.intake import request
from market.jobs.intake.cancel import cancel, hide
from market.jobs.intake.extend import extend
from market.jobs.intake.quote import quote
from market.jobs.intake.record import ANSWERED
from market.jobs.intake.retry import retry
from market.jobs.intake.submit import submit
from market.jobs.life import budget
from market.jobs.spec import wires
from market.kit import database, settings
from market.kit.errors import (
    BadInputError,
    ConflictError,
    NotEnoughCreditError,
    NotFoundError,
    OverLimitError,
    RoleMissingError,
)
from market.kit.money import format_credits, parse_credits
from market.kit.paging import Page
from market.people.member import Member
from market.web.api import idempotency
from market.web.schemas.jobs import JobDetailSchema

pytestmark = pytest.mark.database

BODY = {"root_path": "digits", "core_num": 2, "machine_type": "cpu", "max_duration": 60}
SWEEP = {"grid": {"alpha": [1, 2, 3, 4]}, "app_params": ["{alpha}"]}


@pytest.fixture
def member(world: World, lone_program: None) -> Member:
    """Somebody whose program is there."""
    user_id = world.member()
    return Member(user_id, world.one("SELECT username FROM member WHERE user_id = %s", user_id), "")


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that changes settings of jobs."""

    def change(**limits: int) -> None:
        loaded = settings.load()
        changed = replace(loaded, jobs=replace(loaded.jobs, **limits))
        monkeypatch.setattr(settings, "load", lambda: changed)

    return change


def everything(world: World) -> dict[str, str]:
    """Return a digest of each table of the market."""
    tables = world.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'market' ORDER BY 1")
    return {
        table: world.one(f"SELECT md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM {table} t")
        for (table,) in tables
    }


def test_a_dry_run_writes_nothing_and_says_what_a_submission_holds(world: World, member: Member) -> None:
    before = everything(world)
    dry = quote(member, BODY)["quote"]
    assert everything(world) == before
    answer = submit(member, BODY)
    assert answer["quote"] == dry
    assert everything(world) != before


def test_a_job_that_cannot_be_paid_leaves_nothing(world: World, member: Member) -> None:
    before = everything(world)
    with pytest.raises(NotEnoughCreditError):
        submit(member, BODY | {"max_duration": 30 * 24 * 3600})
    assert everything(world) == before


def test_who_waits_for_an_administrator_submits_nothing(world: World, member: Member) -> None:
    ended = submit(member, BODY)["job_id"]
    cancel(member, ended)
    world.sql("INSERT INTO approval (user_id, state, asked_ms) VALUES (%s, 'waiting', 1)", member.user_id)
    before = everything(world)
    for ask in (lambda: submit(member, BODY), lambda: retry(member, ended, {})):
        with pytest.raises(RoleMissingError, match="waits for an administrator"):
            ask()
    assert everything(world) == before
    world.sql("UPDATE approval SET state = 'approved', decided_ms = 2, decided_by = 'admin'")
    submit(member, BODY)


def test_open_jobs_are_limited_and_waiting_helps(
    world: World, member: Member, limit: Callable[..., None]
) -> None:
    limit(open_jobs_per_user=2)
    first = submit(member, BODY)["job_id"]
    submit(member, BODY)
    for ask in (submit, quote):
        with pytest.raises(OverLimitError, match="2 open jobs") as caught:
            ask(member, BODY)
        assert caught.value.headers == {"Retry-After": "30"}
    cancel(member, first)
    submit(member, BODY)


def test_cores_of_open_jobs_are_limited(world: World, member: Member, limit: Callable[..., None]) -> None:
    limit(open_cores_per_user=5)
    submit(member, BODY)
    with pytest.raises(OverLimitError, match="ask for 2 cores and may ask for 5") as caught:
        submit(member, BODY | SWEEP | {"max_parallel": 2})
    assert caught.value.headers == {"Retry-After": "30"}
    submit(member, BODY | {"core_num": 3})


@pytest.mark.parametrize(
    ("asked", "named"),
    [({"core_num": 6}, "core_num"), (SWEEP | {"max_parallel": 3}, "max_parallel or core_num")],
)
def test_what_alone_is_over_the_limit_is_not_told_to_wait(
    world: World, member: Member, limit: Callable[..., None], asked: dict[str, Any], named: str
) -> None:
    limit(open_cores_per_user=5)
    with pytest.raises(OverLimitError, match=f"6 cores at once and you may have 5. Lower {named}") as caught:
        submit(member, BODY | asked)
    assert caught.value.headers == {}


def test_a_hold_cannot_grow_up_to_less_than_it_is(world: World, member: Member) -> None:
    hold = quote(member, BODY)["quote"]["hold"]
    below = format_credits(parse_credits(hold) - 1)
    for ask in (submit, quote):
        with pytest.raises(BadInputError, match=f"auto_extend_to: may not be less than the {hold}"):
            ask(member, BODY | {"auto_extend_to": below})
        ask(member, BODY | {"auto_extend_to": hold})


def test_what_grew_by_itself_is_run_again_at_any_rate(world: World, member: Member) -> None:
    most = quote(member, BODY)["quote"]["hold"]
    job_id = submit(member, BODY | {"auto_extend_to": most})["job_id"]
    cancel(member, job_id)
    world.sql(
        "UPDATE job SET spec = jsonb_set(spec::jsonb, '{auto_extend_to}', '\"0.000001\"')::text::json"
        " WHERE job_id = %s",
        job_id,
    )  # as if the rate had risen since
    assert retry(member, job_id, {})["quote"]["hold"] == most


def test_memory_outside_the_heap_is_quoted(world: World, member: Member) -> None:
    conf = {"spark.memory.offHeap.enabled": True, "spark.memory.offHeap.size": "2g"}
    plain, more = (
        float(quote(member, body)["quote"]["hold"]) for body in (BODY, BODY | {"spark_conf": conf})
    )
    assert more == pytest.approx(plain + 2 * 2 * 0.004 * 60 / 3600, abs=2e-6)  # 2 executors, 2 GiB, a minute
    spec, _ = request.read(member, BODY | {"spark_conf": conf})
    assert spec.containers == [(1, 1024), (1, 3072), (1, 3072)]
    off = conf | {"spark.memory.offHeap.enabled": False}
    assert float(quote(member, BODY | {"spark_conf": off})["quote"]["hold"]) == plain


def test_the_answer_to_a_key_is_kept_with_the_job_or_not_at_all(world: World, member: Member) -> None:
    """A server that dies between the job's commit and the request's end has left the answer to a retry."""
    identity = idempotency.RequestIdentity(member.user_id, "POST", "/market/api/v1/jobs", "key", "digest")

    def keep(cursor: database.Cursor, answer: Mapping[str, Any]) -> None:
        idempotency.store(cursor, identity, JSONResponse(dict(answer), 201))

    submitted = submit(member, BODY, keep)
    again = idempotency._claim(identity)
    assert isinstance(again, idempotency.Response)
    assert (again.status_code, submitted["job_id"].encode() in bytes(again.body)) == (201, True)

    def die(cursor: database.Cursor, answer: Mapping[str, Any]) -> None:
        keep(cursor, answer)
        raise SystemExit

    identity = replace(identity, key="another")
    before = everything(world)
    with pytest.raises(SystemExit):
        submit(member, BODY, die)
    assert everything(world) == before


def test_an_extension_is_no_less_than_what_is_held(world: World, member: Member) -> None:
    answer = submit(member, BODY | {"max_duration": 3600})
    job_id, held = answer["job_id"], answer["quote"]["hold"]
    with pytest.raises(BadInputError, match="max_credits") as caught:
        extend(member, job_id, {"max_credits": "0.000001"})
    assert held in str(caught.value.errors)
    assert extend(member, job_id, {"max_credits": held})["hold"] == held


def test_an_extension_after_a_refund_is_of_what_the_job_may_cost(world: World, member: Member) -> None:
    """A lost attempt's refund has raised the hold: it is not taken from what the owner adds."""
    job_id = submit(member, BODY | {"max_duration": 3600, "max_credits": "0.500000"})["job_id"]
    world.sql("SELECT extend_hold(%s, 700000, %s)", job_id, f"refund:{job_id}:1")
    assert extend(member, job_id, {"max_credits": "0.600000"})["hold"] == "0.800000"
    with database.transaction() as cursor:
        hold = ledger.hold_of(cursor, job_id)
    assert hold is not None
    spec = replace(store.visible_job(member, job_id).spec, auto_extend_to="0.650000")
    assert budget._next_amount(spec, hold) == 850_000


def test_only_ended_jobs_are_hidden_and_only_by_their_owner(world: World, member: Member) -> None:
    job_id = submit(member, BODY)["job_id"]
    with pytest.raises(ConflictError):
        hide(member, job_id)
    cancel(member, job_id)
    with pytest.raises(ConflictError):
        extend(member, job_id, {"max_duration": 3600})
    with pytest.raises(NotFoundError):
        hide(Member(world.member(), "other", ""), job_id)
    hide(member, job_id)
    assert store.list_jobs(member, Page()).total == 0
    assert store.visible_job(member, job_id).status == "cancelled"


def test_a_list_is_ordered_by_any_field_that_it_names(world: World, member: Member) -> None:
    sizes = {"a": (3, 60), "b": (1, 120), "c": (2, 30)}
    jobs = {}
    for name, (cores, seconds) in sizes.items():
        body = BODY | {"job_name": name, "core_num": cores, "max_duration": seconds}
        jobs[name] = submit(member, body)["job_id"]
    world.sql("UPDATE job SET started_ms = now_ms() - 60000 WHERE job_name = 'a'")
    ended = "status = 'succeeded', started_ms = 1000, ended_ms = 2000"
    world.sql(f"UPDATE job SET {ended} WHERE job_name = 'b'")

    def names(field: str, descending: bool = True) -> str:
        found = store.list_jobs(member, Page(order_by=field, descending=descending))
        return "".join(job.job_name for job in found.rows)

    assert names("core_num") == "acb"
    assert names("job_name", descending=False) == "abc"
    assert names("hold") == "abc"
    assert names("duration") == "abc", "what has not started is last"
    assert {"".join(sorted(names(field))) for field in store.ORDER_BY} == {"abc"}


def test_a_note_is_kept_with_its_job(member: Member) -> None:
    note = "seventh try\nwith more trees"
    job_id = submit(member, BODY | {"job_note": note})["job_id"]
    assert store.to_wire(store.visible_job(member, job_id))["job_note"] == note
    assert store.to_wire(store.visible_job(member, submit(member, BODY)["job_id"]))["job_note"] is None


def test_a_job_s_own_record_is_a_request_for_the_same_job(world: World, member: Member) -> None:
    asked = BODY | {"job_note": "again", "app_params": ["two\nlines", ""], "max_credits": "1.5"}
    job = store.visible_job(member, submit(member, asked)["job_id"])
    answered = JobDetailSchema().dump({**store.to_wire(job), "waiting": None, "used": None})
    assert set(answered) - set(wires()) - {"job_name"} == ANSWERED
    again = store.visible_job(member, submit(member, answered)["job_id"])
    assert (again.spec, again.job_name) == (job.spec, job.job_name)
    assert again.job_id != job.job_id


def test_what_only_a_record_has_is_refused_without_its_id(member: Member) -> None:
    with pytest.raises(BadInputError) as caught:
        submit(member, BODY | {"hold": "0.000001"})
    assert set(caught.value.errors) == {"hold"}
