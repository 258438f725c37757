"""`python -m market.ops.run.serve NAME`: becomes the service NAME.

The supervisor starts services through this, so that no secret stands in its configuration.
"""

from __future__ import annotations

import os
import sys

from market.kit import settings
from market.ops.run import fingerprint, leftovers, releases
from market.ops.run.services import all_services, environment


def main(name: str) -> None:
    """Replace this process by the service."""
    loaded = settings.load()
    service = next(service for service in all_services(loaded) if service.name == name)
    leftovers.take_over(loaded.paths.state, name)
    releases.note(loaded.paths, name, fingerprint.of(loaded, service))
    command = service.command(loaded)
    os.chdir(loaded.paths.run)
    os.umask(0o027)
    os.execvpe(command[0], command, environment(loaded, service))  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
