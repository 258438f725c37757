from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import airflow.api_fastapi.core_api
import pytest

from market.airflow import trigger
from market.airflow.trigger import OfferTrigger
from market.kit.errors import UnavailableError


@pytest.mark.parametrize(
    ("offered", "under_way"),
    [({"gpu"}, {"t"}), (set(), set())],
    ids=["its type is offered", "it is not to begin any more"],
)
def test_a_run_waits_for_its_type(
    monkeypatch: pytest.MonkeyPatch, offered: set[str], under_way: set[str]
) -> None:
    looks: list[int] = []

    def look() -> set[str]:
        looks.append(1)
        return under_way if len(looks) > 2 else {"t"}

    monkeypatch.setattr(trigger.watch, "look", look)
    monkeypatch.setattr(trigger.queries, "offered_types", lambda: offered if len(looks) > 1 else {"cpu"})
    monkeypatch.setattr(trigger, "_pause_s", lambda took_s: 0.001)

    async def wait() -> object:
        return await anext(OfferTrigger("t", "gpu").run())

    event = asyncio.run(asyncio.wait_for(wait(), 20))
    assert event.payload == {"tag": "t"}  # type: ignore[attr-defined]
    assert len(looks) >= 2
    assert not trigger._waiting._types


@pytest.mark.parametrize(
    ("took_s", "from_one_to_the_next_s"), [(0.01, 0.4), (0.1, 0.5), (0.3, 1.5), (1.0, 2.0), (1.9, 2.0)]
)
def test_looks_follow_each_other_as_fast_as_they_are_cheap(
    took_s: float, from_one_to_the_next_s: float
) -> None:
    assert took_s + trigger._pause_s(took_s) == pytest.approx(from_one_to_the_next_s)


def test_other_work_gets_its_turn_after_a_look_that_takes_long() -> None:
    assert trigger._pause_s(10.0) > 0


@pytest.mark.parametrize("given_up", [0, 1])
def test_two_triggers_may_wait_for_one_run(monkeypatch: pytest.MonkeyPatch, given_up: int) -> None:
    """As when a task is begun again: the end of one of them leaves the other waiting, and not for ever."""
    under_way = {"a", "b"}
    monkeypatch.setattr(trigger.watch, "look", lambda: set(under_way))

    async def both() -> None:
        waiting = trigger._Waiting()
        two = [asyncio.create_task(waiting.end_of("a")) for _ in range(2)]
        other = asyncio.create_task(waiting.end_of("b"))
        await asyncio.sleep(0)
        two.pop(given_up).cancel()
        late = asyncio.create_task(waiting.end_of("a"))
        await asyncio.sleep(0)
        assert not two[0].done()
        under_way.discard("a")
        await asyncio.wait_for(asyncio.gather(*two, late), timeout=10)
        assert not other.done(), "its run goes on"
        under_way.discard("b")
        await asyncio.wait_for(other, timeout=10)
        assert waiting._ends == {}

    asyncio.run(both())


def test_an_older_look_ends_nobody_who_came_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the process was frozen in between: the run was not under way yet when that look was taken."""

    async def later() -> None:
        waiting = trigger._Waiting()
        begun, go_on = asyncio.Event(), asyncio.Event()
        under_way: set[str] = set()

        async def look(_: Any) -> set[str]:
            known = set(under_way)
            begun.set()
            await go_on.wait()
            return known

        monkeypatch.setattr(trigger.asyncio, "to_thread", look)
        first = asyncio.create_task(waiting.end_of("a"))
        await begun.wait()
        under_way.add("b")
        second = asyncio.create_task(waiting.end_of("b"))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait_for(first, timeout=10)
        assert not second.done()
        under_way.clear()
        await asyncio.wait_for(second, timeout=10)

    asyncio.run(later())


class Airflow:
    """Says what state a task is in, as Airflow's REST interface does."""

    def __init__(self, *states: str | Exception | None) -> None:
        self.states = list(states)

    def __enter__(self) -> Airflow:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def state(self, *task: object) -> str | None:
        assert task == ("job_1", "run", "spark", -1)
        said = self.states.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


@pytest.mark.parametrize(
    ("states", "stops"),
    [
        (["failed"], True),
        (["success"], True),
        ([None], True),  # cleared
        ([UnavailableError("away"), "failed"], True),
        (["deferred"], False),  # another triggerer waits for it now
        ([UnavailableError("away"), "deferred"], False),
    ],
)
def test_only_an_administrator_s_act_stops_a_run(
    monkeypatch: pytest.MonkeyPatch, states: list[Any], stops: bool
) -> None:
    airflow = Airflow(*states)
    stopped: list[str] = []
    monkeypatch.setattr(trigger, "AirflowRest", lambda: airflow)
    monkeypatch.setattr(trigger, "_stop", stopped.append)
    task = SimpleNamespace(dag_id="job_1", run_id="run", task_id="spark", map_index=-1)
    waits = trigger.JobTrigger("a")
    waits.task_instance = task  # type: ignore[assignment]
    asyncio.run(waits.on_kill())
    assert stopped == (["a"] if stops else [])
    assert not airflow.states


def test_airflow_still_answers_where_a_task_s_state_is_asked_for() -> None:
    document = Path(airflow.api_fastapi.core_api.__file__).parent / "openapi/v2-rest-api-generated.yaml"
    place = "  /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}"
    lines = document.read_text().splitlines()
    assert f"{place}:" in lines
    assert f"{place}/{{map_index}}:" in lines
