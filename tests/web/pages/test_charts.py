import json

from market.web.pages import charts

HOUR = 3_600_000
START = 1_795_500_000_000


def write(figure: float) -> str:
    return f"{figure:.2f}"


def test_a_figure_holds_until_the_next_sample() -> None:
    drawn = charts.steps("Rate", [(START, 1.0), (START + HOUR, 2.0)], START + 2 * HOUR, write)
    assert drawn is not None
    first, half, end = charts.LEFT, (charts.WIDE - charts.RIGHT + charts.LEFT) / 2, charts.WIDE - charts.RIGHT
    assert drawn.line.startswith(f"M{float(first)} ")
    assert f"H{half}V" in drawn.line
    assert drawn.line.endswith(f"H{float(end)}")
    assert [point[3] for point in json.loads(drawn.points)] == ["1.00", "2.00"]
    assert "lowest 1.00, highest 2.00, now 2.00" in drawn.summary


def test_the_table_behind_it_has_the_changes_newest_first() -> None:
    samples = [(START + n, n // 2) for n in range(2 * charts.LISTED + 10)]
    drawn = charts.steps("Balance", samples, START + HOUR, write)
    assert drawn is not None
    assert len(drawn.values) == charts.LISTED
    assert drawn.values[:2] == [(START + 408, "204.00"), (START + 406, "203.00")]
    few = charts.steps("Balance", samples[:3], START + HOUR, write)
    assert few is not None
    assert few.values == [(START + 2, "1.00"), (START, "0.00")]


def test_the_axis_has_round_figures_that_cover_all() -> None:
    drawn = charts.steps("Balance", [(START, 3.1), (START + HOUR, 14.9)], START + HOUR, write, (0.0,))
    assert drawn is not None
    assert [tick.label for tick in drawn.rows] == ["0.00", "5.00", "10.00", "15.00"]
    assert drawn.rows[0].at > drawn.rows[-1].at  # upwards


def test_a_constant_figure_has_an_axis_too() -> None:
    drawn = charts.steps("Rate", [(START, 1.0)], START, write)
    assert drawn is not None
    assert len({tick.label for tick in drawn.rows}) == len(drawn.rows) >= 3


def test_labels_of_time_are_round_few_and_inside() -> None:
    for hours in (1, 6, 24, 168, 2000):
        drawn = charts.steps("Rate", [(START, 1.0)], START + hours * HOUR, write)
        assert drawn is not None
        assert 2 <= len(drawn.columns) <= 7, hours
        assert all(tick.ms % 60_000 == 0 for tick in drawn.columns)
        assert drawn.columns[-1].at < charts.WIDE - charts.RIGHT - 15


def test_nothing_to_draw() -> None:
    assert charts.steps("Rate", [], START, write) is None
