"""`market run` in a terminal, with the real api-server; what YARN would do is written as it would."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_accounts import Person, sql
from airflow_server import Airflow
from name_node import Node
from terminals import Terminal

from distributedmarket.cli import exits
from distributedmarket.cli.__main__ import main
from market.kit import settings

pytestmark = pytest.mark.database
TRAIN = "import helper\nprint(open('data.csv').read())\n"


class Desk:
    """Somebody at a terminal, in a folder with a program."""

    def __init__(self, server: Airflow, person: Person, folder: Path) -> None:
        self.server, self.person, self.folder = server, person, folder
        self.environment = {
            "PYTHONPATH": str(settings.ROOT / "client"),
            "MARKET_PROFILES": str(folder / "profiles.json"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HOME": str(folder),
        }
        self.terminals: list[Terminal] = []

    def types(self, *words: str) -> Terminal:
        command = [sys.executable, "-m", "distributedmarket.cli", *words]
        self.terminals.append(Terminal(command, self.environment, self.folder))
        return self.terminals[-1]

    def job(self, terminal: Terminal) -> str:
        """Return the id of the job that was submitted there."""
        terminal.until("job      ")
        terminal.until("waiting: ")
        found = re.search(r"job      ([0-9a-f]{32})", terminal.printed)
        assert found is not None
        return found.group(1)

    def moves(self, job_id: str, status: str) -> None:
        """Write that a job has come to a status, as the triggerer does."""
        ended, now = status in ("succeeded", "failed", "lost", "cancelled"), int(time.time() * 1000)
        with sql(self.server) as cursor:
            cursor.execute(
                "UPDATE job SET status = %s, ended_ms = %s, started_ms = coalesce(started_ms, %s)"
                " WHERE job_id = %s",
                [status, now if ended else None, None if status == "accepted" else now - 65_000, job_id],
            )

    def leaves(self, job_id: str, path: str, data: bytes) -> None:
        """Put a result where the program would."""
        folder = f"/user/{self.person.username}/.market-jobs/{job_id}/output"
        for place in (folder.rpartition("/")[0], folder):
            self.server.hdfs.nodes.setdefault(place, Node())
        self.server.hdfs.nodes[f"{folder}/{path}"] = Node(data)

    def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.person.ask("GET", "/jobs").json()["jobs"]
        return found


@pytest.fixture
def desk(api_server: Airflow, register: Callable[..., Person], tmp_path: Path) -> Iterator[Desk]:
    made = Desk(api_server, register("ada"), tmp_path)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "data.csv").write_text("1,2\n")
    profile = {
        "server": api_server.url,
        "username": made.person.username,
        "user_id": made.person.user_id,
        "token": made.person.token,
    }
    (tmp_path / "profiles.json").touch(mode=0o600)
    (tmp_path / "profiles.json").write_text(json.dumps({"default": profile}))
    yield made
    for terminal in made.terminals:
        terminal.close()


RUN = ["run", "--type", "cpu", "--max-duration", "10m"]


def test_a_program_goes_there_and_its_results_come_back(desk: Desk) -> None:
    terminal = desk.types(*RUN, "train.py", "--", "--epochs", "3")
    terminal.until("Run it? [y/N]")
    assert desk.jobs() == []
    terminal.type("y\n")
    job_id = desk.job(terminal)
    terminal.until("waiting: Airflow begins it in a moment.")
    desk.moves(job_id, "running")
    terminal.until("  running")
    terminal.until("0.00 credits so far")
    desk.leaves(job_id, "model.txt", b"weights")
    desk.moves(job_id, "succeeded")
    assert terminal.end() == exits.DONE
    short = job_id[-8:]
    screen = [line for line in terminal.screen if line]
    assert screen[0] == "program  train.py with data.csv, helper.py, 49 B: 3 files uploaded"
    assert re.fullmatch(
        r"quote    at most 0\.\d+ credits: \d\.\d+ an hour for 1 executor core on cpu; you have 15\.00",
        screen[1],
    )
    assert screen[2:4] == ["Run it? [y/N] y", f"job      {job_id}"]
    assert screen[-3] == f"{short}  running"
    assert re.fullmatch(rf"{short}  succeeded after 1 min \d+ s, \d\.\d+ credits, being settled", screen[-2])
    assert screen[-1] == f"results  1 file, 7 B, in results/{job_id}/"
    assert (desk.folder / "results" / job_id / "model.txt").read_bytes() == b"weights"
    (job,) = desk.jobs()
    assert (job["entry_file"], job["app_params"]) == ("train.py", ["--epochs", "3"])


def test_only_what_has_changed_is_sent_again(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(desk.folder)

    def sent() -> int:
        assert main([*RUN, "--yes", "--detach", "--to", "work", "train.py"]) == exits.DONE
        found = re.search(r"(\d+) files? uploaded", capsys.readouterr().out)
        assert found is not None
        return int(found.group(1))

    def there() -> set[str]:
        listed = desk.person.ask("GET", "/files", params={"path": "work"}).json()["files"]
        return {entry["path"] for entry in listed}

    assert (sent(), sent()) == (3, 0)
    (desk.folder / "helper.py").write_text("a = 1\n")
    assert sent() == 1
    desk.person.ask("PUT", "/files/work/data.csv", data=b"somebody else's")
    assert sent() == 1
    desk.person.ask("PUT", "/files/work/own.txt", data=b"mine")
    (desk.folder / "train.py").write_text("import helper\n")
    assert sent() == 1
    assert there() == {"work/train.py", "work/helper.py", "work/own.txt"}
    assert len({job["job_id"] for job in desk.jobs()}) == 5


def test_a_no_pays_nothing_and_without_a_terminal_nobody_is_asked(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = desk.types(*RUN, "train.py")
    terminal.until("Run it? [y/N]")
    terminal.type("\n")
    assert terminal.end() == exits.REFUSED
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(desk.folder)
    assert main([*RUN, "train.py"]) == exits.REFUSED
    assert "say --yes" in capsys.readouterr().err
    assert desk.jobs() == []


@pytest.mark.parametrize(
    ("answer", "code", "ended"),
    [
        ("y\n", exits.JOB_CANCELLED, True),
        ("n\n", exits.INTERRUPTED, False),
        ("\x03", exits.INTERRUPTED, False),
    ],
)
def test_ctrl_c_asks_whether_to_cancel(desk: Desk, answer: str, code: int, ended: bool) -> None:
    terminal = desk.types(*RUN, "--yes", "train.py")
    job_id = desk.job(terminal)
    terminal.type("\x03")
    terminal.until("Cancel the job?")
    terminal.type(answer, until_end=answer == "\x03")
    assert terminal.end() == code
    assert (desk.jobs()[0]["job_id"], desk.jobs()[0]["status"] == "cancelled") == (job_id, ended)
    assert ("market cancel" in terminal.printed) is not ended
    assert "Traceback" not in terminal.printed


def test_ctrl_c_and_an_empty_answer_go_on(desk: Desk) -> None:
    terminal = desk.types(*RUN, "--yes", "train.py")
    job_id = desk.job(terminal)
    terminal.type("\x03")
    terminal.until("Cancel the job?")
    terminal.type("\n")
    desk.moves(job_id, "succeeded")
    assert terminal.end() == exits.DONE


@pytest.mark.parametrize(("status", "code"), [("failed", exits.JOB_FAILED), ("lost", exits.JOB_LOST)])
def test_the_exit_code_is_the_outcome(desk: Desk, status: str, code: int) -> None:
    terminal = desk.types(*RUN, "--yes", "train.py")
    desk.moves(desk.job(terminal), status)
    assert terminal.end() == code


def test_what_would_fail_is_told_before_anything_is_sent(desk: Desk) -> None:
    program = 'import nowhere\nSparkSession.builder.master("local[*]")\n'
    (desk.folder / "train.py").write_text(program)
    terminal = desk.types(*RUN, "--yes", "train.py")
    assert terminal.end() == exits.REFUSED
    shown = "\n".join(terminal.screen)
    assert "error  train.py:1: imports nowhere" in shown
    assert 'note  train.py:2: master("local[*]") changes nothing' in shown
    assert "nothing was sent" in shown
    assert desk.person.ask("GET", "/files").json()["files"] == []
    assert desk.jobs() == []
    terminal = desk.types(*RUN, "--yes", "--no-check", "--detach", "train.py")
    assert terminal.end() == exits.DONE


def test_words_without_dashes_before_them_are_refused(desk: Desk) -> None:
    terminal = desk.types(*RUN, "train.py", "epochs")
    assert terminal.end() == exits.USAGE
    assert "write -- before what the program is given" in terminal.printed


def test_for_programs_there_is_one_answer_in_json(desk: Desk) -> None:
    terminal = desk.types(*RUN, "--yes", "--json", "--detach", "train.py")
    assert terminal.end() == exits.DONE
    assert json.loads(terminal.printed)["status"] == "submitted"
