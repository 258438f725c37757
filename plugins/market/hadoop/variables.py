"""Which variables a job may set: not those that YARN, Spark, Java, Python or the shell live by."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_NAME = 128
_PREFIXES = (
    *("SPARK_", "PYSPARK_", "HADOOP_", "HDFS_", "YARN_", "MARKET_", "JAVA_", "JDK_", "JVM_", "NM_", "LD_"),
    *("BASH", "GLIBC_", "KRB5", "APP_SUBMIT_", "APPLICATION_WEB_", "LOCALIZATION_"),
)
# The containers' own, and the shell's that starts the program: it reads some of them, and ends with an error
# where one of the others is set.
_NAMES = {
    *("CONTAINER_ID", "LOCAL_DIRS", "LOG_DIRS", "LOCAL_USER_DIRS", "CLASSPATH", "MALLOC_ARENA_MAX"),
    *("HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "TMPDIR", "PATH", "_", "IFS", "ENV", "CDPATH"),
    *("PS4", "GLOBIGNORE", "SHELLOPTS", "POSIXLY_CORRECT", "UID", "EUID", "PPID", "GROUPS", "DIRSTACK"),
    *("FUNCNAME", "GCONV_PATH", "LOCPATH"),
}
# Of Python's own those that do not change what it loads, or how it is run.
_PYTHON = {
    *("PYTHONHASHSEED", "PYTHONWARNINGS", "PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONUTF8"),
    *("PYTHONFAULTHANDLER", "PYTHONDONTWRITEBYTECODE", "PYTHONASYNCIODEBUG", "PYTHONDEVMODE"),
    *("PYTHONTRACEMALLOC", "PYTHONINTMAXSTRDIGITS"),
}


def problem(name: str) -> str | None:
    """Return why a job may not set a variable of this name, None if it may."""
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        return f"is no name of a variable: up to {_MAX_NAME} letters, digits and _, no digit first"
    own = name.startswith(_PREFIXES) or name in _NAMES
    if own or (name.startswith("PYTHON") and name not in _PYTHON):
        return "is set by the market, Spark or the system; take another name"
    return None
