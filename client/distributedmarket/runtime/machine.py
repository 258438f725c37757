"""All that a machine installs before it can run jobs."""

from __future__ import annotations

from dataclasses import replace

from distributedmarket.runtime import class_data, hadoop, python, spark
from distributedmarket.runtime.hadoop import Fetch
from distributedmarket.runtime.places import Places
from distributedmarket.runtime.steps import Step, carry_out
from distributedmarket.runtime.system import JRE

_SPACE_GIB = 3


def install(places: Places, fetch: Fetch, fetch_classes: class_data.Fetch) -> bool:
    """Do what is missing, saying so; tell whether there was anything to do.

    `fetch` gets Hadoop's archive from the market, `fetch_classes` the list of the classes that jobs load.

    Raises SetupError when the system lacks what this user may not install, or a step fails.
    """
    return carry_out(places.installs, [JRE], lambda: steps(places, fetch, fetch_classes), _SPACE_GIB)


def steps(places: Places, fetch: Fetch, fetch_classes: class_data.Fetch) -> list[Step]:
    """Return the steps in their order."""
    return [
        python.tools_step(places),
        hadoop.step(places, fetch),
        spark.step(places),
        class_data_step(places, fetch_classes),
    ]


def class_data_step(places: Places, fetch: class_data.Fetch | None = None) -> Step:
    """Return the step that archives Spark's classes, with how long it takes.

    That stands here, since a change of that file has every machine make its archive anew.
    """
    return replace(class_data.step(places, fetch), about_s=190, mib=300)
