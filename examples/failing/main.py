"""A program with a mistake in it: it divides by the number of rows that passed a filter, and none does."""

from pyspark.sql import SparkSession


def main() -> None:
    spark = SparkSession.builder.appName("failing").getOrCreate()
    kept = spark.range(100).filter("id > 100")
    print(f"the mean is {sum(row.id for row in kept.collect()) / kept.count()}")
    spark.stop()


if __name__ == "__main__":
    main()
