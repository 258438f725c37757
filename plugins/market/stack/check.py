"""`python -m market.stack.check NAME`: exit code 0 when the service is well; for container health checks."""

from __future__ import annotations

import sys

from market import settings
from market.stack.lifecycle import problem
from market.stack.services import all_services


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
