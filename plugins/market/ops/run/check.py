"""`python -m market.ops.run.check NAME`: exit code 0 when it is well; for container health checks."""

from __future__ import annotations

import sys

from market.kit import settings
from market.ops.run.lifecycle import problem
from market.ops.run.services import all_services


def main(name: str) -> int:
    """Print what is wrong with a service, if anything; return the exit code."""
    loaded = settings.load()
    service = next(service for service in all_services(loaded) if service.name == name)
    wrong = problem(loaded, service)
    if wrong:
        print(wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
