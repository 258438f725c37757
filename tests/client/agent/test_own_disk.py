"""A machine with a disk of its own fills nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from distributedmarket.agent import own_disk
from distributedmarket.agent.nodemanager import NodeManager
from distributedmarket.agent.sandbox import sandbox
from distributedmarket.runtime.places import Places

MIB = 64
FILL = "echo x > mine && dd if=/dev/zero of=local/much bs=1M count=100"


@pytest.fixture
def node(tmp_path: Path) -> NodeManager:
    if os.geteuid():
        pytest.skip("only root may mount a disk")
    places = Places(tmp_path, tmp_path)
    for folder in (places.runtime, places.hadoop):
        folder.mkdir()
    return NodeManager(places, tmp_path / "machines" / "m", "127.0.0.9", "/java", MIB)


def test_where_one_can_be_mounted_the_machine_says_so_and_is_bound(node: NodeManager, tmp_path: Path) -> None:
    folder = tmp_path / "machines" / "m"
    work, image = folder / "work", folder / "work.img"
    assert not image.exists(), "trying leaves nothing"
    own_disk.make(image, MIB)
    box = sandbox(work, [folder / "conf"], [folder.parent])
    words = box.around("--image", str(image), "--work", str(work))
    done = subprocess.Popen(
        [*words, "sh", "-c", FILL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.stdout is not None
    said = done.stdout.read().decode()
    done.wait(20)
    bound = f"its files on a disk of {MIB} MiB" in node.description
    assert bound is ("No space left on device" in said), said
    if bound:
        assert not (work / "mine").exists(), "it was on the disk, which is no longer mounted"
        assert image.stat().st_blocks * 512 <= MIB << 20
        loops = subprocess.run(["losetup", "-j", str(image)], capture_output=True, text=True, check=True)
        assert loops.stdout == ""


def test_it_is_never_larger_than_what_the_host_has(
    node: NodeManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "its files on a disk" not in node.description:
        pytest.skip("no disk can be mounted here")
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real._replace(free=40 << 20))
    assert node._mountable(MIB) == 30


def test_without_the_means_the_files_stay_on_the_host_s_disk(
    node: NodeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_disk, "_MAKE", ("false",))
    assert node._mountable(MIB) == 0
