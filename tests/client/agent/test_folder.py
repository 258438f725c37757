"""The folder of a machine: held by one agent, and what is remembered in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from distributedmarket.agent.folder import Registration, claim
from distributedmarket.agent.offer import Offer
from distributedmarket.errors import SetupError
from distributedmarket.runtime.places import Places

OFFER = Offer(1, 1024, "cpu", 60, "attic", "")


def test_two_agents_do_not_share_a_folder(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path)
    first = claim(places, "attic", exactly=False)
    with pytest.raises(SetupError, match="--name"):
        claim(places, "attic", exactly=True)
    second = claim(places, "attic", exactly=False)
    assert (first.name, second.name) == ("attic", "attic-2")
    first.release()
    assert claim(places, "attic", exactly=True).name == "attic"


def test_a_registration_is_remembered_until_its_machine_has_left(tmp_path: Path) -> None:
    folder = claim(Places(tmp_path, tmp_path), "attic", exactly=True)
    assert folder.registration() is None
    folder.remember(OFFER, "a machine")
    kept = folder.registration()
    assert kept == Registration("a machine", kept.offer if kept else {})
    assert Offer(**kept.offer) == OFFER
    folder.forget()
    assert folder.registration() is None


@pytest.mark.parametrize("note", ["", "[]", "null", '{"machine_id": "x"}', '{"machine_id": "x", "offer": 7}'])
def test_a_damaged_note_is_no_registration(tmp_path: Path, note: str) -> None:
    folder = claim(Places(tmp_path, tmp_path), "attic", exactly=True)
    (folder.path / "machine.json").write_text(note)
    assert folder.registration() is None


def test_an_offer_leaves_the_address_to_the_market() -> None:
    assert "ip_address" not in OFFER.body()
    assert Offer(1, 1024, "cpu", 60, "attic", "10.0.0.1").body()["ip_address"] == "10.0.0.1"
