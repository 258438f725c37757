from __future__ import annotations

import itertools
import re
import time

from market.kit import clock


def test_ids_sort_by_time_and_are_never_alike(monkeypatch) -> None:
    made = []
    for at_ns in (0, 10**15, 1_700_000_000_000 * 10**6, 1_900_000_000_000 * 10**6):
        monkeypatch.setattr(time, "time_ns", lambda at_ns=at_ns: at_ns)
        made.append({clock.new_id() for _ in range(100)})
        assert len(made[-1]) == 100
        assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made[-1])
    assert all(max(earlier) < min(later) for earlier, later in itertools.pairwise(made))
