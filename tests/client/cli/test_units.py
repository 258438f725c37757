"""What the market says of a field is told in the words and units of its option."""

from __future__ import annotations

import pytest

from distributedmarket.cli import failures, options, units
from distributedmarket.client import MarketApiError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("field", "message", "words"),
    [
        ("memory_size", "must be from 1024 to 4194304", "--memory: must be from 1g to 4096g"),
        ("driver_memory", "must be from 384 to 1536", "--driver-memory: must be from 384m to 1.5g"),
        ("executor_memory", "may be 1300 MiB at most.", "--executor-memory: may be 1300m at most."),
        ("driver_memory", "is 12.5 times 2g.", "--driver-memory: is 12.5 times 2g."),
        ("max_duration", "must be from 1 to 86400", "--max-duration: must be from 1s to 1d"),
        (
            "max_duration",
            "may not be less than the 3600 s that it has",
            "--max-duration: may not be less than the 1h that it has",
        ),
        ("memory_size", "must be from 1024 to 2048 MiB", "--memory: must be from 1g to 2g"),
        ("time_period", "must be from 60 to 2592000", "--hours: must be from 0.0167 to 720"),
        ("core_count", "must be from 1 to 4096", "--cores: must be from 1 to 4096"),
        ("hours", "must be like 22:00-06:00", "--window: must be like 22:00-06:00"),
        ("machine_type", "there are: cpu, v100", "--type: there are: cpu, v100"),
    ],
)
def test_a_refusal_names_the_option_and_the_figures_as_it_takes_them(
    field: str, message: str, words: str
) -> None:
    refused = MarketApiError("POST", "/machines", 422, {"title": "Invalid", "errors": {field: [message]}})
    assert failures.words(refused) == words


@pytest.mark.parametrize("mib", [1, 512, 1024, 1280, 1536, 1537, 8192, 4194304])
def test_memory_is_written_as_it_is_read(mib: int) -> None:
    assert options.memory_mib(units.memory(mib)) == mib


@pytest.mark.parametrize("seconds", [1, 90, 60, 3600, 5400, 86400, 90000])
def test_time_is_written_as_it_is_read(seconds: int) -> None:
    assert options.seconds(units.span(seconds)) == seconds
