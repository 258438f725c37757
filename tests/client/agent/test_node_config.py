"""The configuration of a NodeManager: the market's part and the machine's own."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from distributedmarket.agent import node_config, process_tags
from distributedmarket.agent.node_config import Ports
from distributedmarket.agent.nodemanager import NodeManager
from distributedmarket.runtime.places import Places
from market.hadoop.node_config import shared_files
from market.kit.settings import load

PORTS = Ports(1, 2, 3, 4)


def test_the_configuration_holds_no_secret_and_binds_to_the_machine(tmp_path: Path) -> None:
    shared = shared_files(load(), 4, 8192)
    assert "password" not in str(shared)
    assert "proxyuser" not in str(shared)
    files = node_config.local_files(shared, "127.0.0.9", PORTS, tmp_path, "/rt/bin", ["TZ"])
    yarn = files["yarn-site.xml"]
    assert yarn["yarn.nodemanager.address"] == "127.0.0.9:1"
    assert yarn["yarn.nodemanager.container-executor.os.sched.priority.adjustment"] == "5"
    assert yarn["yarn.nodemanager.pmem-check-enabled"] == "true"
    assert yarn["yarn.nodemanager.log-container-debug-info.enabled"] == "false", "it shows a job's variables"
    own = [value for name, value in yarn.items() if name.startswith("yarn.nodemanager") and "address" in name]
    assert all(value.startswith("127.0.0.9:") for value in own)


def test_a_resize_says_the_size_with_the_market_s_properties() -> None:
    assert node_config.resized(shared_files(load(), 4, 8192), 2, 1024) == shared_files(load(), 2, 1024)


def test_a_machine_s_disk_has_bounds_and_a_market_without_them_sets_none() -> None:
    shared = shared_files(load(), 4, 8192)
    yarn = shared["yarn-site.xml"]
    assert yarn["yarn.nodemanager.container-log-monitor.enable"] == "true"
    assert yarn["yarn.nodemanager.container-log-monitor.dir-size-limit-bytes"] == str(512 << 20)
    assert yarn["yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage"] == "90"
    assert yarn["yarn.nodemanager.disk-health-checker.min-free-space-per-disk-mb"] == "1024"
    told = ["--disk-mib", "16384", "--full-percent", "90", "--full-mib", "1024"]
    assert node_config.disk_options(shared) == told
    assert node_config.disk_options({"yarn-site.xml": {}})[1] == "0"


def test_containers_inherit_what_jobs_and_the_market_look_for(tmp_path: Path) -> None:
    node = NodeManager(Places(tmp_path, tmp_path), tmp_path / "machines" / "m", "127.0.0.9", "/java")
    inherited = node._inherited_variables()
    assert inherited["MARKET_RUNTIME"] == str(tmp_path / "runtime"), "what submissions name (hadoop/spark.py)"
    assert {"JAVA_HOME", "SPARK_LOCAL_IP", "JDK_JAVA_OPTIONS"} <= set(inherited)
    assert {process_tags.VARIABLE, process_tags.STACK_VARIABLE} <= set(inherited)
    assert inherited.items() <= node._environment().items()


def test_hadoop_reads_what_is_written() -> None:
    text = node_config.xml({"a.b": "1 < 2 & 3"})
    (found,) = ElementTree.fromstring(text)
    assert [element.text for element in found] == ["a.b", "1 < 2 & 3"]
