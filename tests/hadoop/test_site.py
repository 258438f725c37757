"""Hadoop's files: what keeps strangers out and people apart is in them."""

import xml.etree.ElementTree as ElementTree

from market.hadoop import site
from market.kit import settings

LOADED = settings.load()
QUEUES = site.files(LOADED)["capacity-scheduler.xml"]
ROOT = "yarn.scheduler.capacity.root"


def test_every_type_has_a_queue_that_reaches_only_its_machines_and_the_pools():
    for name in LOADED.types:
        assert QUEUES[f"{ROOT}.{name}.accessible-node-labels"] == f"{name},pool"
        assert QUEUES[f"{ROOT}.{name}.capacity"] == "0", "the default partition is for strangers"
        assert QUEUES[f"{ROOT}.{name}.ordering-policy"] == "fair", "among the users of a type"
    pool = sum(int(QUEUES[f"{ROOT}.{name}.accessible-node-labels.pool.capacity"]) for name in LOADED.types)
    assert pool == 100


def test_a_full_machine_is_not_reserved_while_another_has_room():
    assert QUEUES["yarn.scheduler.capacity.schedule-asynchronously.enable"] == "false"


def test_executors_of_a_job_come_together():
    limit = "yarn.scheduler.capacity.per-node-heartbeat.maximum-"
    assert int(QUEUES[f"{limit}offswitch-assignments"]) == int(QUEUES[f"{limit}container-assignments"]) > 1


def test_the_queue_of_unlabelled_machines_takes_no_application():
    assert QUEUES[f"{ROOT}.nobody.capacity"] == "100"
    assert QUEUES[f"{ROOT}.nobody.acl_submit_applications"].strip() == ""
    assert site.files(LOADED)["yarn-site.xml"]["yarn.acl.enable"] == "true"


def test_everything_binds_to_the_address_of_the_settings():
    addresses = [
        value
        for properties in site.files(LOADED).values()
        for name, value in properties.items()
        if name.endswith(("address", "bind-host"))
    ]
    assert addresses
    assert all(value.split(":")[0] == LOADED.bind for value in addresses)


def test_the_include_list_is_never_empty_and_is_not_overwritten(tmp_path):
    loaded = settings.load(tmp_path)
    site.write(loaded)
    include = site.admission_lists(loaded) / "nodes.include"
    assert include.read_text().split() == ["127.0.0.2", "nobody.invalid"], "the pool's own machine is let in"
    include.write_text("127.0.0.11\n")
    site.write(loaded)
    assert include.read_text() == "127.0.0.11\n"


def test_values_are_escaped():
    text = site.xml({"a": "<&>"})
    assert ElementTree.fromstring(text).findtext("property/value") == "<&>"
