"""A program that never ends: it runs until somebody cancels it, or until its `max_duration` is over."""

import time

from pyspark.sql import SparkSession


def main() -> None:
    spark = SparkSession.builder.appName("forever").getOrCreate()
    round_ = 0
    while True:
        round_ += 1
        print(f"round {round_}: {spark.range(1000).count()} rows", flush=True)
        time.sleep(1)


if __name__ == "__main__":
    main()
