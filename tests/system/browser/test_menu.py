"""What a person of the market sees when he opens each entry in Airflow's menu."""

from __future__ import annotations

import json
import secrets
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from chromium import chromium
from selenium.webdriver.common.by import By
from system.browser.conftest import MENU, Page, Person

from market.kit import settings

pytestmark = pytest.mark.browser

HEADINGS = {
    "Market": ["Capacity by machine type", "The rate", "What would a job cost?", "Machines in the pool"],
    "My jobs": ["Spark programs that you run on the pool."],
    "My files": ["Your home", "Examples"],
    "My machines": ["You lend no machine yet", "Lend a machine"],
    "My credits": ["Balance", "Statement"],
}


@pytest.mark.parametrize("name", MENU)
def test_an_entry_opens_its_page_in_the_frame(page: Page, name: str) -> None:
    page.entry(name)
    for heading in HEADINGS[name]:
        page.shows(heading)
    assert page.driver.find_element(By.TAG_NAME, "h1").text == name
    assert not page.driver.find_element(By.CSS_SELECTOR, "nav.site").is_displayed()
    assert "deprecated" not in page.text()
    page.shoot(name.lower().replace(" ", "-"))


def test_a_newcomer_gets_from_the_base_address_to_the_market_and_out_again(
    stack: settings.Settings, shots: Path
) -> None:
    driver = chromium()
    try:
        new = Page(driver, stack.url("api"), shots)
        driver.get(new.url)
        for words in ("Run Spark programs", "Price now", "Free now"):
            new.shows(words)
        new.shoot("welcome")
        new.click("Register")
        name = f"new-{secrets.token_hex(3)}"
        given = {"username": name, "email": f"{name}@example.org", "password": secrets.token_hex(8)}
        for field, value in given.items():
            new.find(f"#{field}").send_keys(value)
        new.click("Register")
        new.frame("Market")
        for words in (f"Welcome, {name}", "15.00 credits available", "Capacity by machine type"):
            new.shows(words)
        new.find(".account a[data-leave]").click()
        driver.switch_to.default_content()
        new.shows("Run Spark programs")
        driver.get(f"{new.url}/pluginsv2/market/jobs/")
        new.shows("You are not logged in")
    finally:
        driver.quit()


def test_an_entry_leads_back_to_its_root_and_names_the_tab(page: Page) -> None:
    page.entry("My jobs")
    page.until(lambda: _title(page) == "My jobs · DistributedMarket", "the tab's name")
    page.click("Submit a job")
    page.until(lambda: _title(page) == "Submit a job · DistributedMarket", "the form's name")
    page.driver.switch_to.default_content()
    page._menu("My jobs").click()
    page.frame("My jobs")
    page.shows("Spark programs that you run on the pool.")
    page.driver.switch_to.default_content()
    page.until(lambda: page.driver.current_url.endswith("/market/jobs/"), "the address of the list")
    page._menu("Dags").click()
    page.until(lambda: "DistributedMarket" not in _title(page), "Airflow's own title")


def _title(page: Page) -> str:
    return str(page.driver.title)


def test_there_is_no_entry_for_the_views_without_a_frame_of_their_own(page: Page) -> None:
    page.driver.switch_to.default_content()
    page.driver.get(f"{page.url}/dags")
    page.until(lambda: page._menu("My jobs"), "the menu")
    assert "Legacy FAB" not in page.text()


def test_the_address_leads_back_to_the_page(page: Page) -> None:
    page.entry("My jobs")
    page.click("Submit a job")
    page.shows("1. Program")
    page.driver.switch_to.default_content()
    page.until(lambda: page.driver.current_url.endswith("/market/jobs/new"), "the address of the form")
    page.driver.refresh()
    page.frame("My jobs")
    page.shows("1. Program")


def test_the_calculator_follows_what_is_typed(page: Page) -> None:
    page.entry("Market")
    hold = page.find('[data-out="hold"]')
    page.until(lambda: hold.text[:1].isdigit(), "a quote")
    before = float(hold.text)
    cores = page.find("#cores")
    cores.clear()
    cores.send_keys("8")
    page.until(lambda: float(hold.text) > before, "a larger quote")
    cores.clear()
    cores.send_keys("0")
    page.shows("must be a whole number")


def test_the_command_to_lend_is_exact(page: Page, person: Person) -> None:
    page.entry("My machines")
    memory = page.find("#memory")
    memory.clear()
    memory.send_keys("6")
    command = page.find("#command")
    page.until(lambda: "--memory 6g" in command.text, "the command")
    venv, install, share = command.text.splitlines()
    assert venv == "python3 -m venv ~/market-client"
    assert install.startswith(f"~/market-client/bin/pip install '{page.url}/market/agent/v1/client/")
    words = "~/market-client/bin/market share --cores 2 --memory 6g --type cpu --hours 8"
    assert share == f"{words} --username {person.username} --server {page.url}"
    name = page.find("#machine-name")
    name.send_keys("attic")
    page.until(lambda: "--name attic" in command.text, "the name")
    name.send_keys("; ls")
    page.until(lambda: "--name" not in command.text, "the name, which no command may hold, to be left out")


def test_the_statement_downloads(page: Page) -> None:
    page.entry("My credits")
    link = page.driver.find_element(By.LINK_TEXT, "Download as CSV").get_attribute("href")
    lines = page.driver.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0]).then(a => a.text()).then(done)", link
    )
    assert "15.000000" in lines


def test_a_stranger_is_asked_to_log_in(page: Page, stack: settings.Settings) -> None:
    driver = chromium()
    try:
        driver.get(f"{stack.url('api')}/pluginsv2/market/credits/")
        assert "You are not logged in" in driver.find_element(By.TAG_NAME, "body").text
        assert "/auth/login" in str(driver.find_element(By.LINK_TEXT, "Log in").get_attribute("href"))
    finally:
        driver.quit()


def test_operations_are_for_administrators(page: Page, stack: settings.Settings, shots: Path) -> None:
    page.driver.switch_to.default_content()
    page.driver.get(f"{page.url}/pluginsv2/market/operations/")
    page.shows("not for your role")
    driver = chromium()
    try:
        admin = Page(driver, stack.url("api"), shots)
        admin.login(stack.service.admin, stack.secret("admin_password"))
        admin.entry("Market")
        admin.click("Operations")
        admin.shows("The ledger adds up")
        admin.shows("Settlements")
        admin.driver.switch_to.default_content()
        admin.driver.get(f"{admin.url}/pluginsv2/market/operations/")
        admin.until(
            lambda: admin.find("nav.site a[aria-current]").text == "Operations", "its entry in the bar"
        )
        admin.shoot("operations")
    finally:
        driver.quit()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_pages_follow_airflow_s_colour_scheme(page: Page, scheme: str) -> None:
    page.driver.switch_to.default_content()
    page.driver.get(page.url)
    page.driver.execute_script("window.localStorage.setItem('theme', arguments[0])", scheme)
    page.driver.refresh()
    page.entry("Market")
    ground = page.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    bright = sum(int(part) for part in ground.removeprefix("rgb(").rstrip(")").split(", ")) > 384
    assert bright is (scheme == "light")
    page.shoot(f"market-{scheme}")


def test_a_phone_shows_every_page_and_its_tables_can_be_moved_by_the_keyboard(page: Page) -> None:
    page.driver.switch_to.default_content()
    phone = {"width": 360, "height": 760, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        for place in ("", "jobs/", "jobs/new", "files/", "machines/", "credits/", "welcome/"):
            page.driver.get(f"{page.url}/pluginsv2/market/{place}")
            page.find("main h1")
            page.shoot(f"phone-{place.replace('/', '-')}")
            page.until(
                lambda: page.driver.execute_script(_STUCK) == [], f"{place}: what scrolls can be focused"
            )
            assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 360, place
            levels = page.driver.execute_script(
                "return [...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]))"
            )
            assert levels[0] == 1, place
            assert all(after - before <= 1 for before, after in pairwise(levels)), place
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


_STUCK = (
    "return [...document.querySelectorAll('.scroll, .drawing')]"
    ".filter(one => one.scrollWidth > one.clientWidth && one.tabIndex < 0).map(one => one.outerHTML)"
)


def test_every_field_has_a_label(page: Page) -> None:
    for name in MENU:
        page.entry(name)
        unnamed = page.driver.execute_script(
            "return [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
            ".filter(f => !f.labels.length && !f.ariaLabel).map(f => f.outerHTML)"
        )
        assert unnamed == []


def test_nothing_comes_from_elsewhere_and_no_script_fails(page: Page) -> None:
    for line in page.driver.get_log("browser"):
        refused = "status of 4" in line["message"]  # the calculator was given a wrong figure, for instance
        assert "/pluginsv2/market" not in line["message"] or line["level"] != "SEVERE" or refused
    host = urlsplit(page.url).netloc
    for name in MENU:
        page.entry(name)
    for line in page.driver.get_log("performance"):
        message = json.loads(line["message"])["message"]
        if (
            message["method"] == "Network.requestWillBeSent"
            and "/pluginsv2/" in message["params"]["documentURL"]
        ):
            url = urlsplit(message["params"]["request"]["url"])
            assert url.scheme == "data" or url.netloc == host, url
