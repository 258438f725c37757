"""A job's secrets: read by its driver from a file of its owner's, which it deletes, and handed to executors.

The file holds name, value, and the value quoted for YARN's shell (for programs of Java), with a NUL after
each. What executors get is named so that Spark shows it nowhere. It lies in the archive with PySpark.
"""

import base64
import json
import os

_FILE = "MARKET_SECRETS_FILE"  # its address; in the driver alone
_VALUES = "MARKET_SECRETS"  # in executors


def take() -> None:
    """Put the secrets into this driver's environment, and into that of its executors."""
    if _FILE not in os.environ:
        return
    values = _values(_read(os.environ.pop(_FILE)))
    os.environ.update(values)
    encoded = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()

    from pyspark import SparkContext

    assert SparkContext._jvm is not None
    SparkContext._jvm.java.lang.System.setProperty(f"spark.executorEnv.{_VALUES}", encoded)


def receive() -> None:
    """Put what an executor's Python was handed into its environment."""
    if encoded := os.environ.pop(_VALUES, ""):
        os.environ.update(json.loads(base64.urlsafe_b64decode(encoded)))


def _read(address: str) -> bytes:
    """Return what the file holds, as Spark's Java reads it, and delete it."""
    from pyspark import SparkContext

    SparkContext._ensure_initialized()
    hadoop = SparkContext._jvm.org.apache.hadoop  # type: ignore[union-attr]
    path = hadoop.fs.Path(address)
    files = path.getFileSystem(hadoop.conf.Configuration())
    stream = files.open(path)
    content = bytes(stream.readAllBytes())
    stream.close()
    files.delete(path, False)
    return content


def _values(content: bytes) -> dict[str, str]:
    words = content.decode().split("\0")[:-1]
    return dict(zip(words[::3], words[1::3], strict=True))
