import pytest

from market.kit import whole


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("7", 7), ("007", 7), ("100", 100), ("101", None), ("", None), ("-1", None), ("1.5", None)],
)
def test_digits_within_the_bound(text: str, number: int | None) -> None:
    assert whole.parsed(text, 100) == number


@pytest.mark.parametrize("text", ["²", "٣", "½", " 1", "1_0", "1" * 5000, "0x1", "+1"])
def test_what_python_alone_takes_for_a_number_or_cannot_read_is_none(text: str) -> None:
    assert whole.parsed(text, 10**9) is None


def test_zeros_before_it_do_not_make_it_long() -> None:
    assert whole.parsed("0" * 5000 + "1", 10) == 1
    assert whole.parsed("3", 10, lowest=4) is None
