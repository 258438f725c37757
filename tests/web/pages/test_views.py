"""The parts of the views that compute, and what is registered with Airflow."""

from market.airflow import menu
from market.web.pages import views
from market.web.pages.base import FOLDER
from market.web.pages.credits_view import days_left
from market.web.pages.jobs_view import steps

DAY = 86_400_000
NOW = 1_795_500_000_000


def had(*statuses: str) -> list[dict[str, object]]:
    return [{"status": status, "at": 1000 + index} for index, status in enumerate(statuses)]


def test_steps_of_a_running_job() -> None:
    found = steps("running", had("submitted", "queued", "accepted", "running"))
    assert [step["kind"] for step in found] == ["done", "done", "done", "now", ""]
    assert [step["at"] for step in found] == [1000, 1001, 1002, 1003, None]


def test_steps_that_were_jumped_over_count_as_done() -> None:
    found = steps("succeeded", had("submitted", "queued", "running", "succeeded"))
    assert [step["kind"] for step in found] == ["done", "done", "done", "done", "now end good"]
    assert found[-1] == {"name": "succeeded", "at": 1003, "kind": "now end good"}


def test_steps_of_a_job_that_was_cancelled_before_it_ran() -> None:
    found = steps("cancelled", had("submitted", "queued", "cancelling", "cancelled"))
    assert [step["kind"] for step in found] == ["done", "done", "", "", "now end none"]


def test_days_left_at_the_last_week_s_spending() -> None:
    lines = [
        {"at": NOW - 10 * DAY, "kind": "grant", "amount": "15.000000", "balance": "15.000000"},
        {"at": NOW - DAY, "kind": "capture", "amount": "-7.000000", "balance": "8.000000"},
    ]
    assert days_left(lines, NOW) == 8
    assert days_left(lines[:1], NOW) is None
    first_day = [line | {"at": NOW - DAY // 2} for line in lines]
    assert days_left(first_day, NOW) is None
    assert days_left([], NOW) is None


def test_each_view_has_a_resource_of_its_own() -> None:
    """Two views with one resource would delete each other's permissions at every start."""
    resources = [line["view"].class_permission_name for line in views.APPBUILDER_VIEWS]
    assert len(set(resources)) == len(resources)


def test_a_market_user_may_do_what_the_pages_offer_and_no_more() -> None:
    offered = {
        (action, line["view"].class_permission_name)
        for line in views.APPBUILDER_VIEWS
        for action in line["view"].base_permissions
    }
    assert set(views.PERMISSIONS) == {
        pair for pair in offered if pair[1] not in (menu.OPERATIONS, menu.ADMINISTRATION)
    }


def test_menu_entries_lead_to_views_and_have_icons() -> None:
    bases = {line["view"].route_base for line in views.APPBUILDER_VIEWS}
    for entry in views.EXTERNAL_VIEWS:
        assert str(entry["href"]).removeprefix("/pluginsv2").rstrip("/") in bases
        for icon in (entry["icon"], entry["icon_dark_mode"]):
            assert (FOLDER / "static" / str(icon).rpartition("/static/")[2].partition("?")[0]).is_file()
