"""What goes into a job and what it leaves, through the REST routes of the real stack."""

from __future__ import annotations

import hashlib
import io
import re
import socket
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from people import Person, until

from market.cluster.clients import hdfs
from market.kit import settings
from market.kit.vocabulary import ENDED
from market.ops.run.supervisor import Supervisor

pytestmark = pytest.mark.cluster

MIB = 1 << 20
PROGRAM = """
import os, sys, time
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate().sparkContext
for number in range(8000):
    print("%08d" % number, "y" * 91)
sys.stdout.flush()
spark.parallelize(range(12), 12).map(lambda number: time.sleep(1) or number).sum()
spark.parallelize(range(10), 2).saveAsTextFile(os.environ["MARKET_OUTPUT"] + "/numbers/ü")
for number in range(8000, 9000):
    print("%08d" % number, "y" * 91)
"""
WHOLE = b"".join(b"%08d " % number + b"y" * 91 + b"\n" for number in range(9000))


@dataclass
class Followed:
    """A job, and what was seen of it while it ran."""

    job: dict[str, Any]
    stdout: bytes = b""
    progress: list[dict[str, Any]] = field(default_factory=list)
    roles: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)


def get(person: Person, path: str, **query: Any) -> requests.Response:
    return person.send("GET", path, params=query)


@pytest.fixture(scope="module")
def followed(buyer: Person, machines: list[dict[str, Any]]) -> Followed:
    """Run a job to its end, and look at everything meanwhile as a page would."""
    buyer.put("leaves/main.py", PROGRAM)
    job_id = buyer.submit("leaves")
    seen = Followed({})

    def look() -> bool:
        found = get(buyer, f"/jobs/{job_id}/progress")
        assert found.status_code == 200, found.text
        seen.progress.append(found.json())
        listed = get(buyer, f"/jobs/{job_id}/logs")
        assert listed.status_code == 200, listed.text
        for one in listed.json()["files"]:
            seen.roles.add(one["role"])
            seen.hosts.add(one["host"])
            if (one["role"], one["file"]) == ("driver", "stdout"):
                part = get(
                    buyer,
                    f"/jobs/{job_id}/logs/{one['container_id']}/stdout",
                    offset=len(seen.stdout),
                    wait=1,
                )
                assert part.status_code == 200, part.text
                seen.stdout += part.content
        return seen.progress[-1]["status"] in ENDED

    until(look, "the end of the job", 240)
    seen.job = buyer.job(job_id)
    assert seen.job["status"] == "succeeded", seen.job
    return seen


def logs_of(person: Person, seen: Followed) -> dict[tuple[str, str], dict[str, Any]]:
    found = person.rest.get(f"/jobs/{seen.job['job_id']}/logs")["files"]
    return {(one["role"], one["file"]): one for one in found}


def test_progress_counts_the_tasks_and_the_cost_of_a_running_job(followed: Followed) -> None:
    assert max(one["tasks_total"] for one in followed.progress) >= 12
    assert any(0 < one["tasks_done"] < one["tasks_total"] for one in followed.progress)
    assert max(one["executors"] for one in followed.progress) == 1
    names = {stage["name"] for one in followed.progress for stage in one["stages"]}
    assert any(name.startswith("sum at ") for name in names)
    assert not any("/" in name for name in names)
    costs = [float(one["cost"]) for one in followed.progress]
    assert costs == sorted(costs)
    assert costs[0] == 0 < costs[-1] <= float(followed.job["hold"])


def test_a_log_that_is_followed_is_whole(buyer: Person, followed: Followed) -> None:
    one = until(
        lambda: logs_of(buyer, followed).get(("driver", "stdout")), "the driver's log after the end", 30
    )
    rest = get(
        buyer,
        f"/jobs/{followed.job['job_id']}/logs/{one['container_id']}/stdout",
        offset=len(followed.stdout),
    )
    assert len(followed.stdout) >= 8000 * 101
    assert followed.stdout + rest.content == WHOLE
    assert one["size"] == len(WHOLE)


def test_logs_are_the_program_s_and_name_machines_by_their_display_name(
    buyer: Person, followed: Followed
) -> None:
    assert followed.roles == {"driver", "executor"}
    assert not [host for host in followed.hosts if re.search(r"\d+\.\d+\.\d+\.\d+", host)]
    found = logs_of(buyer, followed)
    assert {file for _, file in found} == {"stdout", "stderr"}
    assert next(iter(found))[0] == "driver"
    for one in found.values():
        path = f"/jobs/{followed.job['job_id']}/logs/{one['container_id']}/{one['file']}"
        answer = get(buyer, path)
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert len(answer.content) == one["size"]
        assert b"JDK_JAVA_OPTIONS" not in answer.content
        assert b"LogLength:" not in answer.content


def test_a_stretch_of_a_collected_log(buyer: Person, followed: Followed) -> None:
    one = logs_of(buyer, followed)["driver", "stdout"]
    path = f"/jobs/{followed.job['job_id']}/logs/{one['container_id']}/stdout"
    for offset, length in (
        (0, 50),
        (100, 101),
        (700_000, 5000),
        (len(WHOLE) - 7, 100),
        (len(WHOLE), 5),
        (10**12, 5),
    ):
        answer = get(buyer, path, offset=offset, length=length)
        assert answer.status_code == 200
        assert answer.content == WHOLE[offset : offset + length]
    for query in ({"offset": -1}, {"length": "x"}, {"offset": "1.5"}):
        answer = get(buyer, path, **query)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, list(query))


def test_logs_of_others_and_files_that_show_the_machine_are_not_there(
    buyer: Person, stranger: Person, followed: Followed
) -> None:
    job_id = followed.job["job_id"]
    container = logs_of(buyer, followed)["driver", "stdout"]["container_id"]
    for person, path in (
        (stranger, f"/jobs/{job_id}/logs"),
        (stranger, f"/jobs/{job_id}/logs/{container}/stdout"),
        (stranger, f"/jobs/{job_id}/results"),
        (stranger, f"/jobs/{job_id}/progress"),
        (buyer, f"/jobs/{job_id}/logs/{container}/launch_container.sh"),
        (buyer, f"/jobs/{job_id}/logs/{container}/nothing"),
        (buyer, f"/jobs/{job_id}/logs/container_1_0001_01_000001/stdout"),
    ):
        answer = get(person, path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json"), path


def test_the_results_have_checksums_after_a_while(buyer: Person, followed: Followed) -> None:
    base = f"/jobs/{followed.job['job_id']}/results"

    def listed() -> Any:
        found = get(buyer, base).json()["files"]
        return found if all(one["sha256"] for one in found) else None

    for one in until(listed, "the checksums", 60):
        content = get(buyer, f"{base}/{one['path']}").content
        assert (one["size"], one["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_the_end_of_a_log_and_what_comes_after_it(buyer: Person, followed: Followed) -> None:
    one = logs_of(buyer, followed)["driver", "stdout"]
    path = f"/jobs/{followed.job['job_id']}/logs/{one['container_id']}/stdout"
    answer = get(buyer, path, tail=202)
    assert answer.content == WHOLE[-202:]
    assert int(answer.headers["Market-Offset"]) == len(WHOLE) - 202
    started = time.monotonic()
    assert get(buyer, path, offset=len(WHOLE), wait=20).content == b"", "the job has ended: nothing will come"
    assert time.monotonic() - started < 10
    assert get(buyer, path, tail=10, offset=3).status_code == 422
    assert get(buyer, path, wait=31).status_code == 422


def test_results_one_by_one_and_in_a_zip(buyer: Person, followed: Followed) -> None:
    base = f"/jobs/{followed.job['job_id']}/results"
    found = {one["path"]: one["size"] for one in buyer.rest.get(base)["files"]}
    assert set(found) == {f"numbers/ü/{name}" for name in ("_SUCCESS", "part-00000", "part-00001")}
    content = {path: get(buyer, f"{base}/{path}").content for path in found}
    assert {path: len(text) for path, text in content.items()} == found
    assert sorted(b"".join(content.values()).split(), key=int) == [b"%d" % number for number in range(10)]
    answer = get(buyer, base, format="zip")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    packed = zipfile.ZipFile(io.BytesIO(answer.content))
    assert packed.testzip() is None
    assert {name: packed.read(name) for name in packed.namelist()} == content
    assert get(buyer, base, format="tar").status_code == 422
    assert get(buyer, f"{base}/missing").status_code == 404


# Files


def test_a_file_goes_in_and_comes_out(buyer: Person) -> None:
    data = hashlib.sha256(b"seed").digest() * 100_000
    stored = buyer.send("PUT", "/files/in and out/ü.bin", data=data)
    assert stored.status_code == 201
    assert stored.json() | {"modified_time": 0} == {
        "path": "in and out/ü.bin",
        "size": len(data),
        "is_folder": False,
        "modified_time": 0,
    }
    answer = get(buyer, "/files/in and out/ü.bin")
    assert answer.content == data
    assert answer.headers["Content-Length"] == str(len(data))
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert get(buyer, "/files?path=in and out").json()["total"] == 1
    assert buyer.send("DELETE", "/files/in and out").status_code == 204
    assert get(buyer, "/files/in and out/ü.bin").status_code == 404


def test_a_large_upload_needs_no_length_and_no_memory(stack: settings.Settings, buyer: Person) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(1024):
            yield bytes(MIB)

    buyer.put("small", b"x")  # what is loaded once is there now
    server = int(Supervisor(stack).states()["api-server"]["pid"])
    before_kib = memory_kib(server)
    assert buyer.send("PUT", "/files/large", data=chunks()).json()["size"] == 1024 * MIB
    with buyer.send("GET", "/files/large", stream=True) as answer:
        assert sum(map(len, answer.iter_content(MIB))) == 1024 * MIB
    grown_kib = memory_kib(server) - before_kib
    print(f"the server grew by {grown_kib} KiB while it took and gave 1 GiB")
    assert grown_kib < 50 * 1024
    buyer.send("DELETE", "/files/large")


def memory_kib(pid: int) -> int:
    """Return the resident memory of a process and of those that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    status = Path(f"/proc/{pid}/status").read_text()
    own = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(own.split()[1]) + sum(memory_kib(int(child)) for child in children)


def test_a_client_that_goes_away_leaves_nothing(buyer: Person) -> None:
    buyer.put("kept", "old")
    address = urlsplit(buyer.rest.url)
    token = f"Bearer {buyer.rest.token}"
    head = f"PUT /market/api/v1/files/kept HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: {token}\r\n"
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(f"{head}Content-Length: 5000000\r\n\r\n".encode() + bytes(2 * MIB))
        folder = f"/user/{buyer.username}/.market-uploads"
        until(lambda: hdfs().list(folder), "the upload has begun", 20)
    until(lambda: not hdfs().list(folder), "the upload is cleared away", 20)
    assert get(buyer, "/files/kept").content == b"old"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/files/..%2Fsomeone%2Fx", 422),
        ("PUT", "/files/%2Fetc%2Fpasswd", 422),
        ("PUT", "/files/a%00b", 422),
        ("PUT", "/files/", 422),
        ("PUT", "/files/a%2F%2Fb", 422),
        ("GET", "/files/..%2F..%2Fmarket", 422),
        ("GET", "/files?path=/user", 422),
        ("GET", "/files?path=..", 422),
        ("GET", "/files?path=", 422),
        ("GET", "/files?path=nothing-here", 404),
        ("GET", "/files?limit=0", 422),
        ("GET", "/files?order_by=owner", 422),
        ("GET", "/files/nothing-here", 404),
        ("DELETE", "/files/nothing-here", 404),
        ("DELETE", "/files/.", 422),
    ],
)
def test_what_files_refuse(buyer: Person, method: str, path: str, status: int) -> None:
    answer = buyer.send(method, path, data=b"x" if method == "PUT" else None)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_an_announced_size_above_the_quota_is_refused_before_it_is_sent(buyer: Person) -> None:
    address = urlsplit(buyer.rest.url)
    token = f"Bearer {buyer.rest.token}"
    head = f"PUT /market/api/v1/files/huge HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: {token}\r\n"
    started = time.monotonic()
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(f"{head}Content-Length: {1 << 50}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    assert time.monotonic() - started < 10
