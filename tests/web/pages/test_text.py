import pytest

from market.web.pages import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("14.250000", "14.25"),
        ("0.000001", "0.000001"),
        ("15.000000", "15.00"),
        ("-0.412004", "\u22120.412"),
        ("0.387906", "0.3879"),
        ("0.00005", "0.0001"),
        ("0.000049", "0.000049"),
        ("-2.000049", "\u22122.00"),
        ("1000000.100000", "1000000.10"),
        (3, "3.00"),
        (None, "–"),  # noqa: RUF001
    ],
)
def test_credits_have_two_to_four_places_and_never_vanish(value: object, shown: str) -> None:
    assert text.credits_text(value) == shown


def test_a_column_of_credits_keeps_its_points_in_line() -> None:
    column = ["0.412104", "2.500000", "3.000000"]
    shown = text.places(column)
    assert shown == 4
    visible_and_padding = [str(text.money(value, shown)) for value in column]
    assert [cell.count("0</span>") for cell in visible_and_padding] == [0, 1, 1]
    assert 'aria-hidden="true">00<' in visible_and_padding[1]
    assert text.places([]) == text.places([None]) == 2


def test_the_exact_amount_is_the_title() -> None:
    assert 'title="2.500000"' in text.money("2.500000")
    assert ">+2.50<" in text.money("2.500000", signed=True)
    assert ">0.00<" in text.money("0.000000", signed=True)


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (850, "850 ms"),
        (12_000, "12 s"),
        (200_000, "3 min 20 s"),
        (7_500_000, "2 h 5 min"),
        (3_600_000, "1 h"),
        (356_400_000, "4 d 3 h"),
        (None, "–"),  # noqa: RUF001
    ],
)
def test_durations_in_words(milliseconds: int | None, shown: str) -> None:
    assert text.duration(milliseconds) == shown


def test_sizes_in_words() -> None:
    assert [text.size(value) for value in (0, 1023, 1536, 48_000_000, 5 << 40)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "45.8 MiB",
        "5 TiB",
    ]
    assert [text.mib(value) for value in (512, 1024, 1536)] == ["512 MiB", "1 GiB", "1.5 GiB"]


def test_text_of_others_is_escaped() -> None:
    assert "<b>" not in text.badge("<b>")
    assert "<script>" not in text.money("1", 0) + text.moment(1)


def test_a_share_stays_between_0_and_100() -> None:
    assert [text.share(*pair) for pair in ((7, 12), (9, 0), (14, 12), (0, 5))] == [58.33, 0, 100, 0]


def test_a_day_is_one_of_utc_wherever_one_is() -> None:
    assert text.day(1_700_006_399_999) == "14 Nov 2023"
    assert text.day(1_700_006_400_000) == "15 Nov 2023"
