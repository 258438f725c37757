"""A person's machines in the browser: in a wide window and in a narrow one."""

from __future__ import annotations

from collections.abc import Iterator

import people
import pytest
from system.browser.conftest import Page, Person

from market.kit import settings

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def machine_id(stack: settings.Settings, page: Page, person: Person) -> Iterator[str]:
    """Let somebody who lends look: he has offered one machine, which no agent takes up."""
    lender = people.person(stack, "lena")
    body = {"core_count": 2, "memory_size": 2048, "machine_type": "cpu", "time_period": 3600}
    body |= {"name": "a-name-that-somebody-chose-for-his-own-laptop"}
    page.login(lender.username, lender.password)
    yield str(lender.rest.post("/machines", body)["machine_id"])
    page.login(person.username, person.password)


@pytest.fixture
def narrow(page: Page) -> Iterator[None]:
    """Look through a window as wide as a telephone."""
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.usefixtures("narrow")
def test_no_page_of_machines_is_wider_than_a_narrow_window(page: Page, machine_id: str) -> None:
    for name, path in (("machines", ""), ("machine", machine_id)):
        page.driver.get(f"{page.url}/pluginsv2/market/machines/{path}")
        page.shows("a-name-that-somebody-chose")
        page.shoot(f"narrow-{name}")
        inside, window = page.driver.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert inside <= window == 390, name


def test_the_question_before_a_removal_is_seen_whole_and_removes(page: Page, machine_id: str) -> None:
    """The list has one line only: what opens below its button lies outside of the table."""
    page.driver.get(f"{page.url}/pluginsv2/market/machines/")
    page.click("Remove")
    answer = page.find("details.sure[open] .popover .button.danger")
    page.until(
        lambda: page.driver.execute_script(
            "const box = arguments[0].getBoundingClientRect();"
            "return arguments[0].contains("
            "document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));",
            answer,
        ),
        "the answer to be on top",
    )
    page.shoot("remove-machine")
    answer.click()
    page.shows("The machine takes no more work.")
    page.shows("Left")
