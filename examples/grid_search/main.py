"""Search scikit-learn's parameters on many machines: one task cross-validates each point of the grid."""

import argparse
import json
import os
from itertools import product

from pyspark.sql import SparkSession
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

GRID = {"C": [0.1, 1.0, 10.0], "gamma": [0.0005, 0.001, 0.01]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=600, help="how many to use: time grows with the square")
    parser.add_argument("--out", default=os.environ.get("MARKET_OUTPUT", "grid-output"))
    chosen = parser.parse_args()

    spark = SparkSession.builder.appName("grid_search").getOrCreate()
    images = load_digits()
    data = spark.sparkContext.broadcast((images.data[: chosen.images], images.target[: chosen.images]))
    points = [dict(zip(GRID, values, strict=True)) for values in product(*GRID.values())]

    def score(point: dict[str, float]) -> dict[str, float]:
        x, y = data.value
        return {**point, "accuracy": float(cross_val_score(SVC(**point), x, y, cv=3).mean())}

    scores = spark.sparkContext.parallelize(points, len(points)).map(score).collect()
    for one in sorted(scores, key=lambda found: -found["accuracy"]):
        print(" ".join(f"{name}={value:g}" for name, value in one.items()))
    best = max(scores, key=lambda found: found["accuracy"])
    print(f"best accuracy {best['accuracy']:.3f} with C={best['C']:g} gamma={best['gamma']:g}")

    lines = [(json.dumps(one),) for one in scores]
    spark.createDataFrame(lines, ["value"]).coalesce(1).write.text(f"{chosen.out}/scores")
    spark.stop()


if __name__ == "__main__":
    main()
