"""Every page and every REST interface of Hadoop's and Spark's servers asks for a ticket of the market's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
import requests

from market.cluster import tickets
from market.cluster.clients import resource_manager
from market.kit import settings
from market.ops.run import leftovers

pytestmark = pytest.mark.cluster

SERVERS = ("namenode", "datanode", "resourcemanager", "jobhistory", "spark_history")
NAMES = (*SERVERS, "pool", "lent")
REST = {
    "namenode": ["/webhdfs/v1/user?op=LISTSTATUS", "/dfshealth.html", "/fsck?path=/", "/imagetransfer"],
    "datanode": ["/webhdfs/v1/x?op=OPEN&namenoderpcaddress=127.0.0.1:9000", "/datanode.html"],
    "resourcemanager": [
        "/ws/v1/cluster/apps",
        "/ws/v1/cluster/nodes",
        "/cluster",
        "/proxy/application_1_0001/",
    ],
    "jobhistory": ["/ws/v1/history/info", "/ws/v1/history/aggregatedlogs", "/jobhistory/logs/x"],
    "spark_history": ["/api/v1/applications", "/history/application_1_0001/jobs/"],
    "pool": ["/ws/v1/node/containers", "/node/containerlogs/container_1/x", "/ws/v1/node/apps"],
    "lent": ["/ws/v1/node/containers", "/ws/v1/node/info"],
}
EVERYWHERE = ["/", "/jmx", "/conf", "/logs/", "/logLevel", "/stacks", "/prom", "/static/x.css"]


@dataclass(frozen=True)
class Door:
    """A server that speaks HTTP, and what its tickets call it."""

    url: str
    audience: str


@pytest.fixture(scope="module")
def doors(stack: settings.Settings, machines: list[dict[str, Any]]) -> dict[str, Door]:
    found = {name: Door(stack.url(f"{name}_http"), name.replace("_", "-")) for name in SERVERS}
    for node in resource_manager().nodes("RUNNING"):
        name = "pool" if node.host == stack.pool.ip_address else "lent"
        found[name] = Door(f"http://{node.http_address}", tickets.machine(node.host))
    assert set(found) == set(NAMES)
    return found


def get(door: Door, path: str, **headers: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(door.url + path, headers=headers, timeout=30, allow_redirects=False)


def ticket(stack: settings.Settings, audience: str, user: str = "", life_s: int = 60) -> str:
    key = stack.secret(tickets.SECRET)
    return tickets.ticket(key, user or stack.service.account, audience, life_s)


def refused(answer: requests.Response) -> bool:
    """Tell whether it is a refusal; a file of Netty's, before the filter, says 403 or 404 to everybody."""
    return answer.status_code in (401, 403)


@pytest.mark.parametrize("name", NAMES)
def test_a_typed_name_opens_nothing(stack: settings.Settings, doors: dict[str, Door], name: str) -> None:
    door = doors[name]
    for path in EVERYWHERE + REST[name]:
        for typed in ("", f"user.name={stack.service.account}", "user.name=root&doas=market"):
            full = path + (("&" if "?" in path else "?") + typed if typed else "")
            answer = get(door, full)
            assert refused(answer), (full, answer.status_code, answer.text[:300])


@pytest.mark.parametrize("name", NAMES)
def test_other_proofs_open_nothing(doors: dict[str, Door], name: str) -> None:
    for headers in (
        {"Authorization": "Basic bWFya2V0OngK"},
        {"Authorization": "Negotiate YIIB"},
        {"Cookie": 'hadoop.auth="u=market&p=market&t=market&e=99999999999999&s=AAAA"'},
        {"X-Forwarded-For": "127.0.0.1", "Remote-User": "market", "X-Remote-User": "market"},
        {"Authorization": "Market market||9999999999|AAAA"},
    ):
        answer = get(doors[name], REST[name][0], **headers)
        assert refused(answer), (headers, answer.status_code)


@pytest.mark.parametrize("name", NAMES)
def test_tickets_that_are_forged_old_or_another_server_s_open_nothing(
    stack: settings.Settings, doors: dict[str, Door], name: str
) -> None:
    door = doors[name]
    others = [other.audience for other in doors.values() if other != door]
    bad = [ticket(stack, other) for other in others]
    bad += [ticket(stack, door.audience, life_s=0), ticket(stack, door.audience, life_s=-3600)]
    bad += [tickets.ticket(tickets.generate(), stack.service.account, door.audience)]
    longer = ticket(stack, door.audience, user="alice").split("|")
    bad += ["|".join([longer[0], longer[1], str(int(longer[2]) + 60), longer[3]])]
    bad += ["|".join(["Market market", *longer[1:]])]
    for header in bad:
        assert refused(get(door, REST[name][0], Authorization=header)), header


@pytest.mark.parametrize("name", NAMES)
def test_the_market_s_own_ticket_opens_and_leaves_nothing_to_send_again(
    stack: settings.Settings, doors: dict[str, Door], name: str
) -> None:
    path = {"datanode": "/jmx", "lent": "/ws/v1/node/info"}.get(name, REST[name][0])
    answer = get(doors[name], path, Authorization=ticket(stack, doors[name].audience))
    assert answer.status_code == 200, answer.text[:300]
    cookie = answer.headers.get("Set-Cookie", "")
    assert "u=" not in cookie, cookie
    if cookie:
        assert refused(get(doors[name], path, Cookie=cookie.partition(";")[0]))


def test_whom_the_market_does_not_let_act_for_others_does_not(
    stack: settings.Settings, doors: dict[str, Door]
) -> None:
    """A ticket in another's name is what a lender's server might be sent; it acts for that one alone."""
    key = ticket(stack, "namenode", user="Agent")
    path = "/webhdfs/v1/user?op=LISTSTATUS&doas=" + stack.service.account
    answer = get(doors["namenode"], path, Authorization=key)
    assert answer.status_code == 403
    assert "not allowed to impersonate" in answer.text


def listening(stack: settings.Settings) -> Iterator[tuple[str, int]]:
    """Return the addresses at which Java of the stack listens."""
    for pid in leftovers.find(stack.paths.state):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.name() == "java":
                for one in process.net_connections("tcp"):
                    if one.status == psutil.CONN_LISTEN:
                        yield one.laddr.ip.removeprefix("::ffff:"), one.laddr.port


def test_no_open_port_of_java_s_answers_whoever_comes(
    stack: settings.Settings, doors: dict[str, Door]
) -> None:
    found = set(listening(stack))
    assert len(found) > 15
    for address, port in found:
        words = b"GET /?user.name=market HTTP/1.0\r\nHost: x\r\n\r\n"
        with socket.create_connection((address, port), timeout=10) as connection:
            connection.settimeout(10)
            connection.sendall(words)
            try:
                answer = connection.recv(4096)
            except (TimeoutError, ConnectionError):
                answer = b""
        # Ports of RPC say in HTTP that they do not speak it, with a 404.
        assert b" 200 " not in answer[:20], (address, port, answer)
