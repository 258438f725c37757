"""Search scikit-learn's parameters on many machines: one task cross-validates each point of the grid.

The best model, a table and a plot are saved as plain Python saves them: as files in a folder, which
MARKET_RESULTS names.
"""

import argparse
import os
from itertools import product
from pathlib import Path

import joblib
import matplotlib
import pandas as pd
from matplotlib import pyplot
from pyspark.sql import SparkSession
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

GRID = {"C": [0.1, 1.0, 10.0], "gamma": [0.0005, 0.001, 0.01]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=600, help="how many to use: time grows with the square")
    chosen = parser.parse_args()
    results = Path(os.environ.get("MARKET_RESULTS", "grid-results"))
    results.mkdir(exist_ok=True)

    spark = SparkSession.builder.appName("grid_search").getOrCreate()
    images = load_digits()
    data = spark.sparkContext.broadcast((images.data[: chosen.images], images.target[: chosen.images]))
    points = [dict(zip(GRID, values, strict=True)) for values in product(*GRID.values())]

    def score(point: dict[str, float]) -> dict[str, float]:
        x, y = data.value
        return {**point, "accuracy": float(cross_val_score(SVC(**point), x, y, cv=3).mean())}

    found = spark.sparkContext.parallelize(points, len(points)).map(score).collect()
    spark.stop()

    scores = pd.DataFrame(found).sort_values("accuracy", ascending=False)
    print(scores.to_string(index=False))
    best = scores.iloc[0]
    print(f"best accuracy {best.accuracy:.3f} with C={best.C:g} gamma={best.gamma:g}")

    scores.to_csv(results / "scores.csv", index=False)
    model = SVC(C=best.C, gamma=best.gamma).fit(images.data, images.target)
    joblib.dump(model, results / "model.joblib")
    plot(scores, results / "scores.png")


def plot(scores: pd.DataFrame, path: Path) -> None:
    """Draw the accuracy of each point: a line for each gamma."""
    matplotlib.use("Agg")  # a job has no screen
    for gamma, line in scores.sort_values("C").groupby("gamma"):
        pyplot.plot(line.C, line.accuracy, marker="o", label=f"gamma {gamma:g}")
    pyplot.xscale("log")
    pyplot.xlabel("C")
    pyplot.ylabel("accuracy")
    pyplot.legend()
    pyplot.savefig(path)


if __name__ == "__main__":
    main()
