"""What Java's compilers cost at the start of a job, and bring to one that trains.

`.market/airflow-env/bin/python bench/java_options.py [--rounds 3]`, with nothing else running; it needs what
`./market setup` installs, and no running stack. The driver is the same each time; the two executors have
Java's defaults, the market's options (hadoop/spark.py), or the quick compiler alone. In turn, medians: a
small Python job from `spark-submit` to its end, with the processor time of all its processes; and k-means on
60 000 points of 100 numbers, 40 rounds, the time of the fit alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import clone  # noqa: F401

# isort: split

import raw_spark

from distributedmarket.runtime import class_data
from market.hadoop import spark
from market.kit import settings

_TRAINING = """\
import time
from pyspark.ml.clustering import KMeans
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession, functions as F

spark = SparkSession.builder.getOrCreate()
numbers = F.array(*map(F.rand, range(100)))
points = spark.range(60_000).select(array_to_vector(numbers).alias("features")).cache()
points.count()
began = time.monotonic()
KMeans(k=20, maxIter=40, tol=0, seed=1).fit(points)
print("took", time.monotonic() - began)
spark.stop()
"""
_SERIAL = "-XX:+UseSerialGC"
_OPTIONS = {
    "Java's defaults": _SERIAL,
    "the market's": spark.WORKING_JVM,
    "the quick compiler alone": f"{_SERIAL} -XX:TieredStopAtLevel=1",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in _OPTIONS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for name, options in _OPTIONS.items():
                before, began = _processor_s(), time.monotonic()
                _run(Path(folder), raw_spark.PROGRAM, options, 512)
                small = time.monotonic() - began
                processor = _processor_s() - before
                said = _run(Path(folder), _TRAINING, options, 1024)
                taken[name].append((small, processor, float(said.split("took ")[1].split()[0])))
                print(f"{number + 1}: {name}", file=sys.stderr)
    print("executors with               small job s   its processor time s   k-means s")
    for name, found in taken.items():
        small, processor, training = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:26}   {small:11.1f}   {processor:20.1f}   {training:9.1f}")


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(folder: Path, program: str, options: str, memory_mib: int) -> str:
    """Run a program with two executors in processes of their own; return what it prints."""
    paths = settings.load().paths
    (folder / "main.py").write_text(program)
    (folder / "conf").mkdir(exist_ok=True)
    archive = " ".join(class_data.options(paths.runtime))
    conf = {
        "spark.driver.extraClassPath": f"{paths.runtime}/jars/*",
        "spark.executor.extraClassPath": f"{paths.runtime}/jars/*",
        "spark.driver.extraJavaOptions": f"{_SERIAL} -XX:TieredStopAtLevel=1 {archive}",
        "spark.executor.extraJavaOptions": f"{options} {archive}",
        "spark.executor.memory": f"{memory_mib}m",
        "spark.local.dir": str(folder),
        "spark.ui.enabled": "false",
    }
    words = [str(paths.runtime / "bin" / "spark-submit"), "--master", f"local-cluster[2,1,{memory_mib}]"]
    for name, value in conf.items():
        words += ["--conf", f"{name}={value}"]
    done = subprocess.run(
        [*words, str(folder / "main.py")],
        env=os.environ
        | {
            "PATH": f"{paths.runtime / 'bin'}:{os.environ['PATH']}",
            "SPARK_CONF_DIR": str(folder / "conf"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_WORKER_DIR": str(folder / "work"),
        },
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"spark-submit failed:\n{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
