"""A program that needs more memory than it has, in an executor or in the driver.

It stops asking at `--mib`, so that it does no harm where nobody stops it.
"""

import argparse
import time

from pyspark.sql import SparkSession

STEP_MIB = 64


def fill(mib: int) -> int:
    """Take memory step by step, keep it for a while, and return how much it was."""
    kept = []
    for _ in range(mib // STEP_MIB):
        kept.append(b"x" * (STEP_MIB << 20))
        time.sleep(0.05)
    time.sleep(30)
    return len(kept) * STEP_MIB


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--where", choices=["executor", "driver"], default="executor")
    parser.add_argument("--mib", type=int, default=1536)
    chosen = parser.parse_args()

    # Without this Spark would try each task four times, which would fail alike.
    spark = SparkSession.builder.appName("out of memory").config("spark.task.maxFailures", "1").getOrCreate()
    if chosen.where == "driver":
        print(fill(chosen.mib))
    else:
        print(spark.sparkContext.parallelize([chosen.mib], 1).map(fill).first())
    spark.stop()


if __name__ == "__main__":
    main()
