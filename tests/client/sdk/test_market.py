"""The market for programs, against the real api-server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from airflow_accounts import Person
from airflow_server import Airflow
from name_node import Node

from distributedmarket import Market
from distributedmarket.client import MarketApiError
from distributedmarket.errors import SetupError

pytestmark = pytest.mark.database


def test_a_program_of_this_host_becomes_a_job(
    api_server: Airflow, register: Callable[..., Person], tmp_path: Path
) -> None:
    person = register("ada")
    market = Market.login(api_server.url, person.username, person.password)
    (tmp_path / "train.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text("")
    job = market.run(tmp_path / "train.py", ["--epochs", "3"], core_num=2, max_duration=60)
    assert (job.record["entry_file"], job.record["app_params"]) == ("train.py", ["--epochs", "3"])
    assert (job.status, job.record["core_num"], job.record["machine_type"]) == ("submitted", 2, "cpu")
    assert {entry["path"].rpartition("/")[2] for entry in market.files.walk("run")} == {
        "train.py",
        "helper.py",
    }
    root = job.record["root_path"] or ""
    quote = market.quote(
        root_path=root, entry_file="train.py", core_num=2, machine_type="cpu", max_duration=60
    )
    assert quote["hold"] == job.record["hold"]
    assert job.cancel().status == "cancelled"
    (tmp_path / "train.py").write_text("import nowhere\n")
    with pytest.raises(SetupError, match=r"train\.py:1: imports nowhere"):
        market.run(tmp_path / "train.py")
    assert [one.id for one in market.jobs()] == [job.id]


def test_a_refusal_carries_the_market_s_problem_document(
    api_server: Airflow, register: Callable[..., Person]
) -> None:
    market = Market(api_server.url, register("ada").token)
    with pytest.raises(MarketApiError) as refused:
        market.submit(root_path="none", core_num=1, machine_type="cpu")
    assert (refused.value.status, refused.value.problem["status"]) == (422, 422)
    assert "There is no such folder" in refused.value.errors["root_path"][0]


def test_the_same_key_is_the_same_job_in_another_process(
    api_server: Airflow, register: Callable[..., Person]
) -> None:
    person = register("ada")
    person.ask("PUT", "/files/work/main.py", data=b"print()")
    first, second = (Market(api_server.url, person.token) for _ in range(2))
    jobs = [
        market.submit(root_path="work", core_num=1, machine_type="cpu", max_duration=60, key="monday")
        for market in (first, second)
    ]
    assert jobs[0].id == jobs[1].id
    assert len([*first.jobs()]) == 1


def test_lists_come_whole_however_many_pages_they_have(
    api_server: Airflow, register: Callable[..., Person]
) -> None:
    person = register("ada")
    market = Market(api_server.url, person.token)
    names = [f"file-{number:03}" for number in range(205)]
    for name in names:
        api_server.hdfs.nodes[f"/user/{person.username}/{name}"] = Node(b"")
    assert [entry["path"] for entry in market.files.list()] == names
    assert market.credits()["available"] == "15.000000"
    assert [line["kind"] for line in market.statement()] == ["grant"]
