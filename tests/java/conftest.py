"""The modules of java/runner/market_runner, as a job's Python finds them."""

from __future__ import annotations

import sys

from market.kit import settings

sys.path.append(str(settings.ROOT / "java" / "runner"))
