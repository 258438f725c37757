"""A job from the form to its end, as a person does it in the browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from system.browser.conftest import Page, Person

pytestmark = pytest.mark.browser

PROGRAM = """
import os, time
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
print("counted", spark.range(1000).count())
time.sleep(600)
"""


@pytest.fixture(scope="module")
def job_id(page: Page, person: Person, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Upload a program through the page and submit it."""
    program = Path(tmp_path_factory.mktemp("program")) / "main.py"
    program.write_text(PROGRAM)
    page.entry("My jobs")
    page.click("Submit a job")
    page.find("#folder-name").send_keys("browser")
    page.click("Create folder")
    page.shows("This folder is empty")
    page.find("#upload").send_keys(str(program))
    page.shows("main.py is uploaded")
    page.until(lambda: page.find('input[name="entry_file"]').is_selected(), "main.py chosen")
    page.find("#app_params").send_keys('--quotes\n"it\'s" $HOME {{ x }} <b>')
    page.find("#job_name").send_keys("from the browser")
    page.find("#job_note").send_keys("<i>first</i> try")
    page.until(lambda: page.find('.quote [data-out="hold"]').text[:1].isdigit(), "a quote")
    page.shoot("submit")
    page.click("Submit the job")
    page.shows("The job is submitted.")
    jobs = person.rest.get("/jobs")["jobs"]
    assert [job["job_name"] for job in jobs] == ["from the browser"]
    return str(jobs[0]["job_id"])


def test_the_job_s_page_moves_on_by_itself(page: Page, person: Person, job_id: str) -> None:
    assert person.rest.get(f"/jobs/{job_id}")["app_params"] == ["--quotes", '"it\'s" $HOME {{ x }} <b>']
    page.driver.switch_to.default_content()
    page.driver.get(f"{page.url}/plugin/market-jobs/pluginsv2/market/jobs/{job_id}")
    page.frame("My jobs")
    for heading in ("Results", "Logs", "Receipt", "Details", "from the browser", "<i>first</i> try"):
        page.shows(heading)
    page.until(
        lambda: page.find("#badge .badge").text in ("Queued", "Accepted", "Running"), "the job's next step"
    )
    page.shoot("job")


def test_the_list_shows_it_and_filters(page: Page, job_id: str) -> None:
    page.entry("My jobs")
    page.shows("from the browser")
    page.click("Failed")
    page.shows("No job matches")
    page.click("Show all jobs")
    page.find("#q").send_keys("browser\n")
    page.shows("from the browser")
    page.shoot("jobs")


def test_cancelling_asks_first_and_then_cancels(page: Page, person: Person, job_id: str) -> None:
    page.entry("My jobs")
    page.click("from the browser")
    page.click("Cancel job")
    page.shows("Stop this job?")
    page.click("Let it run")
    assert person.rest.get(f"/jobs/{job_id}")["status"] not in ("cancelling", "cancelled")
    page.click("Cancel job")
    page.click("Cancel the job")
    page.until(lambda: page.find("#badge .badge").text == "Cancelled", "the end")
    page.shoot("cancelled")
    assert person.rest.get(f"/jobs/{job_id}")["status"] == "cancelled"


def test_the_page_of_an_ended_job_follows_until_its_receipt_is_final(
    page: Page, person: Person, job_id: str
) -> None:
    def shown() -> float:
        return float(page.find('#cost [data-out="used"] .money').get_attribute("title"))

    page.driver.execute_script("window.untouched = true")
    before = shown()
    person.receipt(job_id)
    page.until(lambda: page.find("[data-job]").get_attribute("data-final") is not None, "the receipt")
    page.until(lambda: "Final" in page.find("[data-part=receipt]").text, "its words")
    assert shown() >= before - 0.005  # YARN may tell an end some seconds before the last sight of a container
    assert "about" not in page.find("#cost").text
    assert "The rest of the hold has come back." in page.find("#cost").text
    assert page.driver.execute_script("return window.untouched")  # the page was not loaded anew


def test_an_earlier_job_is_edited_or_run_again(page: Page, person: Person, job_id: str) -> None:
    page.driver.switch_to.default_content()
    page.driver.get(f"{page.url}/pluginsv2/market/jobs/{job_id}")
    page.click("Edit and run")
    page.until(lambda: page.find('input[name="entry_file"]').is_selected(), "the program")
    was = person.rest.get(f"/jobs/{job_id}")
    values = {
        "job_name": was["job_name"],
        "job_note": was["job_note"],
        "app_params": "\n".join(was["app_params"]),
        "minutes": str(was["max_duration"] // 60),
        "core_num": str(was["core_num"]),
    }
    for field, value in values.items():
        assert page.find(f"#{field}").get_attribute("value") == value
    page.driver.back()
    page.click("Run again")
    page.click("Run it again")
    page.shows("The same job is submitted again.")
    newest = person.rest.get("/jobs")["jobs"][0]
    assert newest["job_id"] != job_id
    for field in ("job_name", "job_note", "app_params", "max_duration", "core_num", "root_path"):
        assert newest[field] == was[field]
    person.rest.post(f"/jobs/{newest['job_id']}/cancel")
    page.until(lambda: page.find("#badge .badge").text == "Cancelled", "its end")


def test_what_is_wrong_is_told_and_nothing_typed_is_lost(page: Page, person: Person, job_id: str) -> None:
    page.entry("My jobs")
    page.click("Submit a job")
    credits = page.find("#max_credits")
    credits.send_keys("many")
    page.click("Submit the job")
    page.shows("Nothing was submitted")
    assert page.find("#max_credits").get_attribute("value") == "many"
    assert page.driver.find_element(By.ID, "max_credits").get_attribute("aria-invalid") == "true"
    assert "many" not in [job["max_credits"] for job in person.rest.get("/jobs")["jobs"]]


def test_a_sweep_is_quoted_for_all_its_points_and_shows_each(page: Page, person: Person, job_id: str) -> None:
    page.driver.switch_to.default_content()
    page.driver.get(f"{page.url}/pluginsv2/market/jobs/new?folder=browser")
    page.until(lambda: page.find('input[name="entry_file"]').is_selected(), "main.py chosen")
    containers = page.find('.quote [data-out="containers"]')
    page.until(lambda: containers.text == "3", "a quote for one run")
    page.click("More settings")
    page.find("#grid").send_keys("size = 2.5, 4, 7")
    page.until(lambda: containers.text == "6", "a quote for two points at once")
    page.click("Submit the job")
    page.shows("size: is used nowhere: write {size} into app_params")
    assert page.find("#grid").get_attribute("value") == "size = 2.5, 4, 7"
    page.find("#app_params").send_keys("{size}")
    page.find("#job_name").send_keys("three sizes")
    page.click("Submit the job")
    page.shows("The job is submitted.")
    page.until(
        lambda: (
            [
                row.text.split()[:2]
                for row in page.driver.find_elements(By.CSS_SELECTOR, "table.points tbody tr")
            ]
            == [["0", "2.5"], ["1", "4"], ["2", "7"]]
        ),
        "the three points",
    )
    page.shoot("sweep")
    sweep = next(job for job in person.rest.get("/jobs")["jobs"] if job["job_name"] == "three sizes")
    person.rest.post(f"/jobs/{sweep['job_id']}/cancel")
    page.until(lambda: page.find("#badge .badge").text == "Cancelled", "the end")
    page.until(
        lambda: page.find("table.points tbody").text.count("Cancelled") == 3, "each point to be cancelled"
    )


def test_an_unknown_job_is_not_found(page: Page) -> None:
    page.driver.switch_to.default_content()
    page.driver.get(f"{page.url}/pluginsv2/market/jobs/{'0' * 32}")
    page.shows("Not found")


def test_a_form_without_its_token_changes_nothing(page: Page, job_id: str) -> None:
    page.driver.switch_to.default_content()
    page.driver.get(f"{page.url}/pluginsv2/market/jobs/")
    status = page.driver.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0], {method: 'POST'}).then(a => done(a.status))",
        f"/pluginsv2/market/jobs/{job_id}/hide",
    )
    assert status == 400
