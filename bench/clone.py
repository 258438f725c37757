"""Lets a measurement find this clone's packages, and the helpers of its tests. To be imported before them."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("plugins", "client", "tests")]
