"""Airflow's configuration, as environment variables, generated from the settings and the secrets."""

from __future__ import annotations

import json
import os

from market.hadoop import spark
from market.kit import deadlines
from market.kit.deadlines import Deadline
from market.kit.settings import Settings
from market.ops.run.submitter import PROGRAMS

YARN_CONNECTION = "market_yarn"
_LEAST_MS = 20  # without any rest the scheduler would take a whole core


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables of every Airflow process; the values hold secrets: never log them."""
    paths = settings.paths
    url = settings.url("api")

    def given(deadline: Deadline) -> str:
        return str(deadline.whole_s(settings))

    bundles = [
        {
            "name": "dags-folder",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(paths.root / "dags"), "refresh_interval": 60},
        },
        {
            "name": "market-jobs",
            "classpath": "market.airflow.bundle.MarketJobsBundle",
            "kwargs": {"refresh_interval": 1},
        },
    ]
    connection = {
        "conn_type": "spark",
        "host": "yarn",
        "extra": {
            "deploy-mode": "cluster",
            "yarn_resourcemanager_webapp_address": settings.url("resourcemanager_http"),
        },
    }
    database = settings.database_url("airflow").replace("postgresql://", "postgresql+psycopg2://")
    options = {
        "core": {
            "auth_manager": "market.airflow.auth_manager.MarketAuthManager",
            "dags_folder": str(paths.root / "dags"),
            "plugins_folder": str(paths.root / "plugins"),
            "executor": "LocalExecutor",
            "parallelism": "8",
            "max_active_tasks_per_dag": "16",
            "load_examples": "False",
            "fernet_key": settings.secret("fernet_key"),
            "execution_api_server_url": f"{url}/execution/",
            "default_timezone": "utc",
            "dagbag_import_timeout": given(deadlines.DAG_IMPORT),
            # Every file of a bundle is a DAG: none is read to find out.
            "dag_discovery_safe_mode": "False",
        },
        "database": {
            "sql_alchemy_conn": database,
            "sql_alchemy_pool_size": "5",
            "load_default_connections": "False",
        },
        "api": {
            "base_url": url,
            "host": settings.bind,
            "port": str(settings.port("api")),
            "workers": "1",
            "worker_timeout": given(deadlines.KEEP_ALIVE),
            "secret_key": settings.secret("api_secret_key"),
            "expose_config": "False",
            **_tls(settings),
        },
        "api_auth": {
            "jwt_secret": settings.secret("jwt_secret"),
            "jwt_expiration_time": str(settings.accounts.token_lifetime_s),
        },
        "execution_api": {"jwt_expiration_time": given(deadlines.TASK_TOKEN)},
        "dag_processor": {
            "dag_bundle_config_list": json.dumps(bundles),
            # A job's file never changes, and the bundle itself says when there is a new one.
            "dag_bundle_storage_path": str(paths.state / "airflow" / "bundles"),
            "disable_bundle_versioning": "True",
            "bundle_refresh_check_interval": "1",
            "min_file_process_interval": "3600",
            "parsing_processes": "2",
            "dag_file_processor_timeout": given(deadlines.DAG_PROCESS),
            "stale_dag_threshold": given(deadlines.DAG_STALE),
        },
        "scheduler": {
            # The shorter, the sooner a job is found, and the more an idle scheduler takes of a core.
            "scheduler_idle_sleep_time": str(max(settings.jobs.find_every_ms, _LEAST_MS) / 1000),
            "catchup_by_default": "False",
            "task_queued_timeout": given(deadlines.TASK_QUEUED),
            "task_instance_heartbeat_timeout": "60",
            "task_instance_heartbeat_timeout_detection_interval": "10",
            # A scheduler looks for silent tasks among its own only. Those of one that was killed are begun
            # again when it has been silent for long enough.
            "scheduler_health_check_threshold": str(settings.recovery.scheduler_silence_s),
            "orphaned_tasks_check_interval": str(settings.recovery.look_every_s),
        },
        "triggerer": {
            "default_capacity": "5000",
            "capacity": "5000",
            # What a killed triggerer had is taken up by the next one after this many seconds of silence.
            "job_heartbeat_sec": given(deadlines.TRIGGERER_BEAT),
            "triggerer_health_check_threshold": given(deadlines.TRIGGERER),
            "runner_health_check_threshold": given(deadlines.TRIGGER_LOOP),
        },
        "fab": {
            "config_file": str(paths.root / "config" / "webserver_config.py"),
            "cookie_secure": str(settings.tls),  # a session's; the token's follows from the certificate
            "cache_ttl": "1",  # seconds for which somebody who was deactivated, or whose token ended, goes on
        },
        "logging": {
            "base_log_folder": str(paths.logs / "airflow"),
        },
        "usage_data_collection": {"enabled": "False"},
    }
    variables = {
        f"AIRFLOW__{section.upper()}__{key.upper()}": value
        for section, values in options.items()
        for key, value in values.items()
    }
    path = [PROGRAMS, paths.airflow_env / "bin", paths.runtime / "bin", os.environ.get("PATH", os.defpath)]
    return (
        variables
        | spark.environment(settings)
        | {
            "AIRFLOW_HOME": str(paths.state / "airflow"),
            f"AIRFLOW_CONN_{YARN_CONNECTION.upper()}": json.dumps(connection),
            "PATH": ":".join(map(str, path)),  # the first folder's `spark-submit` is the warm one
            "PYTHONPATH": str(paths.root / "plugins"),
            "PYTHONUNBUFFERED": "1",
            "SPARK_SUBMIT_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx512m -XX:-UsePerfData "
            f"-Djava.io.tmpdir={paths.run}",
        }
    )


def _tls(settings: Settings) -> dict[str, str]:
    """Return what the api-server shows, and what Airflow's own clients trust: our authority alone."""
    if not settings.tls:
        return {}
    shown = {"ssl_cert": str(settings.tls_certificate), "ssl_key": str(settings.tls_key)}
    if settings.own_certificate or settings.security.tls_ca:
        return shown | {"ssl_ca_file": str(settings.tls_trust), "client_use_public_certs": "False"}
    return shown
