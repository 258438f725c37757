"""The canary: a Spark program that measures the machine which its one executor runs on.

`canary.py CORES MIB RESULT`: the speed of one core while the others are idle, of all CORES at once, and of
copying MIB of memory; what it measured goes to RESULT as JSON. It runs with the jobs' Python, not the
market's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

_LASTS_S = 1.0
_AHEAD_S = 4.0  # for the other cores' Python to start


def probe(begin: float, lasts_s: float, mib: int) -> dict[str, Any]:
    """Count steps for `lasts_s` from the time `begin` on; copy `mib` of memory, if any."""
    late = max(0.0, time.time() - begin) if begin else 0.0
    while time.time() < begin:
        time.sleep(0.001)
    started = time.perf_counter()
    steps, number = 0, 1
    while (took := time.perf_counter() - started) < lasts_s:
        for _ in range(5000):
            number = (number * 1103515245 + 12345) & 0x7FFFFFFF
        steps += 5000
    result: dict[str, Any] = {
        "host": os.environ.get("NM_HOST", ""),
        "speed": steps / took / 1000,
        "late": late,
        "now": time.time(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
    }
    if mib:
        source, target = bytes(1 << 20), bytearray(mib << 20)
        started = time.perf_counter()
        for place in range(mib):
            target[place << 20 : place + 1 << 20] = source
        result["memory_mib_s"] = mib / max(1e-6, time.perf_counter() - started)
    return result


def main(cores: int, mib: int, result: str) -> None:
    """Measure, and write the result."""
    # Imported here: in executors this file only measures, and its tests need no Spark.
    from pyspark.sql import SparkSession  # noqa: PLC0415

    spark = SparkSession.builder.getOrCreate().sparkContext
    alone = spark.parallelize([0], 1).map(lambda _: probe(0, _LASTS_S, mib)).collect()[0]
    # In the time of the executor, whose clock may differ from the driver's.
    begin = alone["now"] + _AHEAD_S
    together = spark.parallelize(range(cores), cores).map(lambda _: probe(begin, _LASTS_S, 0)).collect()
    document = {"alone": alone, "together": together}
    java = spark._jvm
    path = java.org.apache.hadoop.fs.Path(result)
    out = path.getFileSystem(spark._jsc.hadoopConfiguration()).create(path, True)
    out.write(bytearray(json.dumps(document).encode()))
    out.close()
    spark.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
