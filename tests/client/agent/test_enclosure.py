"""Nothing of a container lives after it, whatever its program does to get away."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from agents import command_line
from leavings import KINDS, PROGRAM, marked
from people import until

from distributedmarket.agent import enclose, enclosure, groups, identity, limits, process_tags, usage
from distributedmarket.agent.enclosure import Enclosure
from distributedmarket.agent.sandbox import Sandbox, sandbox

CONTAINER = "local/usercache/ann/appcache/application_1_0001/container_1_0001_01_000001"
# What a NodeManager runs for a container, one in the other, in an environment that the job has a say in.
NODE_MANAGER = """\
cd {folder} || exit 1
echo exit 9 > {work}/first
BASH_ENV={work}/first PATH=/nowhere {programs}/nice -n 0 /usr/bin/env {allocated} bash \\
    {folder}/default_container_executor.sh
echo $? > {work}/code
sleep 600
"""
WRAPPER = """\
/bin/bash {folder}/default_container_executor_session.sh
exit $?
"""
SESSION = """\
echo $$ > {work}/pid
exec setsid /bin/bash {folder}/launch_container.sh
"""
LAUNCH = "export MARKET_MACHINE={machine}\nexec /bin/bash -c 'exec {python} {folder}/main.py {mark}'\n"


@dataclass
class Machine:
    """A guard with something that behaves as a NodeManager does, and one container."""

    folder: Path
    box: Sandbox
    kept: Enclosure
    allocated_mib: int = 0
    mark: str = field(default_factory=lambda: f"left-{secrets.token_hex(6)}")
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def run(self, program: str, *options: str, place: str = CONTAINER) -> subprocess.Popen[bytes]:
        container = self.work / place
        (container / "tmp").mkdir(parents=True)
        (self.work / "code").unlink(missing_ok=True)
        names = {"folder": container, "work": self.work, "machine": self.folder}
        names |= {"mark": self.mark, "python": os.path.realpath(sys.executable)}
        names["allocated"] = f"{enclose.ALLOCATED}={self.allocated_mib}"
        names["programs"] = self.folder / "conf" / "bin"
        (self.work / "node_manager").write_text(NODE_MANAGER.format(**names))
        (container / "default_container_executor.sh").write_text(WRAPPER.format(**names))
        (container / "default_container_executor_session.sh").write_text(SESSION.format(**names))
        (container / "launch_container.sh").write_text(LAUNCH.format(**names))
        (container / "main.py").write_text(PROGRAM + textwrap.dedent(program))
        for path in (self.work, *self.work.rglob("*")):
            os.chown(path, self.box.uid, self.box.gid)
        door = f"test-{self.mark}{len(self.started) or ''}"
        programs = enclosure.install(self.kept, self.folder, door)
        words = [*enclosure.options(self.kept, door), "--work", str(self.work), *options]
        tags = {process_tags.VARIABLE: str(self.folder), process_tags.STACK_VARIABLE: str(self.folder)}
        process = subprocess.Popen(
            [*self.box.around(*words), "/bin/bash", str(self.work / "node_manager")],
            stdin=subprocess.PIPE,
            env={**os.environ, **tags, "PATH": f"{programs}{os.defpath}"},
        )
        self.started.append(process)
        return process

    def ran(self, program: str, place: str = CONTAINER) -> Any:
        """Run a program to its end; return what it wrote into the file `seen`."""
        self.run(program, place=place)
        until(lambda: self.code() is not None, "the container's end", 20)
        assert self.code() == 0
        return json.loads((self.work / place / "seen").read_text())

    def code(self) -> int | None:
        """Return how the container ended; None while it runs."""
        file = self.work / "code"
        return int(file.read_text()) if file.exists() and file.read_text().strip() else None

    def end(self) -> None:
        for process in self.started:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)
        groups.end_all(self.folder)
        limits.end_all(self.folder)


ways = pytest.mark.parametrize("machine", ["strongest", "group", "tree"], indirect=True)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Return a folder outside /tmp, where machines have theirs; only root has one for sure."""
    with tempfile.TemporaryDirectory(dir="/srv" if os.geteuid() == 0 else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def machine(home: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Make a machine for each way of keeping a container together, where this host has it."""
    for folder in (*home.parents, home):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o711)
    folder = home / "machine"
    before = os.umask(0o022)
    for name in ("work/tmp", "work/home", "work/local", "work/logs", "conf", "hidden"):
        (folder / name).mkdir(parents=True)
    key = identity.folder(folder) / "machine.keytab"
    readable, hidden = [folder / "conf", key.parent], [folder / "hidden"] if os.geteuid() == 0 else []
    box = sandbox(folder / "work", readable, hidden)
    key.write_text("key")
    key.chmod(0o600)
    os.chown(key, box.uid, box.gid)
    for name in ("work", "work/tmp", "work/home", "work/local", "work/logs"):
        os.chown(folder / name, box.uid, box.gid)
    os.umask(0o077)  # as the process manager has it
    kept = enclosure.choose(folder, box, folder / "work", [folder / "hidden"], [], "127.0.0.9")
    way = getattr(request, "param", "strongest")
    if way == "group":
        if kept.groups is None:
            pytest.skip("this host lets nobody make control groups")
        kept = Enclosure((), kept.groups)
    elif way == "tree":
        kept = Enclosure((), None)
    assert kept.led
    made = Machine(folder, box, kept)
    yield made
    os.umask(before)
    made.end()
    assert marked(made.mark) == []


@ways
def test_what_a_program_leaves_ends_with_its_container(machine: Machine) -> None:
    machine.run("leave(sys.argv[1], 'driver'); open('left', 'w').close(); sys.stdin.close(); sys.exit(7)")
    until(lambda: machine.code() is not None, "the container's end", 20)
    assert machine.code() == 7
    assert (machine.work / CONTAINER / "left").exists(), "the program came to its end"
    until(lambda: not marked(machine.mark), "the end of what it has left", 10)


def main_of(mark: str) -> int:
    """Return the program's own process, as the host knows it."""
    numbers = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    (found,) = (pid for pid in numbers if command_line(pid)[-1] == mark)
    return found


@ways
def test_it_lives_as_long_as_its_container_which_yarn_can_end(machine: Machine) -> None:
    machine.run("leave(sys.argv[1], 'driver'); open('left', 'w').close(); import time; time.sleep(600)")
    until((machine.work / CONTAINER / "left").exists, "the program has left what it leaves", 20)
    main = main_of(machine.mark)
    assert ("/container-" in Path(f"/proc/{main}/cgroup").read_text()) is bool(machine.kept.groups)
    apart = os.readlink(f"/proc/{main}/ns/pid") != os.readlink(f"/proc/{os.getsid(main)}/ns/pid")
    assert apart is bool(machine.kept.spaces)
    with pytest.raises(AssertionError):  # the guard has looked for orphans meanwhile
        until(lambda: len(marked(machine.mark)) < KINDS + 1, "one that is missing", 2.5)
    os.killpg(os.getsid(main), signal.SIGKILL)
    until(lambda: machine.code() == 137, "the container's end", 20)
    until(lambda: not marked(machine.mark), "the end of what it has left", 10)


@ways
def test_who_fills_the_disk_is_stopped(machine: Machine) -> None:
    machine.run(
        """
        leave(sys.argv[1], "driver")
        hidden = open("/tmp/hidden" if os.path.samefile("/tmp", "tmp") else "tmp/hidden", "wb")
        os.unlink(hidden.name)
        open("seen", "wb").write(bytes(3 << 20))
        hidden.write(bytes(3 << 20)); hidden.flush()
        import time; time.sleep(600)
        """,
        *("--disk-mib", "5"),
    )
    until(lambda: machine.code() is not None, "the container's end", 30)
    assert machine.code() == 128 + signal.SIGXFSZ
    until(lambda: not marked(machine.mark), "the end of what it has left", 10)


@pytest.mark.parametrize("which", ["job", "stranger"])
def test_nobody_but_a_container_s_first_process_is_taken_up(machine: Machine, which: str) -> None:
    """Else a program could go on under a container of its own making."""
    if machine.kept.groups is None:
        pytest.skip("there is nothing to get out of")
    door = f"test-{machine.mark}"
    call = textwrap.dedent(f"""
        import socket
        try:
            s = socket.socket(socket.AF_UNIX); s.connect(chr(0) + {door!r}); s.recv(1)
        except PermissionError:
            pass  # a container in namespaces does not even reach it
    """)
    machine.run(f"{call if which == 'job' else ''}\nopen('left', 'w').close(); import time; time.sleep(600)")
    until((machine.work / CONTAINER / "left").exists, "the program runs", 20)
    if which == "stranger":
        subprocess.run([sys.executable, "-c", call], check=True)
    main = Path(f"/proc/{main_of(machine.mark)}/cgroup").read_text()
    for folder in (machine.kept.groups, *machine.kept.limits.values()):
        assert len(list(folder.glob("container-*"))) == 1
    assert main.count("/container-") == 1 + len(set(machine.kept.limits.values()) - {machine.kept.groups})


SPY = """
import ctypes, json, resource, socket
where = os.getcwd()
work = where.split("/local/")[0]

def found(root):
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names)

def works(does):
    try:
        does()
        return True
    except OSError:
        return False

def writable(folder):
    return works(lambda: open(os.path.join(folder, "new"), "w").close())

own = ["/proc", "/sys", "/tmp", "/var/tmp", "/dev/shm", where, work + "/tmp", work + "/home"]

def folders():
    for root in ("/", work):
        for folder, names, _ in os.walk(root):
            if folder in own:
                names.clear()
            else:
                yield folder

def call(name, *arguments):
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        raise OSError(ctypes.get_errno(), name)

def to_the_host():
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(chr(0) + sys.argv[1])

open("/tmp/mine", "wb").write(bytes(24 << 20))  # on the disk, not in memory
open(os.path.join(work, "home", "mine"), "w").write("x")
open("/dev/shm/mine", "w").write("x")
if os.path.isdir("/var/tmp"):
    open("/var/tmp/mine", "w").write("x")
numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
seen = {
    "files": found(work),
    "above": found(os.path.join("..", "..", "..", "..", "..")),
    "of the host": found(os.path.dirname(work)) + found("/run") + found("/home") + found("/root"),
    "writable": sorted(filter(writable, folders())),
    "manager": [number for number in numbers
                if os.path.exists(f"/proc/{number}/root{os.path.dirname(work)}/keys/machine.keytab")],
    "umask": os.umask(0),
    "account": [os.getresuid(), os.getresgid(), os.getgroups()],
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")],
    "limits": [resource.getrlimit(resource.RLIMIT_NOFILE)[1], resource.getrlimit(resource.RLIMIT_NPROC)[1]],
    "processes": sorted(open(f"/proc/{number}/cmdline").read() for number in numbers),
    "user namespace": works(lambda: call("unshare", 0x10000000)),
    "mount namespace": works(lambda: call("unshare", 0x20000)),
    "unmounted": works(lambda: call("umount2", b"/run", 2)) or works(lambda: call("umount2", b"/tmp", 2)),
    "remounted": works(lambda: call("mount", b"none", b"/usr", None, 32 | 4096, None)),
    "spoke to the host": works(to_the_host),
}
open("seen", "w").write(json.dumps(seen))
"""


@pytest.fixture
def apart(machine: Machine) -> Machine:
    """Return a machine whose containers have namespaces."""
    if not machine.kept.spaces:
        pytest.skip("only namespaces hide files")
    return machine


def test_a_container_sees_its_own_files_and_leaves_none(apart: Machine) -> None:
    work = apart.work
    users = work / "local" / "usercache"
    foreign = [users / "bob/appcache/application_1_0002/container_1_0002_01_000001/container_tokens"]
    foreign += [users / "ann/appcache/application_1_0003/secret", work / "local/nmPrivate/secret"]
    foreign += [users / "bob/filecache/12/secret", work / "logs/application_1_0002/secret"]
    foreign += [work / "tmp/another's", work / "home/another's", work.parent / "keys/machine.keytab"]
    foreign += [work.parent / "conf/secret", work.parent / "hidden/secret"]
    shared = [users / "ann/filecache/10/archive", work / "local/filecache/11/pyspark.zip"]
    for file in (*foreign, *shared):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
        file.chmod(0o644)
    seen = apart.ran(SPY)
    assert set(map(str, shared)) <= set(seen["files"])
    assert not {str(file) for file in foreign} & {*seen["files"], *seen["above"], *seen["of the host"]}
    assert not any("secret" in name or "token" in name or "another" in name for name in seen["above"])
    own = str((work / CONTAINER).parent)
    # Nor where the machine's folder lies in /tmp, as some users' do, and is seen in the container's own.
    assert [folder for folder in seen["writable"] if not folder.startswith(own)] == []
    assert seen["manager"] == []
    assert seen["umask"] == 0o027
    assert set(seen["capabilities"]) == {"0" * 16}
    for left in ("home/mine", "tmp/mine"):
        assert not (work / left).exists()
    for place in ("/dev/shm", "/tmp", "/var/tmp"):
        assert not Path(place, "mine").exists()


def test_a_container_sees_no_processes_but_its_own_and_gets_no_power_over_its_namespaces(
    apart: Machine,
) -> None:
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(f"\0{apart.mark}")  # a service of the host, whose name no mount namespace hides
        host.listen()
        seen = apart.ran(SPY)
    assert len(seen["processes"]) == 2, seen["processes"]
    for attempt in ("user namespace", "mount namespace", "unmounted", "remounted"):
        assert not seen[attempt], attempt
    if enclosure.kernel() >= (6, 12):
        assert not seen["spoke to the host"]
    files, processes = seen["limits"]
    assert files <= enclosure.OPEN_FILES
    assert processes == limits.PROCESSES


def test_each_container_has_an_account_of_its_own_and_its_files_are_yarn_s(apart: Machine) -> None:
    if apart.kept.accounts is None:
        pytest.skip("only root gives accounts, where the kernel maps the owners of files")
    numbers = set()
    for number in (1, 2):
        place = CONTAINER.replace("0001", f"000{number}")
        apart.run(
            "open('/tmp/new', 'w'); open('left', 'w').close(); import time; time.sleep(600)", place=place
        )
        until((apart.work / place / "left").exists, "the program runs", 20)
        numbers.add(Path(f"/proc/{main_of(apart.mark)}").stat().st_uid)
        assert (apart.work / place / "tmp" / "new").stat().st_uid == apart.box.uid
        os.killpg(os.getsid(main_of(apart.mark)), signal.SIGKILL)
        until(lambda: apart.code() == 137, "the container's end", 20)
        until(lambda: not marked(apart.mark), "the end of what it has left", 10)
    assert len(numbers) == 2
    assert all(apart.kept.accounts.first <= number <= apart.kept.accounts.last for number in numbers)


POISON = """
import json, shutil, zipfile
shared = os.getcwd().split("/usercache/")[0] + "/filecache/11"
target = shared + "/pyspark.zip"

def write():
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("pyspark.py", "open('poisoned', 'w').close()")

def replace():
    with zipfile.ZipFile("tmp/other.zip", "w") as archive:
        archive.writestr("pyspark.py", "open('poisoned', 'w').close()")
    os.rename("tmp/other.zip", target)

def move():
    os.rename(shared, shared + ".old")
    os.mkdir(shared)
    write()

def loosen():
    os.chmod(target, 0o666)
    write()

done = []
for attempt in (write, replace, loosen, lambda: os.unlink(target), move, lambda: shutil.rmtree(shared)):
    try:
        attempt()
        done.append(attempt.__name__)
    except OSError:
        pass
json.dump(done, open("seen", "w"))
"""
USES = """
import json
sys.path.insert(0, os.getcwd().split("/usercache/")[0] + "/filecache/11/pyspark.zip")
import pyspark
json.dump([pyspark.__doc__, os.path.exists("poisoned")], open("seen", "w"))
"""


def test_what_one_job_does_to_the_shared_cache_the_next_one_does_not_run(apart: Machine) -> None:
    shared = apart.work / "local" / "filecache" / "11"
    shared.mkdir(parents=True)
    with zipfile.ZipFile(shared / "pyspark.zip", "w") as archive:
        archive.writestr("pyspark.py", "'the true one'")
    assert apart.ran(POISON) == []
    assert apart.ran(USES, CONTAINER.replace("ann", "bob").replace("0001", "0002")) == ["the true one", False]


FLOOD = """
import json, threading, time
made = 0
try:
    while made < 6000:
        threading.Thread(target=time.sleep, args=[600], daemon=True).start()
        made += 1
except RuntimeError:
    pass
files = []
try:
    while True:
        files.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    for file in files[:9]:
        os.close(file)
with open("seen", "w") as seen:
    json.dump([made, len(files)], seen)
os._exit(0)
"""


def test_a_container_starts_so_many_processes_and_opens_so_many_files(apart: Machine) -> None:
    made, files = apart.ran(FLOOD)
    assert made < limits.PROCESSES
    assert files < enclosure.OPEN_FILES


SHARED = "open('/dev/shm/all', 'wb').write(bytes(60 << 20)); "


@pytest.mark.parametrize("held", ["held = b'x' * (300 << 20)", f"{SHARED}held = b'x' * (90 << 20)"])
@pytest.mark.parametrize("who", ["program", "child"])
def test_the_kernel_holds_a_container_to_its_memory(machine: Machine, held: str, who: str) -> None:
    """Shared memory counts."""
    if "memory" not in machine.kept.limits:
        pytest.skip("no control group for memory can be made here")
    child = f"subprocess.run([sys.executable, '-c', {held!r}]); import time; time.sleep(600)"
    machine.allocated_mib = 64
    machine.run(held if who == "program" else child)
    until(lambda: machine.code() is not None, "the container's end", 30)
    assert machine.code() == 128 + signal.SIGXCPU
    folders = machine.kept.limits.values()
    until(
        lambda: not [one for folder in folders for one in folder.glob("container-*")], "the groups' end", 10
    )


WORKER = """
import subprocess, sys, time
takes = "open('/proc/self/oom_score_adj', 'w').write('0'); held = b'x' * (300 << 20)"
worker = subprocess.run([sys.executable, "-c", takes])
open("outlived", "w").write(str(worker.returncode))
time.sleep(600)
"""


def test_where_memory_runs_out_a_container_ends_before_it_can_tell_of_a_crash(machine: Machine) -> None:
    if "memory" not in machine.kept.limits:
        pytest.skip("no control group for memory can be made here")
    machine.allocated_mib = 64
    machine.run(WORKER)
    until(lambda: machine.code() is not None, "the container's end", 30)
    assert machine.code() == 128 + signal.SIGXCPU
    assert not list(machine.folder.rglob("outlived"))


def test_namespaces_are_used_where_this_host_has_them(machine: Machine) -> None:
    unshared = ["unshare", "--user", "--map-current-user", "--mount", "--pid", "--fork", "--mount-proc"]
    found = enclosure.runs([*machine.box.around(), *unshared, "true"], machine.work)
    assert machine.kept.description.startswith("each container in namespaces") is found
    assert ("see each other" in machine.kept.description) is not found


def test_where_the_account_cannot_run_python_containers_start_as_yarn_has_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enclosure, "_python", lambda script: ["/nowhere/python", str(script)])
    kept = enclosure.choose(machine.folder, machine.box, machine.work, [], [], "127.0.0.9")
    assert (kept.led, kept.spaces, kept.groups) == (False, (), None)
    assert "cannot run" in kept.description
    assert enclosure.install(kept, machine.folder, "door") == ""


def test_containers_give_way_to_what_keeps_the_machine(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    programs = enclosure.install(Enclosure((), None), tmp_path, "door").removesuffix(":")
    words = [f"{programs}/nice", "-n", "5", "/bin/sh", "-c", "/usr/bin/nice; echo $OF_THE_JOB"]
    ran = subprocess.run(words, env={"OF_THE_JOB": "x"}, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(os.nice(0) + 5)], "and in an environment without the job's variables"


BURNS = """\
import subprocess, sys, time
def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until: pass
"""


def told(folder: Path) -> dict[str, Any]:
    file = folder / usage.FILE
    text = file.read_text() if file.exists() else ""
    return json.loads(text) if text else {}


def logs(machine: Machine) -> Path:
    folder = machine.work.joinpath("logs", *CONTAINER.split("/")[-2:])
    folder.mkdir(parents=True)
    return folder


@ways
def test_all_processes_of_a_container_count_also_those_that_have_ended(machine: Machine) -> None:
    folder = logs(machine)
    program = f"""
    code = {BURNS!r}
    exec(code)
    subprocess.run([sys.executable, "-c", code + "burn(0.7)"], check=True)
    held = bytearray(b"x" * (150 << 20))
    time.sleep(1.5)
    burn(0.7)
    open("seen", "w").write("1")
    """
    machine.ran(program)
    until(lambda: told(folder).get("cpu_s", 0) >= 1.4, "the figures", 5)
    figures = told(folder)
    assert 1.4 <= figures["cpu_s"] < 5, figures
    assert 150 <= figures["peak_memory_mib"] < 400, figures


@ways
def test_a_container_that_is_killed_has_left_its_figures(machine: Machine) -> None:
    folder = logs(machine)
    machine.run(f"exec({BURNS!r})\nburn(600)")
    until(lambda: told(folder).get("cpu_s", 0) >= 1, "the figures while it runs", 60)
    os.killpg(os.getsid(main_of(machine.mark)), signal.SIGKILL)
    until(lambda: not marked(machine.mark), "the container's end", 20)
    assert told(folder)["cpu_s"] >= 1
    assert len((folder / usage.FILE).read_bytes()) == 96
