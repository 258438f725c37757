"""Setup: everything that a fresh clone lacks.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import os
import shutil

from distributedmarket.runtime.steps import Step, carry_out, done
from distributedmarket.runtime.system import JRE, Package
from market.kit import settings
from market.ops.install.install_steps import TEST_ENVIRONMENT, agent_steps, steps

_STACK_GIB, _AGENT_GIB = 5, 1


def run(paths: settings.Paths, for_tests: bool = False) -> bool:
    """Do what the stack lacks, saying so; tell whether there was anything to do.

    Raises SetupError when the system lacks what this user may not install, or a step fails.
    """
    loaded = settings.load(paths.state, paths.root)
    needed = packages(for_tests, loaded.own_realm)
    return carry_out(paths.installs, needed, lambda: _wanted(paths, for_tests), _STACK_GIB)


def lacking(paths: settings.Paths) -> list[str]:
    """Return the titles of the steps that `run` would do."""
    return [step.title for step in _wanted(paths, for_tests=False) if not done(paths.installs, step)]


def run_agent(paths: settings.Paths) -> bool:
    """Do the same for what `./market share` starts with: its own environment, and Java on the system."""
    return carry_out(paths.installs, [JRE], lambda: agent_steps(paths), _AGENT_GIB)


def run_client(paths: settings.Paths) -> bool:
    """Do the same for the commands of those who run jobs: they need no Java."""
    return carry_out(paths.installs, [], lambda: agent_steps(paths), _AGENT_GIB)


def _wanted(paths: settings.Paths, for_tests: bool) -> list[Step]:
    """Return the steps; an environment with the test tools serves for everything.

    To trade it for the one without would take the tools away from tests that run, which start stacks.
    """
    with_tools = steps(paths, for_tests=True)
    equipped = all(done(paths.installs, step) for step in with_tools if step.name == TEST_ENVIRONMENT)
    return with_tools if for_tests or equipped else steps(paths)


def packages(for_tests: bool, realm: bool = False) -> list[Package]:
    """Return what Debian is to provide; with a `realm` of the market's own, what serves it."""
    needed = [_JDK, _program("maven", "Hadoop's servers come from Maven Central", "mvn")]
    if os.geteuid() != 0 or for_tests:  # root has a better way, and tests that lend as somebody else
        needed.append(_program("bubblewrap", "jobs run in a sandbox that hides the market's state", "bwrap"))
    if realm or for_tests:
        needed += _KDC
    if for_tests:
        needed.append(_TICKETS)
        needed.append(_program("prometheus", "tests read the figures as a monitor does", "prometheus"))
        needed.append(_program("chromium", "the browser tests look at the pages", "chromium"))
        needed.append(_program("chromium-driver", "the browser tests drive the browser", "chromedriver"))
        needed.append(_program("npm", "tests of accessibility fetch axe-core with it", "npm"))
    return needed


_JDK = Package(
    "openjdk-17-jdk-headless", JRE.why, lambda: JRE.present() and shutil.which("javac") is not None
)


def _program(package: str, why: str, program: str) -> Package:
    # Debian has programs of servers where the path of a user does not lead.
    return Package(
        package, why, lambda: any(shutil.which(program, path=path) for path in (None, "/usr/sbin:/sbin"))
    )


_KDC = [
    _program("krb5-kdc", "servers, machines and jobs prove who they are to one another", "krb5kdc"),
    _program("krb5-admin-server", "each machine gets a key of its own", "kadmin.local"),
]
_TICKETS = _program("krb5-user", "tests log in with keys", "kinit")
