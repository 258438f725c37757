"""What the roster tells YARN: who may join, who must go and by when, labels, and sizes of strangers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from xml.sax.saxutils import escape

from market.cluster.host_lists import replace, text
from market.hadoop.site import admission_lists, always_admitted
from market.kit.settings import Settings

Refresh = Callable[[int], None]


class HostLists:
    """The files `nodes.include` and `nodes.exclude.xml`, which the ResourceManager reads when told to.

    Leaving is always graceful, with a time for each host: a plain refresh would throw out at once all hosts
    that are draining.
    """

    def __init__(self, settings: Settings, refresh: Refresh) -> None:
        self._folder, self._always = admission_lists(settings), always_admitted(settings)
        self._timeout_s = settings.machines.drain_timeout_s
        self._refresh = refresh

    def apply(self, include: set[str], drain_s: Mapping[str, int], again: bool = False) -> bool:
        """Write the lists and have YARN read them, if they changed since it last did, or `again`.

        `drain_s` maps each host that must leave to the seconds that it may take. Return whether YARN was told
        to read them. Raises ClusterRefused or ClusterUnavailable; the next call tries again.
        """
        listed = "".join(f"{host}\n" for host in sorted(include | self._always))
        leaving = "".join(
            f"<host><name>{escape(host)}</name><timeout>{seconds}</timeout></host>"
            for host, seconds in sorted(drain_s.items())
        )
        excluded = f"<hosts>{leaving}</hosts>\n"
        digest = hashlib.sha256(f"{listed}{excluded}".encode()).hexdigest()
        applied = self._folder / "applied"
        if not again and text(applied) == digest:
            return False
        replace(self._folder / "nodes.include", listed)
        replace(self._folder / "nodes.exclude.xml", excluded)
        self._refresh(self._timeout_s)
        replace(applied, digest)
        return True
