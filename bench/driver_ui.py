"""What a driver's own web interface costs: the same small program with it and without it, in turn.

`.market/airflow-env/bin/python bench/driver_ui.py [--pairs 8] [--type gpu]` on a running, quiet stack. Both
ways have the market's settings and archives, and a fresh `spark-submit`. Without the interface
`GET /jobs/{id}/progress` knows no stages, tasks and executors of a running job; all else is the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import clone  # noqa: F401

# isort: split

import raw_spark

from market.kit import settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--type", default="gpu", help="a machine type that nobody else lends")
    chosen = parser.parse_args()
    loaded = settings.load()
    times: dict[str, list[float]] = {"true": [], "false": []}
    with raw_spark.on_a_lent_machine(loaded, chosen.type) as (_, raw):
        for number in range(chosen.pairs):
            for enabled in ("true", "false") if number % 2 else ("false", "true"):
                started = time.monotonic()
                raw.as_the_market({"spark.ui.enabled": enabled})
                times[enabled].append(time.monotonic() - started)
                print(f"{number + 1}: interface {enabled}: {times[enabled][-1]:.2f} s", file=sys.stderr)
    differences = [with_it - without for with_it, without in zip(times["true"], times["false"], strict=True)]
    for enabled, said in (("true", "with the interface"), ("false", "without it")):
        taken = times[enabled]
        print(
            f"{said:20} median {statistics.median(taken):6.2f} s   {' '.join(f'{one:.1f}' for one in taken)}"
        )
    ratio = statistics.median(times["true"]) / statistics.median(times["false"])
    print(f"cost: {statistics.median(differences):+.2f} s in the middle pair, {ratio:.2f}x")


if __name__ == "__main__":
    main()
