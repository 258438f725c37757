"""The ResourceManager's file of summaries: lines as a real one wrote them, and what users put into them."""

from __future__ import annotations

from pathlib import Path

import pytest

from market.cluster.ended_applications import EndedApplications

# Of Hadoop 3.5.0, with max-completed-applications at 5: it answered 404 for this one by then.
REAL = (
    r"appId=application_1795959286811_0001,name=market a\,b\=c\\d\nline \"q\" é\,appId\=x,user=market,"
    r"queue=root.cpu,state=KILLED,trackingUrl=http://localhost:18088/cluster/app/application_1795959286811_0001,"
    r"appMasterHost=N/A,submitTime=1795959299529,startTime=1795959301036,launchTime=0,finishTime=1795959305308,"
    r"finalStatus=KILLED,memorySeconds=12,vcoreSeconds=3,preemptedMemorySeconds=0,preemptedVcoreSeconds=0,"
    r"preemptedAMContainers=0,preemptedNonAMContainers=0,preemptedResources=<memory:0\, vCores:0>,"
    r"applicationType=SPARK,resourceSeconds=0 MB-seconds\, 0 vcore-seconds,"
    r"preemptedResourceSeconds=0 MB-seconds\, 0 vcore-seconds,"
    r"applicationTags=00000000000000000000000000000000\,00000000000000000000000000000000-1\,zz,"
    r"applicationNodeLabel=,diagnostics=Application application_1795959286811_0001 was killed by user market "
    r"with diagnostic message: because\, of\=x\\ and\nnewline,totalAllocatedContainers=0"
).replace(r"\"", '"')


@pytest.fixture
def ended(tmp_path: Path) -> EndedApplications:
    file = tmp_path / "applications.log"
    file.write_text(line(3, "c") + REAL + "\n" + line(4, "c"))
    (tmp_path / "applications.log.1").write_text(line(2, "b") + line(3, "older"))
    (tmp_path / "applications.log.2").write_text(
        "half a line\n" + line(1, "a") + "appId=application_1_9,state="
    )
    return EndedApplications(file)


def line(number: int, tag: str) -> str:
    return (
        f"appId=application_1_{number},name=n,user=u,queue=q,state=FINISHED,startTime=1,finishTime=2,"
        f"finalStatus=SUCCEEDED,applicationTags={tag},diagnostics=,totalAllocatedContainers=1\n"
    )


def test_a_line_is_read_as_it_was_written(ended: EndedApplications) -> None:
    app = ended.by_id(["application_1795959286811_0001"])["application_1795959286811_0001"]
    assert app.name == 'market a,b=c\\d\nline "q" é,appId=x'
    assert (app.state, app.final_status, app.queue) == ("KILLED", "KILLED", "root.cpu")
    assert app.tags == ("0" * 32, "0" * 32 + "-1", "zz")
    assert (app.started_ms, app.finished_ms) == (1795959301036, 1795959305308)
    assert (app.memory_seconds, app.vcore_seconds) == (12, 3)
    assert app.diagnostics.endswith("because, of=x\\ and\nnewline")
    assert app.ended


def test_older_files_are_read_while_something_is_missing(ended: EndedApplications) -> None:
    found = ended.by_id(["application_1_1", "application_1_3", "application_1_8", "application_1_9"])
    assert set(found) == {"application_1_1", "application_1_3"}
    assert found["application_1_3"].tags == ("c",)


def test_a_tag_names_the_last_of_its_applications(ended: EndedApplications) -> None:
    last = ended.with_tag("c")
    assert last is not None
    assert last.application_id == "application_1_4"
    first = ended.with_tag("a")
    assert first is not None
    assert first.application_id == "application_1_1"
    assert ended.with_tag("zz-1") is None
    assert ended.with_tag("newline") is None, "a part of somebody's words is no tag"


def test_there_may_be_no_file_yet(tmp_path: Path) -> None:
    ended = EndedApplications(tmp_path / "applications.log")
    assert ended.by_id(["application_1_1"]) == {}
    assert ended.with_tag("a") is None
