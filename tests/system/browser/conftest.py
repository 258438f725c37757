"""A browser, a person of the market in it, and Airflow's pages around those of the market."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import people
import pytest
from chromium import chromium
from people import Person, end_open_jobs
from selenium import webdriver
from selenium.common.exceptions import NoSuchFrameException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from market.kit import settings

_WAIT_S = 60
MENU = ("Market", "My jobs", "My files", "My machines", "My credits")


class Page:
    """Chromium at the market, the way a person sees it: menu entries of Airflow, each with a frame."""

    def __init__(self, driver: webdriver.Chrome, url: str, shots: Path) -> None:
        self.driver, self.url, self.shots = driver, url, shots

    def until(self, check: Callable[[], Any], what: str) -> Any:
        """Wait until `check` returns something true, and return it."""
        wait = WebDriverWait(self.driver, _WAIT_S, poll_frequency=0.2)
        return wait.until(
            lambda _: _quiet(check), message=f"waited for {what}; there is: {self.text()[:1500]}"
        )

    def login(self, username: str, password: str) -> None:
        """Log in through Airflow's own page."""
        # Of every page, not only of the one that is open, which may be another's or none.
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.driver.get(f"{self.url}/auth/login/")
        self.find("input[name=username]").send_keys(username)
        self.find("input[name=password]").send_keys(password)
        self.find("input[type=submit], button[type=submit]").click()
        self.until(lambda: "/auth/login" not in self.driver.current_url, "the login")

    def entry(self, name: str) -> None:
        """Open a menu entry of Airflow, and look into its frame."""
        self.driver.switch_to.default_content()
        # From a page of Airflow's: an entry that is open already would not load its page again.
        self.driver.get(f"{self.url}/dags")
        link = self.until(lambda: self._menu(name), f"the menu entry {name}")
        link.click()
        self.frame(name)

    def _menu(self, name: str) -> WebElement | None:
        links = self.driver.find_elements(By.CSS_SELECTOR, "nav a, a")
        return next((link for link in links if link.is_displayed() and link.text.strip() == name), None)

    def frame(self, name: str) -> None:
        """Look into the frame of a menu entry, once its page is there."""

        def enter() -> bool:
            self.driver.switch_to.default_content()
            self.driver.switch_to.frame(self.driver.find_element(By.CSS_SELECTOR, f'iframe[title="{name}"]'))
            return bool(self.driver.find_elements(By.CSS_SELECTOR, "main h1"))

        self.until(enter, f"the page {name}")

    def find(self, css: str) -> WebElement:
        """Return the first element that matches, once it is there."""
        found: WebElement = self.until(lambda: self.driver.find_element(By.CSS_SELECTOR, css), css)
        return found

    def click(self, words: str) -> None:
        """Click a visible link, button or summary by its words."""

        def clicked() -> bool:
            # In one step: the page replaces what it shows, and an element found earlier may be gone.
            found = self.driver.find_elements(By.CSS_SELECTOR, "main a, main button, main summary")
            next(one for one in found if one.is_displayed() and one.text.strip() == words).click()
            return True

        self.until(clicked, f"something to click named {words}")

    def text(self) -> str:
        """Return the visible text of the page, or of the frame that is looked into."""
        try:
            return self.driver.find_element(By.TAG_NAME, "body").text
        except Exception:
            return ""

    def shows(self, words: str) -> None:
        """Wait until the page shows these words."""
        self.until(lambda: words in self.text(), words)

    def shoot(self, name: str) -> None:
        """Keep a picture for a person to look at."""
        self.driver.save_screenshot(str(self.shots / f"{name}.png"))


def _quiet(check: Callable[[], Any]) -> Any:
    try:
        return check()
    except (NoSuchFrameException, Exception):
        return None


@pytest.fixture(scope="module", autouse=True)
def nothing_left(stack: settings.Settings) -> Iterator[None]:
    """Leave the machines free to the next file, whatever failed in this one."""
    yield
    end_open_jobs()


@pytest.fixture(scope="session")
def person(stack: settings.Settings) -> Person:
    return people.person(stack, "bea")


@pytest.fixture(scope="session")
def shots(stack: settings.Settings) -> Path:
    folder = Path(os.environ.get("MARKET_TEST_SHOTS") or stack.paths.state / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def page(stack: settings.Settings, person: Person, shots: Path) -> Iterator[Page]:
    driver = chromium()
    try:
        opened = Page(driver, stack.url("api"), shots)
        opened.login(person.username, person.password)
        yield opened
    finally:
        driver.quit()
