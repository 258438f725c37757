"""Every program under examples/ runs as a job, and the ones that go wrong tell their owner what to do.

They are submitted together, so that each one waits less for Java and Python to start.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agents import Agent
from people import Person

from market.kit import settings

pytestmark = pytest.mark.cluster

EXAMPLES = settings.ROOT / "examples"
SUBMITTED: dict[str, dict[str, Any]] = {
    "failing": {},
    "out_of_memory executor": {"app_params": ["--where", "executor"]},
    "out_of_memory driver": {"app_params": ["--where", "driver"]},
    "kmeans": {},
    "als": {"app_params": ["--iterations", "5"]},
    "grid_search": {"core_num": 2, "app_params": ["--images", "500"]},
    "forever": {"max_duration": 5},
}
OWN_PYTHON = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
def seen(_):
    import probe
    return probe.WORD, sys.prefix
print(seen(0)[0], "in the driver;", *spark.sparkContext.parallelize([0], 1).map(seen).first())
"""


@dataclass
class Examples:
    """The jobs of all examples, by name."""

    buyer: Person
    jobs: dict[str, str]

    def ended(self, name: str) -> dict[str, Any]:
        return self.buyer.ended(self.jobs[name], 400)

    def succeeded(self, name: str) -> str:
        """Return what an example printed, after a good end."""
        job = self.ended(name)
        text = self.buyer.log(job["job_id"])
        assert job["status"] == "succeeded", (job["reason"], text)
        return text

    def result(self, name: str, folder: str) -> str:
        base = f"/jobs/{self.jobs[name]}/results"
        path = next(
            one["path"]
            for one in self.buyer.rest.get(base)["files"]
            if one["path"].startswith(f"{folder}/part-")
        )
        return self.buyer.rest.text(f"{base}/{path}")


@pytest.fixture(scope="module")
def examples(
    buyer: Person, machines: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Examples:
    for name in {name.split()[0] for name in SUBMITTED}:
        buyer.put(f"examples/{name}/main.py", (EXAMPLES / name / "main.py").read_bytes())
    buyer.put("own/main.py", OWN_PYTHON)
    buyer.put("own/python.tar.gz", packed_environment(tmp_path_factory.mktemp("own")))
    jobs = {"own": buyer.submit("own", python_env="python.tar.gz", max_duration=900)}
    for name, fields in SUBMITTED.items():
        jobs[name] = buyer.submit(f"examples/{name.split()[0]}", **({"max_duration": 900} | fields))
    return Examples(buyer, jobs)


def packed_environment(folder: Path) -> bytes:
    """Return a small Python environment of the machines' own Python, packed, with a module of its own."""
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    (next((folder / "env" / "lib").iterdir()) / "site-packages" / "probe.py").write_text("WORD = 'mine'\n")
    subprocess.run(["tar", "-czf", folder / "env.tar.gz", "-C", folder / "env", "."], check=True)
    return (folder / "env.tar.gz").read_bytes()


def test_a_mistake_in_a_program_is_named(examples: Examples) -> None:
    job = examples.ended("failing")
    assert (job["status"], job["reason_code"]) == ("failed", "user_error")
    assert "ZeroDivisionError: division by zero" in job["reason"]


@pytest.mark.parametrize("where", ["executor", "driver"])
def test_a_program_without_enough_memory_is_told_to_ask_for_more(examples: Examples, where: str) -> None:
    job = examples.ended(f"out_of_memory {where}")
    assert (job["status"], job["reason_code"]) == ("failed", "out_of_memory"), job["reason"]
    assert f"{where}_memory" in job["reason"]


def test_k_means_finds_the_digits(examples: Examples) -> None:
    assert float(re.findall(r"purity ([\d.]+)", examples.succeeded("kmeans"))[0]) > 0.6
    assert json.loads(examples.result("kmeans", "metrics"))["purity"] > 0.6


def test_recommendations_are_near_the_hidden_tastes(examples: Examples) -> None:
    examples.succeeded("als")
    assert json.loads(examples.result("als", "metrics"))["rmse"] < 0.3
    assert len(json.loads(examples.result("als", "recommendations").splitlines()[0])["films"]) == 3


def test_a_grid_is_searched_on_all_machines(examples: Examples) -> None:
    assert float(re.findall(r"best accuracy ([\d.]+)", examples.succeeded("grid_search"))[0]) > 0.8
    base = f"/jobs/{examples.jobs['grid_search']}/results"
    files = {one["path"]: one["size"] for one in examples.buyer.rest.get(base)["files"]}
    assert set(files) == {"model.joblib", "scores.csv", "scores.png"}
    assert min(files.values()) > 100
    assert len(examples.buyer.rest.text(f"{base}/scores.csv").splitlines()) == 1 + 9


def test_a_program_runs_in_its_own_python(examples: Examples) -> None:
    assert re.search(r"mine in the driver; mine \S+/environment$", examples.succeeded("own"), re.MULTILINE)


def test_a_program_that_never_ends_is_stopped_in_time(examples: Examples) -> None:
    job = examples.ended("forever")
    assert (job["status"], job["reason_code"]) == ("failed", "max_duration")
    assert "5 s" in job["reason"]


def test_torch_trains_in_parallel(
    stack: settings.Settings, buyer: Person, lenders: Callable[..., Agent]
) -> None:
    if not list(stack.paths.runtime.glob("lib/python3*/site-packages/torch")):
        pytest.skip("the jobs' Python has no PyTorch: add it to requirements-runtime.in")
    # Each process has some 2 GiB of libraries alone: the machines of the other tests have no room for it.
    lenders("torch", cores=2, gib=6).wait("active", 120)
    buyer.put("examples/torch/main.py", (EXAMPLES / "torch" / "main.py").read_bytes())
    sizes = {"executor_memory": 2048, "core_num": 2}
    job_id = buyer.submit("examples/torch", **sizes, app_params=["--epochs", "5"])
    job = buyer.ended(job_id, 400)
    assert job["status"] == "succeeded", (job["reason"], buyer.log(job_id))
    assert float(re.findall(r"accuracy ([\d.]+)", buyer.log(job_id))[0]) > 0.85
