"""docs/first-job.md in a real terminal, with the real api-server; what YARN would do is written as it would.

The same is typed on the whole stack in tests/system/jobs, with the job's log.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from airflow_accounts import sql
from airflow_server import Airflow
from first_job import Desk, alike
from name_node import Node
from people import until

from distributedmarket.cli import exits

pytestmark = pytest.mark.database


def runs(server: Airflow, desk: Desk) -> None:
    """Do as the pool with the one job of a person: it runs, leaves a result, and succeeds."""

    def change(words: str, *values: object) -> list[Any]:
        with sql(server) as cursor:
            cursor.execute(words, values)
            return cursor.fetchall()

    asked = "SELECT job_id FROM job JOIN member USING (user_id) WHERE username = %s"
    ((job_id,),) = until(lambda: change(asked, desk.name), "the job")
    now = int(time.time() * 1000)
    begun = "UPDATE job SET status = 'running', started_ms = %s WHERE job_id = %s RETURNING job_id"
    change(begun, now, job_id)
    until(lambda: desk.terminal is not None and "  running\r\n" in desk.terminal.printed, "that it runs")
    folder = f"/user/{desk.name}/.market-jobs/{job_id}"
    for place in (folder, f"{folder}/output"):
        server.hdfs.nodes[place] = Node()
    server.hdfs.nodes[f"{folder}/output/pi.txt"] = Node(b"3.14159\n")
    ended = "UPDATE job SET status = 'succeeded', ended_ms = %s WHERE job_id = %s RETURNING job_id"
    change(ended, now + 21_000, job_id)


def test_the_page_is_what_a_terminal_shows(api_server: Airflow, tmp_path: Path) -> None:
    desk = Desk(tmp_path, api_server.url)
    pool = threading.Thread(target=runs, args=(api_server, desk), daemon=True)
    pool.start()
    codes = []
    for one in desk.page():
        if one.line == "market logs":  # nothing has printed anything here
            continue
        code, screen = desk.types(one.line)
        assert alike(screen) == alike(one.shown), "\n".join(screen)
        codes.append(code)
    pool.join(10)
    assert codes == [*[exits.DONE] * (len(codes) - 1), exits.REFUSED]
