"""The ResourceManager's administration that REST does not offer: reading the host lists again."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from market.cluster.errors import ClusterRefused
from market.kit import settings
from market.kit.environment import inherited

_DEADLINE_S = 60


def refresh_nodes(login: Mapping[str, str], graceful_timeout_s: int | None = None) -> None:
    """Have the ResourceManager read `nodes.include` and `nodes.exclude.xml` again.

    `login` are the variables by which the tool is the administrator. With a timeout, nodes that leave are
    drained by the server: they get no new container, and go when their last application ends or the time is
    over. Raises ClusterRefused with the tool's message.
    """
    loaded = settings.load()
    hadoop = loaded.paths.hadoop
    command = ["java", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]
    command += [f"{loaded.paths.hadoop_conf}:{hadoop}/classes:{hadoop}/jars/*"]
    command += ["org.apache.hadoop.yarn.client.cli.RMAdminCLI", "-refreshNodes"]
    if graceful_timeout_s is not None:
        command += ["-g", str(graceful_timeout_s), "-server"]
    environment = {**inherited(), **login}
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise ClusterRefused(f"-refreshNodes did not end within {_DEADLINE_S} s") from None
    if done.returncode:
        raise ClusterRefused(f"-refreshNodes failed: {done.stderr.strip()[-300:]}")
