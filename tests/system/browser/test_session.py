"""A session that ends while pages are open: no page is frozen by it, and nothing typed is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.by import By
from system.browser.conftest import Page, Person

pytestmark = pytest.mark.browser

COOKIE = "_token"


@pytest.fixture
def form(page: Page) -> Iterator[Page]:
    """Open the form of a job, and leave a logged-in browser behind."""
    page.driver.switch_to.default_content()
    page.driver.get(f"{page.url}/pluginsv2/market/jobs/new")
    kept = page.driver.get_cookie(COOKIE)
    yield page
    if not page.driver.get_cookie(COOKIE):
        page.driver.add_cookie(kept)


def test_what_was_typed_outlives_the_session(form: Page, person: Person) -> None:
    form.find("#job_name").send_keys("typed before the end")
    form.find("#max_credits").send_keys("none")  # so that what is sent is refused, and no job is left
    cookie = form.driver.get_cookie(COOKIE)
    form.driver.delete_cookie(COOKIE)
    form.click("Submit the job")
    form.shows("Your session has ended.")
    login = form.find("#session a")
    assert (login.text, str(login.get_attribute("href")).endswith("/auth/login/")) == ("Log in", True)
    assert "POST /" not in form.text()
    assert form.find("#job_name").get_attribute("value") == "typed before the end"
    form.driver.add_cookie({name: cookie[name] for name in ("name", "value", "path")})
    form.until(lambda: not form.driver.find_elements(By.ID, "session"), "the notice to go")
    form.click("Submit the job")
    form.shows("Nothing was submitted")  # by the market, which has read it
    assert form.find("#job_name").get_attribute("value") == "typed before the end"


def test_another_s_session_sends_nothing_of_mine(form: Page, person: Person) -> None:
    form.driver.execute_script(
        "const look = window.fetch; window.fetch = (...request) => String(request[0]).endsWith('/users/me')"
        ' ? Promise.resolve(new Response(\'{"username": "somebody"}\')) : look(...request)'
    )
    form.click("Submit the job")
    form.shows("Now somebody is logged in")
    assert person.username in form.find("#session").text
