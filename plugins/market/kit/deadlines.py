"""Time-outs that bear on one another, in one table with their order: none of them undoes another.

Whoever sets one takes it from here. `ORDER` says which must be shorter than which, and why; the same table is
in docs/operators.md. A limit that only bounds one exchange or statement stands where that is done
(`cluster/http.py`, `kit/patience.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from market.kit.settings import Settings

_DAY_S = 86_400
LONGEST_JOB_S = 30 * _DAY_S  # the most that a job's `max_duration` may be


@dataclass(frozen=True)
class Deadline:
    """A time-out: what people call it, the parameter that sets it, and its seconds."""

    name: str
    place: str
    seconds: Callable[[Settings], float]

    def whole_s(self, settings: Settings) -> int:
        """Return its seconds, rounded up."""
        return -int(-self.seconds(settings) // 1)

    def ms(self, settings: Settings) -> int:
        """Return its milliseconds."""
        return round(self.seconds(settings) * 1000)


def _fixed(name: str, place: str, seconds: float) -> Deadline:
    return Deadline(name, place, lambda _: seconds)


# A job's own time is ended by the market, from the start of its driver's container on. So nothing of YARN's
# or Spark's may end it earlier. A driver registers at YARN when its session is there, which may be late or
# never. One whose process or machine ends is reported by the NodeManager, or is missed with it, without this;
# what is lost while the ResourceManager is away, jobs/life/orphans.py finds.
LONGEST_JOB = _fixed("the longest `max_duration`", "jobs/spec.py", LONGEST_JOB_S)
SESSION = _fixed("a program makes its session", "spark.yarn.am.waitTime", 31 * _DAY_S)
DRIVER = _fixed("YARN waits for a driver", "yarn.am.liveness-monitor.expiry-interval-ms", 32 * _DAY_S)
DRIVER_TOKEN = _fixed(
    "a driver's token is replaced",
    "yarn.resourcemanager.am-rm-tokens.master-key-rolling-interval-secs",
    100 * _DAY_S,
)

NODE = Deadline(
    "a silent machine is lost (YARN looks every third of it)",
    "yarn.nm.liveness-monitor.expiry-interval-ms",
    lambda settings: settings.machines.node_expiry_s * 4 / 3,
)
EXECUTOR_BEAT = _fixed("an executor's heartbeat", "spark.executor.heartbeatInterval", 10)
EXECUTOR = Deadline(
    "Spark gives a silent executor up",
    "spark.network.timeout",
    lambda settings: max(120, 2 * settings.machines.node_expiry_s),
)
RECOVERY = Deadline(
    "the ResourceManager has heard of all after its start",
    "metering, jobs/life/watch.py",
    lambda settings: max(60, 1.5 * settings.machines.node_expiry_s),
)

TASK_DRAIN = Deadline(
    "a task goes on while its machine drains",
    "spark.executor.decommission.forceKillTimeout",
    lambda settings: max(1, settings.machines.drain_timeout_s // 4),
)
DRAIN = Deadline(
    "a machine drains", "[machines] drain_timeout_s", lambda settings: settings.machines.drain_timeout_s
)
AGENT_DRAIN = Deadline(  # the agent's own: distributedmarket/agent/agent.py
    "an agent waits for its drain", "agent", lambda settings: settings.machines.drain_timeout_s + 25
)
AGENT_STOP = Deadline(
    "the process manager waits for an agent's end",
    "stopwaitsecs",
    lambda settings: settings.machines.drain_timeout_s + 60,
)
STOP_CALL = Deadline(
    "whoever asked the process manager waits for it",
    "ops/run/supervisor.py",
    lambda settings: max(300, settings.machines.drain_timeout_s + 120),
)

SUBMITTER_READY = _fixed("the warm submitter is ready", "jobs/submission/warm_submitter.py", 8)
SUBMITTER_END = _fixed("the warm submitter ends", "jobs/submission/warm_submitter.py", 180)
SUBMISSION_LOCK = _fixed(
    "a try waits for an earlier one's submission", "jobs/submission/submission_lock.py", 200
)
TASK_TOKEN = _fixed("a task's token at Airflow", "[execution_api] jwt_expiration_time", 3600)
TASK_QUEUED = _fixed("a task waits for a process", "[scheduler] task_queued_timeout", 600)

DAG_IMPORT = _fixed("a DAG file is imported", "[core] dagbag_import_timeout", 45)
DAG_PROCESS = _fixed("a DAG file is processed", "[dag_processor] dag_file_processor_timeout", 50)
DAG_STALE = _fixed("a DAG that is gone is retired", "[dag_processor] stale_dag_threshold", 55)

TRIGGERER_BEAT = _fixed("a triggerer's heartbeat", "[triggerer] job_heartbeat_sec", 2)
TRIGGER_LOOP = _fixed("a triggerer's loop may be silent", "[triggerer] runner_health_check_threshold", 15)
TRIGGERER = _fixed(
    "a silent triggerer's triggers are taken over", "[triggerer] triggerer_health_check_threshold", 12
)
HUNG = _fixed("a triggerer whose loop hangs falls silent", "both of these", 15 + 12)
FROZEN = _fixed("a frozen process is ended", "ops/run/watchdog.py", 10)
NOTICED = _fixed("a frozen triggerer is noticed", "what the market promises", 30)

AGENT_BEAT = _fixed("the market holds an agent's heartbeat", "web/api/routes/agents.py", 10)
AGENT_READ = _fixed("an agent waits for its answer", "agent", 30)
KEEP_ALIVE = _fixed("the api-server keeps an idle connection", "[api] worker_timeout", 120)
DRIVER_PAGES = _fixed("a program's own pages are waited for", "cluster/spark_ui.py", 4)
PROXY = _fixed(
    "the ResourceManager's proxy waits for them", "yarn.resourcemanager.proxy.connection.timeout", 5
)
HEALTH = _fixed("`GET /health` waits for a part", "web/api/health.py", 3)
HEALTH_CHECK = _fixed("`./market status` waits for an answer", "ops/run/services.py", 5)


@dataclass(frozen=True)
class Order:
    """One time-out that must be over before another, and what happened otherwise."""

    shorter: Deadline
    longer: Deadline
    otherwise: str
    times: float = 1.0  # the shorter one, so many times


ORDER = (
    Order(LONGEST_JOB, SESSION, "a program that prepares for long, or makes no session, is killed"),
    Order(SESSION, DRIVER, "YARN ends a driver that Spark still waits for"),
    Order(DRIVER, DRIVER_TOKEN, "the ResourceManager does not start", times=3),
    Order(NODE, EXECUTOR, "a lost machine counts as the program's failure"),
    Order(NODE, RECOVERY, "a machine that is still coming back counts as gone"),
    Order(EXECUTOR_BEAT, EXECUTOR, "one late heartbeat loses an executor", times=3),
    Order(TASK_DRAIN, DRAIN, "tasks are moved off when their machine has gone"),
    Order(DRAIN, AGENT_DRAIN, "the agent stops at once what still drains"),
    Order(AGENT_DRAIN, AGENT_STOP, "the process manager kills an agent that drains"),
    Order(AGENT_STOP, STOP_CALL, "the command fails while the agent still drains"),
    Order(SUBMITTER_READY, SUBMITTER_END, "the warm submitter is given up before it has begun"),
    Order(SUBMITTER_END, SUBMISSION_LOCK, "a try gives up while an earlier one's submission may still come"),
    Order(SUBMISSION_LOCK, TASK_TOKEN, "a task that had to wait cannot speak with Airflow any more", times=3),
    Order(TASK_QUEUED, TASK_TOKEN, "a task that waited for its process cannot speak with Airflow"),
    Order(DAG_IMPORT, DAG_PROCESS, "a file that may still be imported is given up, without a reason"),
    Order(DAG_PROCESS, DAG_STALE, "the DAG of a file that is still processed is retired"),
    Order(TRIGGERER_BEAT, TRIGGERER, "one late heartbeat moves every trigger", times=3),
    Order(TRIGGER_LOOP, HUNG, "its triggers stay where they are"),
    Order(HUNG, NOTICED, "nothing is watched for longer than is promised"),
    Order(FROZEN, NOTICED, "nothing is watched for longer than is promised"),
    Order(TRIGGERER, NOTICED, "nothing is watched for longer than is promised"),
    Order(AGENT_BEAT, AGENT_READ, "an agent takes a heartbeat that is held for a market that is away"),
    Order(AGENT_READ, KEEP_ALIVE, "an agent's connection is closed between two heartbeats"),
    Order(DRIVER_PAGES, PROXY, "the proxy's words come instead of the program's"),
    Order(HEALTH, HEALTH_CHECK, "the api-server counts as away while HDFS hangs"),
)


def all_of() -> list[Deadline]:
    """Return every time-out of the table, in its order."""
    return list(dict.fromkeys(row for order in ORDER for row in (order.shorter, order.longer)))
