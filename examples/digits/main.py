"""Train a classifier of handwritten digits with Spark's MLlib and save it with its measured accuracy.

An ordinary Spark program: it also runs with plain `spark-submit main.py`.
"""

import argparse
import json
import os

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.sql import SparkSession
from sklearn.datasets import load_digits


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--out", default=os.environ.get("MARKET_OUTPUT", "digits-output"))
    chosen = parser.parse_args()

    spark = SparkSession.builder.appName("digits").getOrCreate()
    images = load_digits()
    columns = [f"pixel_{number}" for number in range(images.data.shape[1])]
    rows = [
        (*map(float, pixels), float(label)) for pixels, label in zip(images.data, images.target, strict=True)
    ]
    table = spark.createDataFrame(rows, [*columns, "label"]).repartition(4).cache()
    training, test = table.randomSplit([0.8, 0.2], seed=7)

    model = Pipeline(
        stages=[
            VectorAssembler(inputCols=columns, outputCol="raw"),
            StandardScaler(inputCol="raw", outputCol="features", withMean=True),
            LogisticRegression(maxIter=chosen.iterations, regParam=0.01),
        ]
    ).fit(training)
    accuracy = MulticlassClassificationEvaluator(metricName="accuracy").evaluate(model.transform(test))
    print(f"{training.count()} images to learn from, {test.count()} to test with")
    print(f"accuracy {accuracy:.4f}")

    model.write().overwrite().save(f"{chosen.out}/model")
    metrics = json.dumps({"accuracy": accuracy, "iterations": chosen.iterations})
    spark.createDataFrame([(metrics,)], ["value"]).coalesce(1).write.text(f"{chosen.out}/metrics")
    spark.stop()


if __name__ == "__main__":
    main()
