import pytest
from werkzeug.datastructures import MultiDict

from market.kit import settings
from market.kit.errors import BadInputError
from market.web.pages import job_form


def test_what_is_left_empty_is_left_out() -> None:
    form = MultiDict(
        {"root_path": "digits", "machine_type": "cpu", "core_num": "2", "job_name": " ", "max_credits": ""}
    )
    assert job_form.body(form) == {"root_path": "digits", "machine_type": "cpu", "core_num": 2}


def test_units_and_lists() -> None:
    form = MultiDict(
        [
            ("root_path", "."),
            ("minutes", "90"),
            ("libs", "util.py"),
            ("libs", "more.py"),
            ("app_params", "--epochs\r\n3\r\n\r\n$HOME {{ x }} `id`\r\n"),
            ("spark_conf", "spark.sql.shuffle.partitions = 8\r\nspark.x=a=b"),
        ]
    )
    assert job_form.body(form) == {
        "root_path": ".",
        "max_duration": 5400,
        "libs": ["util.py", "more.py"],
        "app_params": ["--epochs", "3", "$HOME {{ x }} `id`"],
        "spark_conf": {"spark.sql.shuffle.partitions": "8", "spark.x": "a=b"},
    }


def test_what_is_wrong_is_told_at_its_field() -> None:
    with pytest.raises(BadInputError) as caught:
        job_form.body(MultiDict({"core_num": "two", "minutes": "-1", "spark_conf": "nonsense"}))
    assert set(job_form.messages(caught.value)) == {"core_num", "minutes", "spark_conf"}


def test_errors_of_the_market_reach_the_form_s_own_fields() -> None:
    error = BadInputError({"max_duration": ["too long"], "spark_conf": {"spark.master": ["is not allowed"]}})
    assert job_form.messages(error) == {"minutes": "too long", "spark_conf": "spark.master: is not allowed"}


def test_a_new_form_shows_the_defaults_and_sends_them() -> None:
    loaded = settings.load()
    values = job_form.empty(loaded, "digits")
    sent = job_form.body(MultiDict({name: value for name, value in values.items() if isinstance(value, str)}))
    assert sent["max_duration"] == loaded.jobs.max_duration_s
    assert sent["executor_memory"] == loaded.jobs.executor_memory_mib
    assert job_form.given(MultiDict(values))["root_path"] == "digits"


def test_a_grid_is_a_name_and_its_values_a_line() -> None:
    form = MultiDict(
        {
            "grid": "alpha = 0.1, 1, true\r\n\r\nkind=deep, 'wide' tree,\r\n",
            "max_parallel": "3",
            "point_retries": "1",
        }
    )
    assert job_form.body(form) == {
        "grid": {"alpha": [0.1, 1, True], "kind": ["deep", "'wide' tree"]},
        "max_parallel": 3,
        "point_retries": 1,
    }
    assert job_form.body(MultiDict({"grid": " ", "max_parallel": "3", "point_retries": "0"})) == {}
    with pytest.raises(BadInputError) as caught:
        job_form.body(MultiDict({"grid": "alpha 1 2"}))
    assert set(job_form.messages(caught.value)) == {"grid"}
