"""Servers, workers and stores of the library's own tests, on the product's servers."""

import pytest

from demo.installation import RedisServer
from tests.redis_transport.conftest import client, connect, crew, installed, make_store, publish, server, store

__all__ = ["client", "connect", "crew", "installed", "make_store", "publish", "server", "store"]


@pytest.fixture
def empty_servers(empty_redis: dict[str, RedisServer]) -> dict[str, RedisServer]:
    """The product's broker, and a server where tasks note what they do, with nothing in them."""
    return {"broker": empty_redis["broker"], "notes": empty_redis["cache"]}
