"""Find ten groups among images of handwritten digits with k-means, and say how well they match the digits.

No label is shown to the algorithm: each group is named afterwards after the digit that most of it shows.
"""

import argparse
import json
import os

from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from sklearn.datasets import load_digits


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--groups", type=int, default=10)
    parser.add_argument("--out", default=os.environ.get("MARKET_OUTPUT", "kmeans-output"))
    chosen = parser.parse_args()

    spark = SparkSession.builder.appName("kmeans").getOrCreate()
    images = load_digits()
    rows = [(pixels.tolist(), int(digit)) for pixels, digit in zip(images.data, images.target, strict=True)]
    table = spark.createDataFrame(rows, "pixels array<double>, digit int")
    points = table.select(array_to_vector("pixels").alias("features"), "digit").repartition(2).cache()

    model = KMeans(k=chosen.groups, seed=7, maxIter=20).fit(points)
    grouped = model.transform(points).cache()
    largest = (
        grouped.groupBy("prediction", "digit")
        .count()
        .groupBy("prediction")
        .agg(f.max("count").alias("matching"), f.sum("count").alias("size"))
        .collect()
    )
    purity = sum(row.matching for row in largest) / sum(row.size for row in largest)
    silhouette = ClusteringEvaluator().evaluate(grouped)
    print(f"{len(largest)} groups, purity {purity:.3f}, silhouette {silhouette:.3f}")

    model.write().overwrite().save(f"{chosen.out}/model")
    metrics = json.dumps({"purity": purity, "silhouette": silhouette})
    spark.createDataFrame([(metrics,)], ["value"]).coalesce(1).write.text(f"{chosen.out}/metrics")
    spark.stop()


if __name__ == "__main__":
    main()
