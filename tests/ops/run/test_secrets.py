"""Secrets are made once, differ, and are nobody else's to read."""

from market.kit import settings
from market.ops.run import secrets


def test_secrets_are_mode_600_and_survive_a_second_start(tmp_path):
    paths = settings.load(tmp_path).paths
    secrets.generate(paths)
    first = {path.name: path.read_text() for path in paths.secrets.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in paths.secrets.iterdir()} == {0o600}
    assert paths.secrets.stat().st_mode & 0o777 == 0o700
    assert len(set(first.values())) == len(first) >= 8
    secrets.generate(paths)
    assert first == {path.name: path.read_text() for path in paths.secrets.iterdir()}
