"""The cache's parts over a real Redis, in the test's own event loop."""

from datetime import timedelta

import pytest

from workers.cache.citizens import Citizens
from workers.cache.entries import Entries
from workers.cache.leases import Leases
from workers.cache.sealing import Sealer
from workers.connections import connect


@pytest.fixture
async def cache(empty_redis):
    redis = connect(empty_redis["cache"].url)
    yield redis
    await redis.aclose()


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
async def coordination(empty_redis):
    redis = connect(empty_redis["broker"].url)
    yield redis
    await redis.aclose()


@pytest.fixture
def leases(coordination):
    return Leases(coordination)
