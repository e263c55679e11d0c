"""The cache's parts over a real Redis, in the test's own event loop."""

from datetime import timedelta

import pytest

from registerbro.storage.cache.citizens import Citizens
from registerbro.storage.cache.entries import Entries
from registerbro.storage.coordination.leases import Leases
from registerbro.storage.sealing.sealer import Sealer


@pytest.fixture
def sealer():
    return Sealer([b"k" * 32])


@pytest.fixture
def entries(cache, sealer):
    return Entries(cache, sealer)


@pytest.fixture
def citizens(cache, sealer):
    return Citizens(cache, sealer, lambda: (b"a pepper for tests alone",), timedelta(days=30))


@pytest.fixture
def leases(coordination):
    return Leases(coordination)
