"""docs/first-job.md, typed as it stands there into a real terminal, on the whole stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from first_job import Desk, alike
from people import person

from distributedmarket.cli import exits
from market.kit import settings

pytestmark = pytest.mark.cluster


def test_the_first_job_goes_as_the_page_says(
    stack: settings.Settings, machines: list[dict[str, Any]], tmp_path: Path
) -> None:
    desk, codes = Desk(tmp_path, stack.url("api")), []
    for one in desk.page():
        code, screen = desk.types(one.line)
        assert alike(screen) == alike(one.shown), "\n".join(screen)
        codes.append(code)
    assert codes == [*[exits.DONE] * (len(codes) - 1), exits.REFUSED]


def test_a_program_that_fails_ends_so_with_its_mistake(
    stack: settings.Settings, machines: list[dict[str, Any]], tmp_path: Path
) -> None:
    desk, buyer = Desk(tmp_path, stack.url("api")), person(stack, "runner")
    (tmp_path / "password").write_text(buyer.password)
    words = f"--server {stack.url('api')} --username {buyer.username} --password-file password"
    assert desk.types(f"market login {words}")[0] == exits.DONE
    (tmp_path / "fails.py").write_text(
        "import os\n"
        "open(os.environ['MARKET_RESULTS'] + '/before.txt', 'w').write('so far')\n"
        "print('begun', flush=True)\n"
        "1 / 0\n"
    )
    code, screen = desk.types("market run --yes --type cpu --max-duration 10m --logs fails.py")
    assert code == exits.JOB_FAILED, "\n".join(screen)
    assert "begun" in screen
    assert "ZeroDivisionError: division by zero" in "\n".join(screen)
    (job,) = buyer.rest.get("/jobs")["jobs"]
    assert (tmp_path / "results" / job["job_id"] / "before.txt").read_text() == "so far"
