"""A program that tries every door of the cluster under names and with proofs that are not its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from people import Person

from market.cluster.clients import hdfs, resource_manager
from market.kit import settings

pytestmark = pytest.mark.cluster

PROGRAM = Path(__file__).with_name("hostile.py")


@pytest.fixture(scope="module")
def diary(buyer: Person) -> str:
    """A file in another member's home."""
    buyer.put("private/diary.txt", "what nobody else may read\n")
    return f"/user/{buyer.username}/private/diary.txt"


@pytest.fixture(scope="module")
def tried(
    with_keys: None,
    stack: settings.Settings,
    machines: list[dict[str, Any]],
    buyer: Person,
    stranger: Person,
    diary: str,
) -> dict[str, str]:
    """What each attempt of a stranger's job came to."""
    servers = ("namenode", "datanode", "resourcemanager", "jobhistory", "spark_history")
    urls = {name.replace("_", "-"): stack.url(f"{name}_http") for name in servers}
    # Not one that another test lends, which may leave meanwhile.
    staying = {one["ip_address"] for one in machines}
    node = next(one for one in resource_manager().nodes("RUNNING") if one.host in staying)
    given = {
        "victim": buyer.username,
        "name": stack.service.account,
        "fs": stack.hdfs_uri,
        "home": f"/user/{stranger.username}",
        "url": urls | {"machine": f"http://{node.http_address}"},
        "node": node.node_id,
        "state": str(stack.paths.state),
    }
    stranger.put("hostile/main.py", PROGRAM.read_text())
    job_id = stranger.submit("hostile", app_params=[json.dumps(given)], max_duration=900)
    job = stranger.ended(job_id, deadline_s=420)
    assert job["status"] == "succeeded", (job, stranger.log(job_id, file="stderr")[-3000:])
    line = next(one for one in stranger.log(job_id).splitlines() if one.startswith("FOUND "))
    found: dict[str, str] = json.loads(line.removeprefix("FOUND "))
    return found


# What each attempt must come to (a regular expression).
DENIED = "Permission denied|AccessControlException|Access denied"
NO_PROOF = r"Client cannot authenticate via|SIMPLE authentication is not enabled"
CLOSED = r"^(401|403) "
EXPECTED = {
    "read another's file": DENIED,
    "write into another's home": DENIED,
    "list another's home by a name": f"{DENIED}|{NO_PROOF}",
    "delete another's home by a name": f"{DENIED}|{NO_PROOF}",
    "a typed name": f"code [1-9].*({DENIED})",
    "a typed name without tokens": f"code [1-9].*({NO_PROOF})",
    "simple by an option": f"code [1-9].*({NO_PROOF})",
    "simple as a fallback": f"code [1-9].*({NO_PROOF})",
    "have HDFS read its files again": f"{DENIED}|Superuser privilege",
    "lift a limit": f"{DENIED}|Superuser privilege",
    "end applications by its tokens": NO_PROOF,
    "list applications by its tokens": NO_PROOF,
    "administer YARN": f"code [1-9].*({NO_PROOF})",
    "another's file by its token": r"^403 .*Permission denied",
    "another's name beside its token": r"^403 ",
    "act for another by its token": CLOSED,
    "a changed token": CLOSED,
    "read at the DataNode by a name": CLOSED,
    "read at the DataNode by its token": r"^403 .*Permission denied",
    "a forged ticket": CLOSED,
    "the submitter's socket": "^REFUSED",
    "keys of the market": r"^\[\]$",
    "keys by variables": r"^\[\]$",
}


def test_what_is_its_own_goes_on(tried: dict[str, str]) -> None:
    assert tried["its own work"] == "3"
    assert tried["its own work afterwards"] == "3"
    assert tried["its own home by its token"].startswith("200 ")


@pytest.mark.parametrize("attempt", EXPECTED)
def test_it_is_refused(tried: dict[str, str], attempt: str) -> None:
    assert re.search(EXPECTED[attempt], tried[attempt], re.DOTALL), tried[attempt]


def test_every_page_and_every_interface_asks_for_a_ticket(tried: dict[str, str]) -> None:
    own = {"its own work", "its own work afterwards", "its own home by its token"}
    doors = {attempt: found for attempt, found in tried.items() if attempt not in own | set(EXPECTED)}
    assert len(doors) >= 40
    # Where there is no such page, nothing is shown either.
    opened = {name: found for name, found in doors.items() if not re.match(r"(401|403|404) ", found)}
    assert opened == {}
    shown = {name for name, found in doors.items() if found.startswith("404 ") and "page" not in name}
    assert shown == set()


def test_nothing_came_of_it(tried: dict[str, str], diary: str) -> None:
    status = hdfs().status(diary)
    assert status is not None
    assert status.size > 0
