"""docker-compose.yml offers what `./market up` starts, with the same commands, in an order that can work."""

import yaml

from market.kit import settings
from market.ops.run.prepare import STEPS
from market.ops.run.services import all_services

COMPOSE = yaml.safe_load((settings.ROOT / "docker-compose.yml").read_text())["services"]


def test_it_has_every_service_and_no_other():
    names = {service.name for service in all_services(settings.load())}
    assert set(COMPOSE) == names | set(STEPS)


def test_each_service_runs_and_checks_itself_as_the_local_stack_does():
    for service in all_services(settings.load()):
        container = COMPOSE[service.name]
        assert container["command"] == ["python", "-m", "market.ops.run.serve", service.name]
        assert container["healthcheck"]["test"][1:] == ["python", "-m", "market.ops.run.check", service.name]


def test_every_dependency_exists_and_the_stores_come_first():
    for name, container in COMPOSE.items():
        needed = container.get("depends_on", {})
        assert set(needed) <= set(COMPOSE)
        assert needed or name == "stores"


def test_nothing_is_published_beside_the_loopback_address():
    assert all("ports" not in container for container in COMPOSE.values())
