"""The points of a sweep, and how their values reach a program's parameters."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from market.hadoop import paths
from market.jobs import grid
from market.jobs.intake.schemas import JobRequestSchema
from market.jobs.output import metrics
from market.jobs.spec import JobSpec
from market.jobs.submission import spark_submit
from market.kit.errors import BadInputError
from market.kit.wire import loaded

BODY = {
    "root_path": "digits",
    "core_num": 2,
    "machine_type": "cpu",
    "app_params": ["--alpha={alpha}", "--tree", "{tree}", '{"braces": {}}', "{input}", "{output}/x"],
}
FOLDER = paths.job_folder("alice", "ab" * 16)
GRID = {"tree": ["deep", "{output}"], "alpha": [0.1, 1, True]}


def spec(**changes: Any) -> JobSpec:
    asked = loaded(JobRequestSchema(), BODY | {"grid": GRID} | changes)
    return JobSpec.of_request(asked, "main.py")


def words(point: int) -> list[str]:
    arguments = spark_submit.arguments("ab" * 16, "alice", FOLDER, spec(), point)
    call = arguments["application_args"][0]
    return base64.urlsafe_b64decode(call + "=" * (-len(call) % 4)).decode().split("\0")[2:]


def test_points_are_all_combinations_the_last_name_fastest() -> None:
    assert [grid.label(point) for point in spec().points.values()] == [
        "alpha=0.1, tree=deep",
        "alpha=0.1, tree={output}",
        "alpha=1, tree=deep",
        "alpha=1, tree={output}",
        "alpha=true, tree=deep",
        "alpha=true, tree={output}",
    ]
    assert grid.size(GRID) == 6


def test_points_are_the_same_however_the_specification_is_stored() -> None:
    again = JobSpec.from_json({**spec().to_json(), "grid": dict(reversed(GRID.items()))})
    assert again.points == spec().points


def test_values_stand_where_their_names_are_and_are_not_read_again() -> None:
    found = words(1)
    assert found[:4] == ["--alpha=0.1", "--tree", "{output}", '{"braces": {}}']
    assert found[4].startswith("hdfs://")
    assert found[5].endswith("/output/1/x"), "each point has an output folder of its own"


def test_each_run_has_a_tag_of_its_own_and_those_of_its_point_and_its_job() -> None:
    assert spark_submit.tags("job-4.2", "job") == "job-4.2,job-4,job"
    assert spark_submit.tags("job.2", "job") == "job.2,job"
    arguments = spark_submit.arguments("ab" * 16, "alice", FOLDER, spec(), 4)
    assert arguments["conf"]["spark.yarn.tags"] == f"{'ab' * 16}-4,{'ab' * 16}"
    assert arguments["conf"]["spark.executorEnv.MARKET_POINT"] == "4"
    assert spark_submit.arguments("ab" * 16, "alice", FOLDER, spec(grid=None, app_params=[]))["conf"][
        "spark.yarn.tags"
    ] == ("ab" * 16)


def test_the_hold_is_for_all_points_and_the_speed_for_those_at_once() -> None:
    one, all_of_them = spec(grid=None, app_params=[]), spec(max_parallel=4)
    assert len(all_of_them.at_once) == 4 * len(one.containers)
    total = len(all_of_them.at_once) * all_of_them.whole_duration
    assert total == 6 * len(one.containers) * one.max_duration
    assert spec(max_parallel=100).max_parallel == 6, "more than there are makes no difference"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"grid": {}}, "grid"),
        ({"grid": {"alpha": []}}, "alpha"),
        ({"grid": {"alpha": 3}}, "alpha"),
        ({"grid": {"alpha": [[1]]}}, "alpha"),
        ({"grid": {"alpha": [1, "1"]}}, "alpha"),
        ({"grid": {"alpha": ["x" * 201]}}, "alpha"),
        ({"grid": {"beta": [1, 2]}}, "beta"),
        ({"grid": {"input": [1]}}, "input"),
        ({"grid": {"a b": [1]}}, "a b"),
        ({"grid": {"alpha": list(range(300))}}, "grid"),
        ({"grid": {"alpha": ["y" * 200]}, "app_params": ["{alpha}" * 1000]}, "app_params"),
        ({"max_parallel": 2}, "max_parallel"),
        ({"point_retries": 1}, "point_retries"),
        ({"grid": {"alpha": [1]}, "max_parallel": 0}, "max_parallel"),
        ({"grid": {"alpha": [1]}, "point_retries": 9}, "point_retries"),
    ],
)
def test_what_is_no_grid_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInputError) as caught:
        loaded(JobRequestSchema(), BODY | given)
    assert named in str(caught.value.errors)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            b'{"accuracy": 0.97, "model": "deep", "good": true}',
            {"accuracy": 0.97, "model": "deep", "good": True},
        ),
        (b'{"rmse": 0.1}\n', {"rmse": 0.1}),
        (b'{"first": 1}\n{"second": 2}\n', {"first": 1}),
        (b'{\n "nested": {"a": 1},\n "list": [1],\n "kept": 2\n}', {"kept": 2}),
        (b'{"bad": NaN, "endless": Infinity, "kept": null}', {}),
        (
            b'{"nul\\u0000": "a\\u0000b", "half": "\\ud83d", "\xed\xa0\x80": 1}',
            {"nul\ufffd": "a\ufffdb", "half": "\ufffd", "\ufffd": 1},
        ),
        (b'{"good": 1, "deep": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", {}),
        (b'{"huge": 1' + b"0" * 400 + b', "long": 1' + b"0" * 5000 + b"}", {}),
        (b'{"huge": 1' + b"0" * 400 + b', "small": 1}', {"small": 1}),
        (b"[1, 2]", {}),
        (b"accuracy 0.97", {}),
        (b"", {}),
    ],
)
def test_only_plain_values_of_a_json_object_are_taken(text: bytes, found: dict[str, Any]) -> None:
    assert metrics.parsed(text) == found
