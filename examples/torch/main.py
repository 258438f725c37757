"""Train a small network on handwritten digits with PyTorch, data-parallel, through Spark's TorchDistributor.

Each process has its share of the images and averages its gradients with the others after every step. The
jobs' Python has no PyTorch of its own: pack an environment that has it, and name it as `python_env`.
"""

import argparse
import os

from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession


def train(epochs: int) -> float:
    """Run in every process; return the accuracy on images that none of them has learnt from."""
    import torch
    import torch.distributed as group
    from sklearn.datasets import load_digits
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    group.init_process_group("gloo")
    rank, size = group.get_rank(), group.get_world_size()
    torch.manual_seed(7)
    images = load_digits()
    x = torch.tensor(images.data / 16, dtype=torch.float32)
    y = torch.tensor(images.target)
    order = torch.randperm(len(x))
    test, training = order[:300], order[300:][rank::size]
    network = DistributedDataParallel(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)))
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(epochs):
        for batch in training.split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
            optimiser.step()
    with torch.no_grad():
        accuracy = (network(x[test]).argmax(1) == y[test]).float().mean().item()
    group.destroy_process_group()
    return accuracy


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=2, help="at most the job's core_num")
    parser.add_argument("--epochs", type=int, default=10)
    chosen = parser.parse_args()

    spark = SparkSession.builder.appName("torch").getOrCreate()
    distributor = TorchDistributor(num_processes=chosen.processes, local_mode=False, use_gpu=False)
    accuracy = distributor.run(train, chosen.epochs)
    print(f"{chosen.processes} processes, accuracy {accuracy:.3f}")
    out = os.environ.get("MARKET_OUTPUT", "torch-output")
    spark.createDataFrame([(str(accuracy),)], ["value"]).coalesce(1).write.text(f"{out}/accuracy")
    spark.stop()


if __name__ == "__main__":
    main()
