import pytest

from market.kit.environment import inherited


def test_no_secret_of_airflow_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://airflow:secret@db/airflow")
    monkeypatch.setenv("TZ", "Europe/Paris")
    found = inherited()
    assert found["TZ"] == "Europe/Paris"
    assert "PATH" in found
    assert not [name for name in found if name.startswith(("AIRFLOW", "MARKET", "PYTHON"))]
