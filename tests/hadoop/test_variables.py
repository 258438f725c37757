"""Which variables a job may set."""

from __future__ import annotations

import pytest

from market.hadoop import variables


@pytest.mark.parametrize(
    "name", ["A", "_x", "OMP_NUM_THREADS", "TZ", "PYTHONHASHSEED", "database_url", "path"]
)
def test_ordinary_names_are_taken(name: str) -> None:
    assert variables.problem(name) is None


@pytest.mark.parametrize(
    "name",
    [
        *("", "1", "a-b", "a.b", "a=b", "ü", "A\n", "A\0", "A B", "$A", "x" * 129),
        *("PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"),
        *("SPARK_HOME", "PYSPARK_PYTHON", "HADOOP_USER_NAME", "YARN_X", "JAVA_HOME", "JAVA_TOOL_OPTIONS"),
        *(
            "JDK_JAVA_OPTIONS",
            "MARKET_OUTPUT",
            "MARKET_SECRETS",
            "BASH_ENV",
            "ENV",
            "IFS",
            "UID",
            "CLASSPATH",
        ),
        *("CONTAINER_ID", "NM_HOST", "KRB5_CONFIG"),
    ],
)
def test_what_others_live_by_is_not(name: str) -> None:
    assert variables.problem(name)
