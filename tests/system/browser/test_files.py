"""A member's home in the browser: uploaded, looked at, moved, replaced only when asked, deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from system.browser.conftest import Page, Person

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def note(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = Path(tmp_path_factory.mktemp("home")) / "note.txt"
    file.write_text("first words")
    return file


@pytest.fixture
def home(page: Page) -> Page:
    page.driver.switch_to.default_content()
    page.driver.get(f"{page.url}/pluginsv2/market/files/")
    page.shows("files and folders")
    return page


def action(page: Page, label: str) -> None:
    page.until(lambda: page.find(f'[aria-label="{label}"]').click() or True, label)


def names(page: Page) -> list[str]:
    rows = page.driver.find_elements(By.CSS_SELECTOR, "#file-rows tr td:first-child")
    return [row.text for row in rows]


def test_what_is_uploaded_can_be_seen_moved_and_deleted(home: Page, person: Person, note: Path) -> None:
    home.find("#folder-name").send_keys("kept\n")
    home.until(lambda: "kept/" in names(home), "the folder")
    home.find("#upload").send_keys(str(note))
    home.shows("note.txt is uploaded")
    home.until(lambda: "note.txt" in names(home), "the file")
    action(home, "View note.txt")
    home.until(lambda: home.find("#view pre").text == "first words", "its text")
    home.shoot("files")
    action(home, "Rename or move note.txt")
    field = home.find("#file-rows form input")
    field.clear()
    field.send_keys("kept/renamed.txt\n")
    home.until(lambda: "note.txt" not in names(home), "the move")
    assert person.send("GET", "/files/kept/renamed.txt").content == b"first words"
    action(home, "Open kept")
    home.until(lambda: names(home) == ["renamed.txt"], "the folder's file")
    action(home, "Delete renamed.txt")
    home.shows("For good?")
    assert person.send("GET", "/files/kept/renamed.txt").status_code == 200
    home.find("#file-rows form button.danger").click()
    home.shows("This folder is empty.")
    assert person.send("GET", "/files/kept/renamed.txt").status_code == 404


def test_a_file_is_replaced_only_if_its_owner_says_so(home: Page, person: Person, note: Path) -> None:
    person.put("note.txt", "as it was")
    home.find("#upload").send_keys(str(note))
    home.shows("note.txt is there already.")
    home.click("Keep the old one")
    home.shows("note.txt is as it was.")
    assert person.send("GET", "/files/note.txt").content == b"as it was"
    home.find("#upload").send_keys(str(note))
    home.shows("note.txt is there already.")
    home.click("Replace")
    home.shows("note.txt is uploaded")
    assert person.send("GET", "/files/note.txt").content == b"first words"


def test_an_example_is_two_clicks_away_from_running(home: Page, person: Person) -> None:
    action(home, "Try it: digits")
    home.shows("The example is in your home, in examples/digits.")
    home.until(lambda: home.find('input[name="entry_file"]').is_selected(), "its program chosen")
    home.until(lambda: home.find('.quote [data-out="hold"]').text[:1].isdigit(), "its quote")
