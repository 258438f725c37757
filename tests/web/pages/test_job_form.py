import pytest
from werkzeug.datastructures import MultiDict

from market.jobs.intake.schemas import JobRequestSchema
from market.jobs.spec import JobSpec, wires
from market.kit import settings
from market.kit.errors import BadInputError
from market.web.pages import job_form
from market.web.schemas.jobs import JobDetailSchema


def test_what_is_left_empty_is_left_out() -> None:
    form = MultiDict(
        {"root_path": "digits", "machine_type": "cpu", "core_num": "2", "job_name": " ", "max_credits": ""}
    )
    form["root_path"] = "."
    assert job_form.body(form) == {"root_path": ".", "machine_type": "cpu", "core_num": 2}


@pytest.mark.parametrize(
    ("folder", "entry", "name"),
    [
        ("sums/digits", "", "digits"),
        ("digits", "main.ipynb", "digits"),
        ("digits", "train.py", None),
        (".", "main.py", None),
    ],
)
def test_a_job_without_a_name_is_not_called_main(folder: str, entry: str, name: str | None) -> None:
    form = MultiDict({"root_path": folder, "entry_file": entry, "job_name": ""})
    assert job_form.body(form).get("job_name") == name
    assert job_form.body(MultiDict({"root_path": "digits", "job_name": "mine"}))["job_name"] == "mine"


def test_units_and_lists() -> None:
    form = MultiDict(
        [
            ("root_path", "."),
            ("minutes", "90"),
            ("libs", "util.py"),
            ("libs", "more.py"),
            ("app_params", "--epochs\r\n3\r\n\r\n$HOME {{ x }} `id`\r\n"),
            ("requirements", "tabulate==0.9\r\n"),
            ("exclude", "*.csv\r\ndata\r\n"),
            ("env", "LEVEL=debug\r\nURL=http://x/?a=b"),
            ("spark_conf", "spark.sql.shuffle.partitions = 8\r\nspark.x=a=b"),
        ]
    )
    assert job_form.body(form) == {
        "root_path": ".",
        "max_duration": 5400,
        "libs": ["util.py", "more.py"],
        "app_params": ["--epochs", "3", "$HOME {{ x }} `id`"],
        "requirements": ["tabulate==0.9"],
        "exclude": ["*.csv", "data"],
        "env": {"LEVEL": "debug", "URL": "http://x/?a=b"},
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


def earlier(**changed: object) -> dict[str, object]:
    """Return the record of a job, as `GET /jobs/{job_id}` answers it."""
    request = {"root_path": "digits", "machine_type": "cpu", "core_num": 4, "executor_cores": 2}
    spec = JobSpec.of_request(request | changed, "main.py").to_json()
    known = {"job_id": "0" * 32, "job_name": "digits", "status": "succeeded", "used_credit": "0.100000"}
    return JobDetailSchema().dump(spec | known)


FULL = {
    "entry_file": "main.py",
    "executor_memory": 768,
    "max_duration": 5400,
    "max_wait": 600,
    "libs": ["more/util.py", "extra"],
    "archives": ["data.zip"],
    "python_env": "environment.tar.gz",
    "requirements": ["tabulate==0.9"],
    "files": ["*.csv"],
    "exclude": ["old"],
    "env": {"LEVEL": "debug", "URL": "http://x/?a=b"},
    "secrets": ["DB_PASSWORD"],
    "app_params": ["--alpha", "{alpha}", "--kind", "{kind}", "--on", "{on}"],
    "max_credits": "3.5",
    "auto_extend_to": "4",
    "spark_conf": {"spark.sql.shuffle.partitions": "8"},
    "job_note": "two\nlines",
    "project": "digits",
    "grid": {"alpha": [0.1, 1], "kind": ["a,b", "1", "plain"], "on": [True, False]},
    "max_parallel": 3,
    "point_retries": 1,
}


def sent(values: dict[str, object]) -> dict[str, object]:
    """Return the body that a browser's form with these values becomes."""
    pairs = [(name, one) for name, value in values.items() if isinstance(value, list) for one in value]
    pairs += [(name, value) for name, value in values.items() if isinstance(value, str)]
    return job_form.body(MultiDict(pairs))


@pytest.mark.parametrize("changed", [{}, FULL], ids=["plain", "every field"])
def test_an_earlier_job_fills_the_form_with_every_field(changed: dict[str, object]) -> None:
    job = earlier(**changed)
    values, lost = job_form.like(job)
    assert lost == []
    wanted = JobRequestSchema().load(job)
    # A list that the job had none of is not given by the form: the folder's own says what it needs.
    wanted = {name: value for name, value in wanted.items() if name != "requirements" or value}
    assert JobRequestSchema().load(sent(values)) == wanted


def test_every_field_of_a_job_is_tried_with_the_form() -> None:
    fixed = {"root_path", "machine_type", "core_num", "executor_cores", "driver_memory", "main_class"}
    assert set(wires()) == set(FULL) | fixed


def test_what_the_form_cannot_show_is_named() -> None:
    values, lost = job_form.like(earlier(app_params=["--text", "two\nlines"], env={"EMPTY": " x"}))
    assert lost == ["app_params", "env"]
    assert values["app_params"] == "--text\ntwo\nlines"
