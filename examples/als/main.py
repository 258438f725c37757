"""Recommend by alternating least squares: learn tastes from a part of made ratings, and predict the rest.

The ratings come from hidden tastes and a little noise, so a good model's error is near the noise.
"""

import argparse
import json
import os

import numpy as np
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

USERS, FILMS, TASTES, NOISE = 200, 100, 3, 0.1


def ratings() -> list[tuple[int, int, float]]:
    """Return (user, film, rating) for a third of all pairs."""
    chance = np.random.default_rng(7)
    tastes = chance.normal(size=(USERS, TASTES))
    films = chance.normal(size=(FILMS, TASTES))
    values = 3 + tastes @ films.T / TASTES + chance.normal(scale=NOISE, size=(USERS, FILMS))
    seen = np.argwhere(chance.random((USERS, FILMS)) < 1 / 3)
    return [(int(user), int(film), float(values[user, film])) for user, film in seen]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--out", default=os.environ.get("MARKET_OUTPUT", "als-output"))
    chosen = parser.parse_args()

    spark = SparkSession.builder.appName("als").getOrCreate()
    table = spark.createDataFrame(ratings(), "user int, film int, rating float").repartition(2).cache()
    training, test = table.randomSplit([0.8, 0.2], seed=7)
    als = ALS(
        userCol="user",
        itemCol="film",
        ratingCol="rating",
        rank=TASTES + 1,
        maxIter=chosen.iterations,
        regParam=0.02,
        numUserBlocks=2,
        numItemBlocks=2,
        coldStartStrategy="drop",
        seed=7,
    )
    model = als.fit(training)
    error = RegressionEvaluator(metricName="rmse", labelCol="rating").evaluate(model.transform(test))
    print(f"{training.count()} ratings to learn from, {test.count()} to test with")
    print(f"error of a prediction {error:.3f} (the noise is {NOISE})")

    best = model.recommendForAllUsers(3).selectExpr("user", "recommendations.film AS films")
    best.coalesce(1).write.json(f"{chosen.out}/recommendations")
    metrics = json.dumps({"rmse": error})
    spark.createDataFrame([(metrics,)], ["value"]).coalesce(1).write.text(f"{chosen.out}/metrics")
    spark.stop()


if __name__ == "__main__":
    main()
