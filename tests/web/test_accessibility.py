"""Every page by axe-core, in a browser, with what people really have: long names, 200 rows, ended jobs.

At two widths, in both colour schemes. And what axe cannot see: whether one sees where the keyboard is. The
market that it looks at stays in the shared server's database: this file comes after all others that use it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_core
import pytest
from airflow_accounts import Person, sql
from airflow_server import Airflow
from chromium import chromium
from inhabited_market import Inhabited, inhabit
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from market.web.pages import charts
from market.web.pages.views import APPBUILDER_VIEWS

pytestmark = pytest.mark.database

WIDTHS = (1280, 360)
SCHEMES = ("light", "dark")
OPEN = "/pluginsv2/market/"
PATIENCE_S = 120  # of a page of 200 rows beside all else that tests run

# What changes with the colour scheme alone; everything else is looked at once for a width.
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
PROGRAM = Path(__file__).with_name("accessibility.js")


class Eyes:
    """Chromium, and what is wrong with the pages that it was at."""

    def __init__(self, server: Airflow, driver: webdriver.Chrome) -> None:
        self._server, self.driver, self.wrong = server, driver, dict[str, list[str]]()
        programs = {"source": f"{axe_core.source()}\n{PROGRAM.read_text()}"}
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", programs)

    def be(self, person: Person | None) -> None:
        """Become somebody; None: nobody."""
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        if person:
            cookie = {"name": "_token", "value": person.token, "url": self._server.url}
            self.driver.execute_cdp_cmd("Network.setCookie", cookie)

    def look(self, place: str, form: str = "") -> None:
        """Look at a page in all widths and schemes; with a `form`, at what comes when it is sent."""
        self.driver.get(f"{self._server.url}{OPEN}{place}")
        wait = WebDriverWait(self.driver, PATIENCE_S, 0.05)
        if form:
            before = self.driver.find_element(By.TAG_NAME, "html")
            # Without what the browser itself would check.
            self.driver.execute_script("document.querySelector(arguments[0]).submit()", form)
            wait.until(staleness_of(before))
        wait.until(lambda _: self._ask("loaded()"))
        for width in WIDTHS:
            self._be_seen(SCHEMES[0], width)
            if width == WIDTHS[-1]:
                self._ask("unfold()")
            found = [*self._ask("wider()"), *self._ask("unseenFocus()")]
            for scheme in SCHEMES:
                self._be_seen(scheme, width)
                options = json.dumps({} if scheme == SCHEMES[0] else COLOURS)
                found += [f"{scheme}: {line}" for line in self._ask(f"rules({options})")]
            if found:
                self.wrong[f"/{place} at {width}"] = found

    def _ask(self, call: str) -> Any:
        return self.driver.execute_script(f"return look.{call}")

    def _be_seen(self, scheme: str, width: int) -> None:
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        media = [{"name": name, "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


@pytest.fixture(scope="module")
def people(api_server: Airflow) -> Iterator[Inhabited]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARKET_DATABASE_URL", api_server.database.url("market_app"))
        yield inhabit(api_server)


@pytest.fixture(scope="module")
def eyes(api_server: Airflow) -> Iterator[Eyes]:
    driver = chromium()
    driver.set_script_timeout(PATIENCE_S)
    try:
        yield Eyes(api_server, driver)
    finally:
        driver.quit()


FORM = "main form[method=post]"
# What is opened and is no page of its own.
PARTS = {"/market/quote", "/market/jobs/list.csv", "/market/jobs/<string:job_id>/points"}


def pages_of(people: Inhabited) -> list[tuple[Person | None, dict[str, str]]]:
    """Return who looks at which pages, each with the form that is sent there before."""
    nobody = {place: "" for place in ("welcome/", "account/forgot", "account/reset", "account/confirm")}
    nobody |= {"register/": FORM, "jobs/": ""}
    member = {
        **{"": "", "?range=day": "", "credits/": "", "files/": "", "account/": "", "projects/": ""},
        **{f"projects/{people.project}": "", "notifications/": "", "tokens/": f"{FORM}[action$='tokens/']"},
        **{"jobs/?status=all": "", "jobs/?q=nothing": "", "jobs/new": FORM, f"jobs/{'f' * 32}": ""},
        **{f"jobs/{job}": "" for job in (people.ended, people.failed, people.open, people.sweep)},
    }
    lender = {"machines/": "", f"machines/{people.machine}": "", f"projects/{people.project}": ""}
    admin = {
        **{f"administration/{place}": "" for place in ("", "jobs/?status=all", "treasury/")},
        **{f"administration/{place}": "" for place in ("machines/?state=all", "audit/?kind=all")},
        **{f"administration/users/{one.user_id}": "" for one in (people.member, people.suspended)},
        **{"operations/": "", f"jobs/{people.ended}": "", f"machines/{people.machine}": ""},
    }
    return [(None, nobody), (people.member, member), (people.lender, lender), (people.admin, admin)]


def test_no_page_shuts_anybody_out(eyes: Eyes, people: Inhabited) -> None:
    seen = set[str]()
    for who, pages in pages_of(people):
        eyes.be(who)
        for place, form in pages.items():
            eyes.look(place, form)
            seen.add("/market/" + place.partition("?")[0])
    assert [page for page in _all_pages() if not any(re.fullmatch(page, place) for place in seen)] == []
    told = [f"{place}: {line}" for place, lines in eyes.wrong.items() for line in lines]
    assert not told, "\n".join(told)


def _all_pages() -> list[str]:
    """Return a pattern for the address of each page that there is."""
    views = [line["view"] for line in APPBUILDER_VIEWS]
    addresses = {
        f"{view.route_base}{url}"
        for view in views
        for name in dir(view)
        for url, methods in getattr(getattr(view, name), "_urls", [])
        if "GET" in methods
    }
    assert addresses > PARTS
    return [re.sub("<.*?>", "[^/]+", address) for address in sorted(addresses - PARTS)]


def test_a_chart_is_read_by_keys_and_what_is_told_is_told_where_it_was(
    eyes: Eyes, people: Inhabited, api_server: Airflow
) -> None:
    driver, wait = eyes.driver, WebDriverWait(eyes.driver, PATIENCE_S, 0.05)
    eyes.be(people.member)
    driver.get(f"{api_server.url}{OPEN}credits/")
    chart = driver.find_element(By.CSS_SELECTOR, ".chart svg")
    readout = driver.find_element(By.CSS_SELECTOR, ".chart .readout")
    written = []
    for key in (Keys.HOME, Keys.ARROW_RIGHT, Keys.END):
        chart.send_keys(key)
        written.append(readout.text)
    assert len(set(written)) == 3
    assert all(text.endswith(" credits") for text in written)
    driver.find_element(By.CSS_SELECTOR, ".chart summary").send_keys(Keys.ENTER)
    assert driver.find_element(By.CSS_SELECTOR, ".chart details").get_property("open")
    rows = driver.find_elements(By.CSS_SELECTOR, ".chart tbody tr")
    last = rows[0].find_element(By.CSS_SELECTOR, "td.num").text
    assert f": {last} credits" in written[-1]
    assert 10 < len(rows) <= charts.LISTED

    # A live region is read out when its content changes: one that is put in anew is not heard.
    driver.get(f"{api_server.url}{OPEN}jobs/{people.open}")
    news = driver.find_element(By.ID, "news")
    with sql(api_server) as cursor:
        cursor.execute("UPDATE job SET warned_ms = now_ms() WHERE job_id = %s", [people.open])
    wait.until(lambda _: "Nearly all of the hold" in news.text)  # the element of before, or it would be stale
    assert news.get_attribute("aria-live") == "polite"
