"""What comes from outside can be stored, or is refused."""

from __future__ import annotations

import json

import pytest

from market.kit import text


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("plain ü 🎈\n\t", "plain ü 🎈\n\t"),
        ("a\0b", "a\ufffdb"),
        ("half \ud83d", "half \ufffd"),
        ("\udc00\ud800", "\ufffd\ufffd"),
    ],
)
def test_what_cannot_be_stored_is_replaced(given: str, kept: str) -> None:
    assert text.storable(given) == kept
    assert text.storable(given).encode()
    assert text.is_storable(kept)
    assert text.is_storable(given) == (given == kept)


def test_it_has_a_bound() -> None:
    assert text.storable("x" * 100, 10) == "x" * 10


@pytest.mark.parametrize(
    "raw",
    [
        rb'{"a": ["\ud800", {"b\u0000": "c\u0000"}]}',
        b'{"a": ["\xed\xa0\x80", {"b\\u0000": "c\\u0000"}]}',
        r'{"a": ["\ud800", {"b\u0000": "c\u0000"}]}',
    ],
)
def test_all_texts_of_a_document_are_made_storable(raw: str | bytes) -> None:
    assert not text.is_storable(text.parsed(raw))
    assert text.parsed_storable(raw) == {"a": ["\ufffd", {"b\ufffd": "c\ufffd"}]}


def test_a_character_of_two_halves_stays_whole() -> None:
    assert text.parsed_storable(json.dumps({"balloon": "🎈"}).encode()) == {"balloon": "🎈"}


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"a":' * 100_000, b"{", b"\xff", b"", b"1" * 5000])
def test_what_is_no_document_is_one_kind_of_error(raw: bytes) -> None:
    for read in (text.parsed, text.parsed_storable):
        with pytest.raises(ValueError, match=r".*"):
            read(raw)
