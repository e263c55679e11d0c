"""A setup of pytest-celery's own: broker, backends and workers, as containers or as processes of this machine.

`make smoke` runs them as containers from the project's image (SMOKE_NODES=containers); without that they are processes,
so that the same tests run where there is no Docker.
"""

import os

import pytest
from pytest_celery import CeleryBackendCluster, CeleryBrokerCluster, CeleryTestSetup, CeleryWorkerCluster

from config import settings as settings_module
from demo.installation import installation
from registerbro.pages.reader import Reader
from registerbro.services import Services
from tests.support import app_for_environment
from tests.system.smoke import nodes

CONTAINERS = os.environ.get("SMOKE_NODES") == "containers"
SERVICES = ("udb", "su", "eindkomst", "ydelse")


@pytest.fixture
def here(tmp_path):
    """Where the nodes run, with what they call."""
    if CONTAINERS:
        from tests.system.smoke import containers

        with containers.installation(tmp_path) as it:
            yield it
    else:
        with installation(tmp_path) as it:
            yield it.start_redis().start_simulators()


@pytest.fixture
def celery_setup_app(here, clean_environment):
    """The project's app, publishing to the nodes' broker."""
    for name, value in here.environment.items():
        clean_environment.setenv(name, value)
    yield app_for_environment()
    settings_module.settings.cache_clear()


def _nodes():
    if CONTAINERS:
        from tests.system.smoke import containers

        return containers
    return nodes


@pytest.fixture
def celery_broker_cluster(here):
    return CeleryBrokerCluster(_nodes().broker(here))


@pytest.fixture
def celery_backend_cluster(here):
    return CeleryBackendCluster(*_nodes().backends(here))


@pytest.fixture
def celery_worker_cluster(here, celery_setup_app):
    workers = [_nodes().worker(here, service, celery_setup_app) for service in SERVICES]
    here.start_beat()
    return CeleryWorkerCluster(*workers)


@pytest.fixture
def celery_setup_cls():
    return Setup


class Setup(CeleryTestSetup):
    """pytest-celery's setup, whose broker keeps its address."""

    def node(self, service):
        return self.worker_cluster[SERVICES.index(service)]


@pytest.fixture
async def services(celery_setup_app):
    it = Services(settings_module.settings())
    yield it
    await it.close()


@pytest.fixture
async def reader(celery_setup_app):
    it = Reader(settings_module.settings())
    yield it
    await it.close()
