"""A small Spark program that touches what most jobs do; setup runs it to learn which classes they load."""

import sys

from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
rows = [(float(number % 2), float(number), float(number % 7)) for number in range(200)]
table = spark.createDataFrame(rows, ["label", "a", "b"]).repartition(2)
points = VectorAssembler(inputCols=["a", "b"], outputCol="features").transform(table).cache()
model = LogisticRegression(maxIter=2).fit(points)
model.transform(points).groupBy("prediction").count().collect()
spark.sparkContext.parallelize(range(10), 2).map(lambda number: number + 1).sum()
model.write().overwrite().save(f"{sys.argv[1]}/model")
table.write.mode("overwrite").parquet(f"{sys.argv[1]}/table")
spark.stop()
