"""The arithmetic of a better size: what it follows from, and where nothing is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from market.credits.tariff import Factors
from market.jobs.output import advice
from market.jobs.spec import JobSpec
from market.kit.money import parse_credits

pytestmark = pytest.mark.unit

FACTORS = Factors(1_000_000, 1_000_000, 4_000)
SPEC = JobSpec(
    root_path="digits",
    entry_file="main.py",
    machine_type="cpu",
    core_num=4,
    executor_cores=1,
    driver_memory=512,
    executor_memory=2048,
    max_duration=3600,
    max_wait=3600,
)
# A driver for 100 s and four executors for 90 s, in which four tasks ran one after the other.
USED: dict[str, Any] = {
    "driver": {"not_measured": 0, "memory_mib": 1024, "peak_memory_mib": 700, "ms": [100_000]},
    "executor": {
        "not_measured": 0,
        "held_core_s": 360,
        "memory_mib": 2560,
        "peak_memory_mib": 600,
        "ms": [90_000] * 4,
    },
    "work": {"busy_core_s": 40.0, "wall_ms": 40_000, "on_fewer_ms": {"1": 40_000, "2": 40_000, "3": 40_000}},
}
PAID = 128_000  # (100 s + 4 x 90 s) of a core, and some memory


def of(
    spec: JobSpec = SPEC, paid: int = PAID, reason_code: str | None = None, reason: str = "", **changed: Any
) -> dict[str, Any] | None:
    return advice.of(spec, reason_code, reason, USED | changed, FACTORS, paid)


def test_cores_that_had_nothing_to_do_are_saved_and_the_sum_is_told() -> None:
    found = of()
    assert found is not None
    assert (found["core_num"], found["executor_cores"], found["driver_memory"]) == (1, 1, 512)
    # 100 s of the driver and 90 s of one executor, which has room for the data of four.
    assert found["executor_memory"] == 2048
    exact = 100 / 3600 * (1 + 0.004 * 1) + 90 / 3600 * (1 + 0.004 * 2.5)
    assert parse_credits(found["cost"]) == pytest.approx(exact * 1_000_000, abs=2)
    assert (found["paid"], found["duration"]) == ("0.128000", 100_000)
    assert found["sentence"] == (
        "With 1 core: about 0.053138 instead of 0.128000 credits, in about 100 s instead of 100 s, at this"
        " job's rate. Tasks filled 40 of the executors' 360 core seconds."
    )


def test_larger_sums_are_told_with_two_places() -> None:
    spent = [3_600_000] * 4
    executor = USED["executor"] | {"ms": spent, "held_core_s": 14400}
    found = of(paid=5_100_000, driver=USED["driver"] | {"ms": [3_600_000]}, executor=executor)
    assert found is not None
    assert found["sentence"].startswith("With 1 core: about 2.01 instead of 5.10 credits")


def test_work_that_ran_side_by_side_keeps_its_cores() -> None:
    """On two cores it would take 40 s more: longer by more than a quarter."""
    work = {"busy_core_s": 160.0, "wall_ms": 40_000, "on_fewer_ms": {"1": 160_000, "2": 80_000, "3": 80_000}}
    assert of(work=work) is None


def test_a_longer_run_is_reckoned_with_for_the_driver_as_well() -> None:
    work = {"busy_core_s": 40.0, "wall_ms": 10_000, "on_fewer_ms": {"1": 40_000, "2": 20_000, "3": 20_000}}
    found = of(work=work)
    assert found is not None
    assert (found["core_num"], found["duration"]) == (2, 110_000)
    exact = 110 / 3600 * (1 + 0.004) + 2 * 100 / 3600 * (1 + 0.004 * (found["executor_memory"] + 512) / 1024)
    assert parse_credits(found["cost"]) == pytest.approx(exact * 1_000_000, abs=3)


def test_memory_keeps_a_reserve_and_room_for_the_other_executors_data() -> None:
    spec = replace(SPEC, core_num=2, executor_memory=16384, driver_memory=8192)
    executor = USED["executor"] | {"ms": [90_000] * 2, "peak_memory_mib": 1000}
    driver = USED["driver"] | {"peak_memory_mib": 3000}
    found = of(spec=spec, paid=90_000, executor=executor, driver=driver)
    assert found is not None
    assert found["core_num"] == 1
    assert found["executor_memory"] == 2048  # of twice as much; in a container of 2560 MiB, a quarter more
    assert found["driver_memory"] == 3264  # in a container of 3776 MiB
    assert "2048 MiB an executor, 3264 MiB for the driver" in found["sentence"]


def test_memory_of_a_container_that_nobody_measured_stays() -> None:
    spec = replace(SPEC, executor_memory=8192)
    found = of(spec=spec, executor=USED["executor"] | {"not_measured": 1})
    assert found is not None
    assert found["executor_memory"] == 8192


def test_an_executor_that_was_handed_back_at_once_makes_no_other_shorter() -> None:
    found, same = of(executor=USED["executor"] | {"ms": [*[90_000] * 4, 800]}), of()
    assert found is not None
    assert same is not None
    assert found["cost"] == same["cost"]


@pytest.mark.parametrize(
    "changed",
    [
        {"paid": 55_000},  # a tenth is not saved
        {"paid": 0},
        {"work": None},  # a sweep, a job that failed, or no event log
        {"driver": None},
        {"executor": None},
        {"spec": replace(SPEC, core_num=1), "executor": USED["executor"] | {"ms": [90_000]}, "paid": 53_300},
    ],
)
def test_nothing_is_said_where_nothing_is_to_be_gained(changed: dict[str, Any]) -> None:
    assert of(**changed) is None


@pytest.mark.parametrize("role", ["driver", "executor"])
def test_a_job_that_ran_out_of_memory_is_told_to_ask_for_more(role: str) -> None:
    found = of(reason_code="out_of_memory", reason=f"ask for more {role}_memory.", work=None)
    assert found is not None
    more = {"driver": (1024, 2048), "executor": (512, 4096)}[role]
    assert (found["driver_memory"], found["executor_memory"]) == more
    assert found["cost"] is found["paid"] is found["duration"] is None
    assert f"Ask for {role}_memory {max(more) if role == 'executor' else 1024} MiB" in found["sentence"]


def test_tasks_are_spread_anew_over_fewer_cores() -> None:
    spans = [(0, 10), (0, 10), (10, 12), (50, 60), (55, 75)]
    assert advice.wall_ms(spans) == 10 + 2 + 25
    assert advice.makespan_ms(spans, 2) == 10 + 2 + 20
    assert advice.makespan_ms(spans, 1) == 20 + 2 + 30
    assert advice.makespan_ms(spans, 9) == 10 + 2 + 20
    assert advice.wall_ms([]) == advice.makespan_ms([], 3) == 0


def test_a_forecast_is_made_for_some_numbers_of_executors() -> None:
    assert [advice.fewer(number) for number in (1, 2, 3, 8)] == [[], [1], [1], [1, 2, 3, 4, 6]]
    assert len(advice.fewer(64)) < 20
