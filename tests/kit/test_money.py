import pytest

from market.kit.money import format_credits, parse_credits


@pytest.mark.parametrize(
    ("text", "ucr"),
    [("0", 0), ("15.000000", 15_000_000), ("3.5", 3_500_000), ("-0.000001", -1), ("0.004", 4_000)],
)
def test_credits_are_read_exactly(text: str, ucr: int) -> None:
    assert parse_credits(text) == ucr
    assert parse_credits(format_credits(ucr)) == ucr


@pytest.mark.parametrize("text", ["", "1.0000001", "1e3", " 1", "1.", ".5", "+1", "NaN", "1,5", "٣"])
def test_what_would_lose_money_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="six places"):
        parse_credits(text)


def test_six_places_always() -> None:
    assert format_credits(14_250_000) == "14.250000"
    assert format_credits(-1) == "-0.000001"
