"""A job that is followed: through a market that is away, with its log, and to its results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from servers import Answer, Received, serving

from distributedmarket import Market
from distributedmarket.client import ONCE, MarketApiError, MarketClient, MarketClientError
from distributedmarket.sdk import Job, WaitTimeoutError
from distributedmarket.sdk import job as jobs

JOB = "0" * 31 + "1"


class Script:
    """A market with one job: its statuses in turn, its log by container, its results."""

    def __init__(self, *statuses: str | int) -> None:
        self.statuses = [*statuses]
        self.logs: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.wrong = False

    def __call__(self, request: Received) -> Answer:
        path, _, query = request.path.removeprefix("/market/api/v1").partition("?")
        self.asked.append(path)
        if path == f"/jobs/{JOB}":
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            if isinstance(status, int):
                return status, {}, b"{}"
            return self._json({"job_id": JOB, "job_name": "main", "status": status, "user_id": "u"})
        if path.endswith("/logs"):
            files = [
                {"container_id": name, "role": "driver", "file": "stdout", "size": 1, "host": "h"}
                for name in self.logs
            ]
            return self._json({"files": files, "total": len(files)})
        if "/logs/" in path:
            offset = int(dict(part.split("=") for part in query.split("&"))["offset"])
            return 200, {}, self.logs[path.split("/")[-2]][offset:][:7]
        if path.endswith("/results"):
            files = [
                {"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in self.files.items()
            ]
            return self._json({"files": files, "total": len(files)})
        data = self.files[path.partition("/results/")[2]]
        return 200, {}, data[::-1] if self.wrong else data

    @staticmethod
    def _json(body: Any) -> Answer:
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


@contextmanager
def of(script: Script) -> Iterator[Job]:
    with serving(script) as port:
        yield Market(client=MarketClient(f"http://127.0.0.1:{port}", "t", retries=ONCE)).job(JOB)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_LOOK_S", 0.01)


def test_it_is_waited_for_through_a_market_that_is_away() -> None:
    with of(Script("submitted", "running", 503, 502, "running", "succeeded")) as job:
        seen: list[str] = []
        assert job.wait(on_look=lambda one: seen.append(one.status)).succeeded
    assert seen == ["running", "running", "succeeded"]


def test_a_refusal_ends_the_waiting_and_so_does_the_time() -> None:
    with of(Script("running", 404)) as job, pytest.raises(MarketApiError):
        job.wait()
    with of(Script("running")) as job, pytest.raises(WaitTimeoutError, match="still running after"):
        job.wait(timeout_s=0.05)
    with of(Script("running", 503)) as job, pytest.raises(MarketApiError):
        [*job.watch(patience_s=0.02)]


def test_a_log_comes_in_lines_and_goes_on_in_the_next_container() -> None:
    script = Script("running", "running", "running", "running", "running", "running", "succeeded")
    script.logs["container_1_01"] = "eins\nzw\u00f6lf\nohne Ende".encode()
    with of(script) as job:
        lines = job.logs(follow=True)
        assert [next(lines), next(lines)] == ["eins\n", "zw\u00f6lf\n"]
        script.logs["container_1_02"] = b"\nzwei\n"
        rest = "".join(lines)
    assert rest.endswith("zwei\n")


def test_a_log_that_has_ended_comes_whole() -> None:
    script = Script("succeeded")
    script.logs["container_1_01"] = b"a\n" * 20 + b"b"
    with of(script) as job:
        assert "".join(job.logs()) == "a\n" * 20 + "b"
        assert [*job.logs(file="stderr")] == []


def test_results_are_fetched_once_and_are_what_they_should_be(tmp_path: Path) -> None:
    script = Script("succeeded")
    script.files = {"model/part-0": b"m" * 5000, "metrics.json": b"{}"}
    with of(script) as job:
        folder = job.fetch(tmp_path / "results")
        assert (folder / "model/part-0").read_bytes() == script.files["model/part-0"]
        asked = len(script.asked)
        (folder / "metrics.json").unlink()
        job.fetch(folder, wanted=lambda path: path.endswith("json"))
        assert len(script.asked) == asked + 2
        script.wrong = True
        (folder / "model/part-0").write_bytes(b"damaged")
        script.files["model/part-0"] = b"mn" * 5
        with pytest.raises(MarketClientError, match="otherwise than the market says"):
            job.fetch(folder)
