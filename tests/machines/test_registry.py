"""Registrations, as owners see them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from ledger_world import T0

from market.kit import clock, database, settings
from market.kit.errors import BadInputError, ConflictError, NotFoundError, OverLimitError
from market.kit.paging import Page
from market.machines import changes, claims, contributions, queries, registry
from market.people.member import Member

pytestmark = pytest.mark.database

BODY = {"core_count": 1, "memory_size": 1024, "machine_type": "cpu", "time_period": 3600}


def test_a_registration_answers_with_a_token_and_a_configuration(lenders) -> None:
    answer = lenders.lend(ip_address="10.0.9.1", name="attic")
    assert answer["status"] == "offered"
    yarn = answer["join"]["files"]["yarn-site.xml"]
    assert yarn["yarn.nodemanager.resource.memory-mb"] == "4096"
    assert yarn["yarn.nodemanager.resource.cpu-vcores"] == "4"
    record = registry.get(lenders.anna, answer["machine_id"])
    assert (record["display_name"], record["ip_address"], record["availability"]) == (
        "attic",
        "10.0.9.1",
        "offered",
    )
    assert record["lease_end"] - record["created_time"] == 3_600_000
    assert answer["join"]["token"] not in str(lenders.row(answer["machine_id"]))


def test_a_host_is_lent_once_also_when_two_come_at_once(lenders) -> None:
    def lend(_: int) -> bool:
        try:
            lenders.lend(ip_address="10.0.9.2")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(max_workers=4) as threads:
        assert sorted(threads.map(lend, range(4))) == [False, False, False, True]


def test_a_host_that_was_left_may_be_lent_again(lenders) -> None:
    first = lenders.lend(ip_address="10.0.9.3")
    registry.leave(lenders.anna, first["machine_id"])
    lenders.lend(member=lenders.bert, ip_address="10.0.9.3")


def test_machines_of_one_host_get_addresses_of_their_own(lenders) -> None:
    with ThreadPoolExecutor(max_workers=4) as threads:
        answers = list(threads.map(lambda _: lenders.lend(), range(8)))
    addresses = {answer["join"]["ip_address"] for answer in answers}
    assert len(addresses) == 8
    assert all(address.startswith("127.") for address in addresses)
    assert not addresses & {"127.0.0.1", "127.0.0.2"}, "the market's own addresses are nobody's to lend"


def test_a_caller_from_elsewhere_lends_the_host_that_he_calls_from(lenders) -> None:
    answer = registry.register(lenders.anna, BODY, client_address="10.8.0.7")
    assert answer["join"]["ip_address"] == "10.8.0.7"


def test_the_token_works_once(lenders) -> None:
    answer = lenders.lend()
    machine_id, token = answer["machine_id"], answer["join"]["token"]
    with pytest.raises(ConflictError):
        registry.join(lenders.anna, machine_id, "guessed")
    record = registry.join(lenders.anna, machine_id, token, service_port=9001)
    assert (record["availability"], record["service_port"]) == ("joining", 9001)
    with pytest.raises(ConflictError):
        registry.join(lenders.anna, machine_id, token)


def test_an_agent_that_starts_again_goes_on_with_the_same_machine(lenders) -> None:
    machine_id = lenders.joined()
    again = registry.resume(lenders.anna, machine_id)
    assert again["machine_id"] == machine_id
    assert registry.join(lenders.anna, machine_id, again["join"]["token"])["availability"] == "joining"


def test_a_machine_that_drains_is_not_taken_up_again(lenders) -> None:
    machine_id = lenders.joined()
    registry.leave(lenders.anna, machine_id)
    with pytest.raises(ConflictError):
        registry.resume(lenders.anna, machine_id)


@pytest.mark.parametrize(
    "ask",
    [
        lambda who, machine: registry.get(who, machine),
        lambda who, machine: registry.leave(who, machine),
        lambda who, machine: registry.resume(who, machine),
        lambda who, machine: registry.join(who, machine, "token"),
        lambda who, machine: registry.resize(who, machine, core_count=1),
        lambda who, machine: registry.verify(who, machine),
        lambda who, machine: registry.verifications(who, machine),
        lambda who, machine: contributions.of_machine(who, machine),
    ],
)
def test_another_s_machine_is_not_there(lenders, ask) -> None:
    machine_id = lenders.joined()
    with pytest.raises(NotFoundError):
        ask(lenders.bert, machine_id)
    with pytest.raises(NotFoundError):
        ask(lenders.bert, clock.new_id())
    assert registry.get(lenders.anna, machine_id)["availability"] == "joining"


@pytest.fixture
def admin(lenders) -> Member:
    return Member(lenders.bert.user_id, "root", "", is_admin=True)


def test_an_admin_sees_every_machine(lenders, admin) -> None:
    machine_id = lenders.joined()
    assert registry.get(admin, machine_id)["machine_id"] == machine_id
    assert registry.leave(admin, machine_id)["status"] == "draining"


@pytest.mark.parametrize(
    "take",
    [
        lambda who, machine, token: registry.resume(who, machine),
        lambda who, machine, token: registry.join(who, machine, token),
        lambda who, machine, token: registry.resize(who, machine, core_count=1),
    ],
)
def test_an_admin_takes_neither_token_nor_size_from_its_owner(lenders, admin, take) -> None:
    answer = lenders.lend()
    before = lenders.row(answer["machine_id"])
    with pytest.raises(NotFoundError):
        take(admin, answer["machine_id"], answer["join"]["token"])
    assert lenders.row(answer["machine_id"]) == before


# Addresses


def test_a_member_lends_so_many_machines_and_no_more(lenders, monkeypatch) -> None:
    loaded = settings.load()
    few = replace(loaded, machines=replace(loaded.machines, live_per_user=3))
    monkeypatch.setattr(claims, "load", lambda: few)
    first, *_ = (lenders.lend() for _ in range(3))
    with pytest.raises(OverLimitError, match="You lend 3 machines and may lend 3"):
        lenders.lend()
    lenders.lend(member=lenders.bert)
    registry.leave(lenders.anna, first["machine_id"])
    lenders.lend()


def test_many_hosts_at_once_are_refused(lenders) -> None:
    """60 foreign addresses of one member: a few may be on their way, not more, and none for long."""
    for number in range(8):
        lenders.lend(ip_address=f"10.0.7.{number + 1}")
    for number in range(8, 60):
        with pytest.raises(OverLimitError) as caught:
            lenders.lend(ip_address=f"10.0.7.{number + 1}")
        assert "Retry-After" in caught.value.headers
    lenders.lend(member=lenders.bert, ip_address="10.0.7.60")


def test_registrations_by_one_member_have_a_rate(lenders) -> None:
    for _ in range(30):
        registry.leave(lenders.anna, lenders.lend()["machine_id"])
    with pytest.raises(OverLimitError, match="30 a minute"):
        lenders.lend()


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("127.0.0.1", "127.0.0.1"),  # the market's own
        ("127.0.0.2", "127.0.0.1"),  # the pool's
        ("127.0.0.9", "10.8.0.7"),  # inside the market's host, seen from elsewhere
        ("127.0.0.9", "2001:db8::1"),
    ],
)
def test_an_address_that_cannot_be_the_machine_s_is_refused(lenders, address: str, client: str) -> None:
    with pytest.raises(BadInputError) as caught:
        registry.register(lenders.anna, BODY | {"ip_address": address}, client)
    assert list(caught.value.errors) == ["ip_address"]


def test_a_caller_without_an_ipv4_address_must_name_one(lenders) -> None:
    with pytest.raises(BadInputError, match="IPv4"):
        registry.register(lenders.anna, BODY, "2001:db8::1")
    mapped = registry.register(lenders.anna, BODY, "::ffff:10.8.0.9")
    assert mapped["join"]["ip_address"] == "10.8.0.9"
    local = registry.register(lenders.anna, BODY, "::1")
    assert local["join"]["ip_address"].startswith("127.")


def test_the_host_itself_takes_its_address_back(lenders) -> None:
    squatter = registry.register(lenders.anna, BODY | {"ip_address": "10.8.0.7"}, "10.8.0.66")
    registry.join(lenders.anna, squatter["machine_id"], squatter["join"]["token"])
    with pytest.raises(ConflictError):  # who calls from elsewhere, too, knows no better
        registry.register(lenders.bert, BODY | {"ip_address": "10.8.0.7"}, "10.8.0.67")
    registry.register(lenders.bert, BODY, "10.8.0.7")
    row = lenders.row(squatter["machine_id"])
    assert (row.state, row.reason) == ("left", "its host was lent from that host itself")


@pytest.mark.parametrize("how", ["own", "active"])
def test_a_confirmed_address_is_nobody_else_s(lenders, how: str) -> None:
    client = "10.8.0.7" if how == "own" else "10.8.0.66"
    held = registry.register(lenders.anna, BODY | {"ip_address": "10.8.0.7"}, client)
    if how == "active":
        lenders.world.sql("UPDATE machine SET active_ms = 1 WHERE machine_id = %s", held["machine_id"])
    with pytest.raises(ConflictError):
        registry.register(lenders.bert, BODY, "10.8.0.7")


def test_leaving_may_be_said_again_and_hastened(lenders) -> None:
    machine_id = lenders.joined()
    assert registry.leave(lenders.anna, machine_id)["status"] == "draining"
    began = lenders.row(machine_id).drain_ms
    assert registry.leave(lenders.anna, machine_id)["status"] == "draining"
    assert not lenders.row(machine_id).drain_now
    registry.leave(lenders.anna, machine_id, now=True)
    assert lenders.row(machine_id).drain_now
    assert lenders.row(machine_id).drain_ms == began


def test_lists_are_paged_ordered_and_one_s_own(lenders) -> None:
    for cores in (1, 3, 2):
        lenders.lend(core_count=cores)
    lenders.lend(member=lenders.bert)
    listing = registry.list_own(lenders.anna, Page(limit=2, order_by="core_count", descending=False))
    assert [row["core_count"] for row in listing.rows] == [1, 2]
    assert listing.total == 3


def test_the_market_s_list_names_neither_address_nor_owner(lenders) -> None:
    lenders.joined(ip_address="10.0.9.8", name="attic")
    lenders.lend(ip_address="10.0.9.9")  # only offered: not in the pool
    registry.register_pool("10.0.9.10", 8041, 8, 4096)
    listing = registry.list_market(Page())
    assert [row["display_name"] for row in listing.rows] == ["attic"]
    assert listing.total == 1
    assert "10.0.9.8" not in str(listing.rows)
    assert lenders.anna.user_id not in str(listing.rows)


def test_the_pool_keeps_its_machine_until_its_size_changes(lenders) -> None:
    first = registry.register_pool("10.0.9.11", 8041, 8, 4096)
    again = registry.register_pool("10.0.9.11", 9000, 8, 4096)
    assert again.machine_id == first.machine_id
    assert lenders.row(first.machine_id).service_port == 9000
    other = registry.register_pool("10.0.9.11", 9000, 16, 8192)
    assert other.machine_id != first.machine_id
    assert lenders.row(first.machine_id).state == "left"


def test_contributions_are_what_each_interval_added(lenders) -> None:
    world = lenders.world
    machine_id = world.machine(lenders.anna.user_id)
    for number, (since, until) in enumerate(((T0, T0 + 60_000), (T0 + 60_000, T0 + 120_000)), start=1):
        world.sql("INSERT INTO settlement VALUES (%s, %s, %s, 0, 0, 0, 1, 1, 1, 1, 0)", number, since, until)
        world.sql(
            "INSERT INTO uptime_line VALUES (%s, %s, %s, 60000, 0, 0)",
            *(machine_id, number, lenders.anna.user_id),
        )
        world.sql(
            "INSERT INTO usage_line VALUES ('c1', %s, %s, 1, 'executor', %s, 'm', 2, 1024, %s, %s, %s, 0,"
            " false, NULL)",
            *(number, clock.new_id(), machine_id, T0, number * 30_000, number * 30_000),
        )
        world.sql(
            "INSERT INTO payout VALUES (%s, %s, %s, 1000, 100, 7)",
            *(number, machine_id, lenders.anna.user_id),
        )
    lines = contributions.of_machine(lenders.anna, machine_id)
    assert [line["since"] for line in lines] == [T0, T0 + 60_000]
    for line in lines:
        assert (line["online_s"], line["vcore_seconds"], line["memory_mib_seconds"]) == (60, 60, 30 * 1024)
        assert (line["jobs_earned"], line["stipend"], line["earned"]) == (
            "0.000900",
            "0.000007",
            "0.000907",
        )
    assert registry.get(lenders.anna, machine_id)["earned"] == "0.001814"
    totals = contributions.totals(lines)
    assert (totals["online_s"], totals["vcore_seconds"], totals["earned"]) == (120, 120, "0.001814")
    head, first, *_ = contributions.as_csv(lines).splitlines()
    assert head == "since,until,online_s,vcore_seconds,memory_mib_seconds,jobs_earned,stipend,earned"
    assert first == f"{T0},{T0 + 60_000},60,60,{30 * 1024},0.000900,0.000007,0.000907"


def test_a_machine_is_resized_up_to_what_its_host_has(lenders) -> None:
    answer = lenders.lend(ip_address="10.0.9.1")
    machine_id = answer["machine_id"]
    registry.join(lenders.anna, machine_id, answer["join"]["token"], host_cores=8, host_memory=8192)
    record = registry.resize(lenders.anna, machine_id, core_count=8)
    assert (record["core_count"], record["memory_size"]) == (8, 4096)
    with pytest.raises(BadInputError) as refused:
        registry.resize(lenders.anna, machine_id, core_count=9, memory_size=8193)
    assert set(refused.value.errors) == {"core_count", "memory_size"}
    again = registry.resume(lenders.anna, machine_id)["join"]
    assert again["core_count"] == 8
    assert again["files"]["yarn-site.xml"]["yarn.nodemanager.resource.cpu-vcores"] == "8"


def test_a_host_that_nobody_described_may_only_lend_less_and_its_first_size_again(lenders) -> None:
    machine_id = lenders.joined(ip_address="10.0.9.1")
    registry.resize(lenders.anna, machine_id, core_count=1)
    with pytest.raises(BadInputError):
        registry.resize(lenders.anna, machine_id, core_count=5)
    assert registry.resize(lenders.anna, machine_id, core_count=4)["core_count"] == 4


def test_more_than_was_measured_earns_no_stipend_until_it_is_measured(lenders) -> None:
    machine_id = lenders.world.machine(lenders.anna.user_id)
    registry.resize(lenders.anna, machine_id, core_count=2)
    assert lenders.row(machine_id).verified_ms is not None
    registry.resize(lenders.anna, machine_id, core_count=4)
    assert lenders.row(machine_id).verified_ms is None


def test_a_machine_that_leaves_is_not_resized(lenders) -> None:
    machine_id = lenders.joined()
    registry.leave(lenders.anna, machine_id)
    with pytest.raises(ConflictError):
        registry.resize(lenders.anna, machine_id, core_count=1)


def test_a_change_of_state_is_not_made_from_a_stale_view(lenders) -> None:
    machine_id = lenders.joined()
    with database.transaction() as cursor:
        machine = queries.find(cursor, machine_id)
    registry.leave(lenders.anna, machine_id)
    with database.transaction() as cursor:
        assert machine is not None
        assert not changes.update(cursor, machine, "joining", state="active")
    assert lenders.row(machine_id).state == "draining"
