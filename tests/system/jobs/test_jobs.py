"""A job's way on the real stack: submitted over REST, run by Airflow on YARN, settled as measured."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from agents import Agent, of_application
from people import Person, until

from market.cluster.clients import resource_manager
from market.cluster.resourcemanager import App
from market.credits.settlement.steps import settle
from market.hadoop.allocation import container_mib
from market.kit import clock, database, settings
from market.kit.money import parse_credits

pytestmark = pytest.mark.cluster
Dedent = Callable[[str], str]
EXAMPLES = settings.ROOT / "examples"


@pytest.fixture(scope="module")
def digits(buyer: Person, machines: list[dict[str, Any]]) -> dict[str, Any]:
    """The example of the demo, run to its end and settled."""
    buyer.put("digits/main.py", (EXAMPLES / "digits" / "main.py").read_bytes())
    job_id = buyer.submit("digits", core_num=2, app_params=["--iterations", "5", "--out", "{output}"])
    job = buyer.ended(job_id)
    assert job["status"] == "succeeded", (job["reason"], buyer.log(job_id), buyer.log(job_id, file="stderr"))
    settle(clock.now_ms())
    return buyer.job(job_id)


def test_a_program_trains_and_its_results_are_there(buyer: Person, digits: dict[str, Any]) -> None:
    assert "accuracy 0.9" in buyer.log(digits["job_id"])
    files = [one["path"] for one in buyer.rest.get(f"/jobs/{digits['job_id']}/results")["files"]]
    assert any(path.startswith("model/") for path in files)
    metrics = next(path for path in files if path.startswith("metrics/part-"))
    assert 0.9 < json.loads(buyer.rest.text(f"/jobs/{digits['job_id']}/results/{metrics}"))["accuracy"] <= 1


def test_yarn_ran_it_under_the_buyer_s_name_where_it_was_asked_for(
    buyer: Person, digits: dict[str, Any]
) -> None:
    app = resource_manager().app(digits["application_id"])
    assert app is not None
    assert (app.state, app.final_status, app.user) == ("FINISHED", "SUCCEEDED", buyer.username)
    assert (app.queue, app.tags) == ("root.cpu", (digits["job_id"],))
    assert len(resource_manager().apps(tags=[digits["job_id"]])) == 1


def test_the_receipt_is_the_charge_and_the_charge_is_in_the_ledger(
    buyer: Person, lender: Person, digits: dict[str, Any], stack: settings.Settings
) -> None:
    receipt = buyer.receipt(digits["job_id"])
    assert sum(parse_credits(line["amount"]) for line in receipt["containers"]) == parse_credits(
        receipt["charge"]
    )
    assert {line["role"] for line in receipt["containers"]} == {"driver", "executor"}
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT sum(amount_ucr) FROM transfer JOIN journal USING (journal_id)"
            " WHERE kind = 'capture' AND job_id = %s AND payer = %s",
            [digits["job_id"], buyer.user_id],
        )
        assert cursor.fetchone()[0] == parse_credits(receipt["charge"]) > 0
        cursor.execute("SELECT * FROM violations(false)")
        assert cursor.fetchall() == []
    mine = buyer.rest.get(f"/users/{buyer.user_id}/credits")
    theirs = lender.rest.get(f"/users/{lender.user_id}/credits")
    assert parse_credits(mine["using_credit"]) >= parse_credits(receipt["charge"])
    earned = sum(
        parse_credits(line["amount"]) for line in receipt["containers"] if line["role"] == "executor"
    )
    assert parse_credits(theirs["sharing_credit"]) >= earned > 0


def test_airflow_shows_the_job_to_its_owner_and_to_nobody_else(
    stack: settings.Settings, buyer: Person, stranger: Person, digits: dict[str, Any]
) -> None:
    base = f"{stack.url('api')}/api/v2/dags"

    def get(who: Person, path: str) -> requests.Response:
        return who.ask("GET", f"{base}{path}")

    def states() -> list[str]:
        return [run["state"] for run in get(buyer, f"/{digits['dag_id']}/dagRuns").json()["dag_runs"]]

    until(lambda: states() == ["success"], "the end of the DAG run", 30)
    assert digits["dag_id"] in [dag["dag_id"] for dag in get(buyer, "?limit=100").json()["dags"]]
    assert get(stranger, f"/{digits['dag_id']}").status_code == 403
    seen = {dag["dag_id"] for dag in get(stranger, "?limit=100").json()["dags"]}
    assert seen <= {job["dag_id"] for job in stranger.rest.get("/jobs", limit=200)["jobs"]}
    pressed = buyer.ask("POST", f"{base}/{digits['dag_id']}/dagRuns", json={"logical_date": None})
    assert pressed.status_code == 403


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "/results",
        "/results/x",
        "/logs",
        "/receipt",
        "/progress",
        "/points",
        "/logs/container_1_1_01_000001/stdout",
    ],
)
def test_another_s_job_is_as_if_it_were_not_there(
    stranger: Person, digits: dict[str, Any], tail: str
) -> None:
    assert stranger.send("GET", f"/jobs/{digits['job_id']}{tail}").status_code == 404
    if not tail:
        assert stranger.send("POST", f"/jobs/{digits['job_id']}/cancel").status_code == 404
        assert stranger.send("DELETE", f"/jobs/{digits['job_id']}").status_code == 404


SHOW = """
    import json, os, re, sys
    from pyspark.sql import SparkSession
    names = ("MARKET_JOB_ID", "MARKET_INPUT", "MARKET_OUTPUT")
    def seen(_):
        unpacked = open("data.tar.gz/deep/inner.txt").read()
        return {"unpacked": unpacked} | {name: os.environ.get(name) for name in names}
    def path(_):
        return os.environ["PYTHONPATH"]
    spark = SparkSession.builder.getOrCreate()
    executor = spark.sparkContext.parallelize([0], 1).map(seen).first()
    found = path(0) + ":" + spark.sparkContext.parallelize([0], 1).map(path).first()
    import util
    place = re.sub(r"([][{}*?\\\\])", r"\\\\\\1", os.environ["MARKET_INPUT"])  # to Spark these are patterns
    read = spark.read.text(place + "/data.txt").first().value
    print(json.dumps({"argv": sys.argv, "driver": seen(0), "executor": executor, "util": util.word,
                      "path": found, "read": read, "name": __name__, "output": os.environ["MARKET_OUTPUT"],
                      "instances": spark.conf.get("spark.executor.instances")}))
    spark.createDataFrame([("x",)], ["a"]).write.parquet(os.environ["MARKET_OUTPUT"])
"""


def archive(path: str, text: str) -> bytes:
    """Return a .tar.gz with one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo(path)
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def test_what_users_write_reaches_the_program_byte_for_byte(
    stack: settings.Settings, buyer: Person, machines: list[dict[str, Any]], program: Dedent
) -> None:
    root = 'Grüße $HOME `x` {{y}} [1] "q" %41 #, a\'s'
    params = [
        '"',
        "'",
        "`id`",
        "$HOME",
        "{{ ds }}",
        "}}",
        "%s",
        '{"a": [1, "b"]}',
        "a\nb",
        "🎈",
        "",
        "*",
        "\\",
        *(
            "\t",
            "a\r\nb",
            " ",
            "  x  ",
            "--",
            "--conf",
            "spark.x=y",
            "a;b|c&&d",
            "<CPS>",
            "{{PATH}}",
            "$(id)",
        ),
        *("%(x)s", "\u202e", "Gru\u0308ße", "~/x", "!!"),
    ]
    buyer.put(requests.utils.quote(f"{root}/show.py"), program(SHOW))
    buyer.put(requests.utils.quote(f"{root}/util.py"), "word = 'from the library'\n")
    buyer.put(requests.utils.quote(f"{root}/data.txt"), "a line\n")
    buyer.put(requests.utils.quote(f"{root}/data.tar.gz"), archive("deep/inner.txt", "from the archive"))
    given = {"libs": ["util.py"], "archives": ["data.tar.gz"], "core_num": 2, "executor_cores": 2}
    outside = {"spark.memory.offHeap.enabled": True, "spark.memory.offHeap.size": "64m"}
    sent = [*params, 3, True, "{input}", "{output}"]
    job_id = buyer.submit(root, app_params=sent, spark_conf=outside, **given)
    job = buyer.ended(job_id)
    text = buyer.log(job_id)
    assert job["status"] == "succeeded", (job["reason"], text, buyer.log(job_id, file="stderr"))
    shown = json.loads(next(line for line in text.splitlines() if line.startswith('{"argv"')))
    assert shown["argv"][1:-2] == [*params, "3", "true"]
    assert shown["argv"][0] == "show.py"
    assert shown["name"] == "__main__"
    assert shown["argv"][-2:] == [shown["driver"]["MARKET_INPUT"], shown["driver"]["MARKET_OUTPUT"]]
    assert shown["driver"]["MARKET_INPUT"].endswith(f"/user/{buyer.username}/{root}")
    assert shown["executor"] == shown["driver"]
    assert shown["driver"]["MARKET_JOB_ID"] == job_id
    assert (shown["util"], shown["read"]) == ("from the library", "a line")
    assert shown["executor"]["unpacked"] == "from the archive"
    assert shown["instances"] == "1"
    held = {
        line["role"]: (line["vcores"], line["memory_mib"]) for line in buyer.receipt(job_id)["containers"]
    }
    jobs = stack.jobs
    assert held == {
        "driver": (1, container_mib(jobs.driver_memory_mib)),
        "executor": (2, container_mib(jobs.executor_memory_mib, off_heap_mib=64)),
    }
    assert str(settings.ROOT / "plugins") not in shown["path"].split(":"), "a folder of the submitting host"


JAVA = """
    import java.util.Arrays;
    import org.apache.spark.sql.SparkSession;
    public class Count {
        public static void main(String[] arguments) {
            SparkSession spark = SparkSession.builder().getOrCreate();
            long n = spark.range(Long.parseLong(arguments[0])).filter("id % 2 = 0").count();
            System.out.println("even " + n + " " + Arrays.toString(arguments));
            spark.range(3).write().csv(arguments[1]);
            System.out.println("input " + System.getenv("MARKET_INPUT"));
        }
    }
"""


def test_a_java_program_runs_unchanged(
    stack: settings.Settings, buyer: Person, machines: list[dict[str, Any]], program: Dedent, tmp_path: Path
) -> None:
    (tmp_path / "Count.java").write_text(program(JAVA))
    jars = f"{stack.paths.runtime}/jars/*"
    subprocess.run(
        ["javac", "-cp", jars, "-d", str(tmp_path / "out"), str(tmp_path / "Count.java")], check=True
    )
    subprocess.run(["jar", "cf", str(tmp_path / "count.jar"), "-C", str(tmp_path / "out"), "."], check=True)
    buyer.put("java/count.jar", (tmp_path / "count.jar").read_bytes())
    params = ["1000", "{output}", '{"a": "$b"}', "x y"]
    job_id = buyer.submit("java", main_class="Count", app_params=params)
    job = buyer.ended(job_id)
    text = buyer.log(job_id)
    assert job["status"] == "succeeded", (job["reason"], text, buyer.log(job_id, file="stderr"))
    assert "even 500 [1000, hdfs://" in text
    assert '{"a": "$b"}, x y]' in text
    assert f"/user/{buyer.username}/java" in text
    files = buyer.rest.get(f"/jobs/{job_id}/results")["files"]
    assert any(one["path"].endswith(".csv") for one in files)


def test_a_program_that_fails_says_so_and_is_charged(
    buyer: Person, machines: list[dict[str, Any]], admin: requests.Session, stack: settings.Settings
) -> None:
    buyer.put("failing/main.py", "raise SystemExit('no such luck')\n")
    job_id = buyer.submit("failing")
    job = buyer.ended(job_id)
    assert (job["status"], job["reason_code"]) == ("failed", "user_error")
    assert "exit code 1: no such luck" in job["reason"]
    until(lambda: "no such luck" in buyer.log(job_id), "the program's last words", 30)
    run = _run(stack, admin, job_id)
    assert (run["state"], run["note"]) == ("failed", job["reason"])


def _run(stack: settings.Settings, admin: requests.Session, job_id: str) -> dict[str, Any]:
    def look() -> Any:
        answer = admin.get(f"{stack.url('api')}/api/v2/dags/job_{job_id}/dagRuns", timeout=30)
        runs = answer.json().get("dag_runs", [])
        return runs[0] if runs and runs[0]["state"] in ("success", "failed") else None

    return dict(until(look, "the end of the DAG run", 60))


FOREVER = """
    import time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    print("working", flush=True)
    while True:
        spark.range(1000).count()
        time.sleep(1)
"""


def test_a_running_job_is_cancelled_on_yarn(
    buyer: Person,
    machines: list[dict[str, Any]],
    program: Dedent,
    admin: requests.Session,
    stack: settings.Settings,
) -> None:
    buyer.put("forever/main.py", program(FOREVER))
    job_id = buyer.submit("forever")
    buyer.in_status(job_id, "running")
    until(lambda: "working" in buyer.log(job_id), "the log of a running job")
    progress = until(
        lambda: found if (found := buyer.rest.get(f"/jobs/{job_id}/progress"))["tasks_total"] > 0 else None,
        "progress",
        60,
    )
    assert progress["tasks_done"] <= progress["tasks_total"]
    application = buyer.job(job_id)["application_id"]
    assert len(of_application(application)) > 2, "a driver, an executor, and what started them"
    answer = buyer.send("POST", f"/jobs/{job_id}/cancel")
    assert answer.status_code == 202
    assert answer.json()["status"] in ("cancelling", "cancelled")
    until(lambda: resource_manager().app(application).state == "KILLED", "the end at YARN", 10)
    until(lambda: not of_application(application), "the end of its containers", 20)
    job = buyer.ended(job_id, 30)
    assert (job["status"], job["reason_code"]) == ("cancelled", "cancelled")
    assert job["reason"] == f"cancelled by {buyer.username}"
    again = buyer.send("POST", f"/jobs/{job_id}/cancel")
    assert (again.status_code, again.json()["status"]) == (202, "cancelled")
    run = _run(stack, admin, job_id)
    assert (run["state"], run["note"]) == ("failed", f"cancelled by {buyer.username}")


def test_a_job_that_waits_is_cancelled_and_costs_nothing(
    buyer: Person, machines: list[dict[str, Any]]
) -> None:
    before = buyer.rest.get(f"/users/{buyer.user_id}/credits")
    buyer.put("waiting/main.py", "print(1)\n")
    job_id = buyer.submit("waiting", machine_type="gpu")
    held = buyer.rest.get(f"/users/{buyer.user_id}/credits")
    assert parse_credits(held["held"]) > parse_credits(before["held"])
    buyer.send("POST", f"/jobs/{job_id}/cancel")
    assert buyer.ended(job_id, 90)["status"] == "cancelled"
    settle(clock.now_ms())
    after = until(
        lambda: (
            found
            if parse_credits((found := buyer.rest.get(f"/users/{buyer.user_id}/credits"))["held"])
            <= parse_credits(before["held"])
            else None
        ),
        "the hold coming back",
        30,
    )
    assert parse_credits(after["balance"]) <= parse_credits(before["balance"])
    assert buyer.rest.get(f"/jobs/{job_id}/receipt")["charge"] == "0.000000"


def test_a_job_whose_type_nobody_lends_ends_without_cost(
    buyer: Person, machines: list[dict[str, Any]], program: Dedent
) -> None:
    buyer.put("waiting/main.py", program(FOREVER))
    job_id = buyer.submit("waiting", machine_type="gpu", max_wait=10)
    until(lambda: buyer.job(job_id)["status"] == "queued", "the wait for a machine", 30)
    job = buyer.ended(job_id, 60)
    assert _apps(job_id) == [], "no driver waits with it"
    assert (job["status"], job["reason_code"], job["start_time"]) == ("failed", "no_capacity", None)
    assert buyer.rest.get(f"/jobs/{job_id}/receipt")["charge"] == "0.000000"


def test_a_job_whose_type_nobody_lends_begins_when_somebody_does(
    buyer: Person, lenders: Callable[..., Agent]
) -> None:
    program = "from pyspark.sql import SparkSession as S\nprint(S.builder.getOrCreate())\n"
    buyer.put("awaited/main.py", program)
    job_id = buyer.submit("awaited", machine_type="awaited")
    cancelled = buyer.submit("awaited", machine_type="awaited")
    for waiting in (job_id, cancelled):
        until(lambda waiting=waiting: buyer.job(waiting)["status"] == "queued", "the wait for a machine", 60)
    stopped = buyer.send("POST", f"/jobs/{cancelled}/cancel")
    assert stopped.json()["status"] == "cancelled", "at once: YARN was not given it"
    lenders("awaited", kind="awaited", gib=2)
    assert buyer.ended(job_id)["status"] == "succeeded"
    drivers = [line for line in buyer.rest.get(f"/jobs/{job_id}/logs")["files"] if line["role"] == "driver"]
    assert drivers
    assert _apps(cancelled) == []


@pytest.mark.parametrize("status", ["submitted", "queued", "accepted"])
def test_a_job_is_cancelled_before_it_runs(
    buyer: Person, admin: requests.Session, stack: settings.Settings, program: Dedent, status: str
) -> None:
    buyer.put("waiting/main.py", program(FOREVER))
    body: dict[str, Any] = {"machine_type": "gpu"}  # which nobody lends: YARN is not given it
    if status == "accepted":  # the driver may start at once, but no machine has room for its executor
        body = {"executor_memory": 12288}
    job_id = buyer.submit("waiting", **body)
    if status != "submitted":
        until(lambda: buyer.job(job_id)["status"] in (status, "running"), status, 60)
    answer = buyer.send("POST", f"/jobs/{job_id}/cancel")
    answered = time.monotonic()
    assert answer.status_code == 202
    assert answer.json()["status"] in ("cancelling", "cancelled")
    if status == "accepted":
        until(lambda: [app.state for app in _apps(job_id)] == ["KILLED"], "the end at YARN", 10)
        print(f"KILLED {time.monotonic() - answered:.2f} s after the answer")
    assert buyer.ended(job_id, 90)["status"] == "cancelled"
    run = _run(stack, admin, job_id)
    assert (run["state"], run["note"]) == ("failed", f"cancelled by {buyer.username}")
    assert [app.state for app in _apps(job_id)] in ([], ["KILLED"])
    if status != "accepted":
        assert buyer.rest.get(f"/jobs/{job_id}/receipt")["charge"] == "0.000000"


def _apps(job_id: str) -> list[App]:
    return resource_manager().apps(tags=[job_id])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"root_path": "nowhere"}, "root_path"),
        ({"root_path": "/user/root"}, "root_path"),
        ({"entry_file": "gone.py"}, "entry_file"),
        ({"libs": ["gone.py"]}, "libs"),
        ({"archives": ["gone.zip"]}, "archives"),
        ({"colour": "red"}, "colour"),
        ({"core_num": "two"}, "core_num"),
        ({"root_path": None}, "root_path"),
    ],
)
def test_bad_input_names_its_field_and_nothing_is_stored(
    buyer: Person, machines: list[dict[str, Any]], body: dict[str, Any], field: str
) -> None:
    buyer.put("good/main.py", "print(1)\n")
    before = buyer.rest.get("/jobs")["total"]
    asked = {"root_path": "good", "core_num": 1, "machine_type": "cpu"} | body
    answer = buyer.send(
        "POST", "/jobs", json={name: value for name, value in asked.items() if value is not None}
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in answer.json()["errors"]
    assert buyer.rest.get("/jobs")["total"] == before


def test_too_little_credit_is_402_and_a_dry_run_tells_the_price(buyer: Person) -> None:
    buyer.put("good/main.py", "print(1)\n")
    body = {"root_path": "good", "core_num": 60, "machine_type": "cpu", "max_duration": 360_000}
    answer = buyer.send("POST", "/jobs", json=body)
    assert answer.status_code == 402
    problem = answer.json()
    assert parse_credits(problem["needed"]) > parse_credits(problem["available"])
    quoted = buyer.send("POST", "/jobs?dry_run=true", json=body)
    assert quoted.status_code == 200
    assert quoted.json()["quote"]["hold"] == problem["needed"]


def test_the_same_key_submits_once(buyer: Person) -> None:
    buyer.put("good/main.py", "print(1)\n")
    body = {"root_path": "good", "core_num": 1, "machine_type": "gpu", "max_credits": "0.010000"}
    first, second = (
        buyer.send("POST", "/jobs", json=body, headers={"Idempotency-Key": "k1"}) for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    other = buyer.send("POST", "/jobs", json=body | {"core_num": 2}, headers={"Idempotency-Key": "k1"})
    assert other.status_code == 422
    buyer.send("POST", f"/jobs/{first.json()['job_id']}/cancel")
