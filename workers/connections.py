"""Redis clients that answer soon or fail soon: a cache that makes a page wait is worse than none."""

from datetime import timedelta

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import RedisError

COMMAND_TIMEOUT = timedelta(milliseconds=500)
CONNECTIONS = 32
"""Per client. Commands take a fraction of a millisecond, so a few connections carry a crowd, and a crowd waits its turn
for one instead of opening hundreds or being refused."""
REDIS_DOWN = (RedisError, OSError, TimeoutError)
"""What a command raises when its server is gone, frozen, full or refuses us."""


def connect(url: str, timeout: timedelta = COMMAND_TIMEOUT) -> Redis:
    """A client whose commands take at most `timeout` each way; raises REDIS_DOWN errors.

    A command whose connection turns out to be closed is sent once more over a new one: after a restart of the server
    every kept connection is, and only the first command over each finds out. Every script here may be run twice.
    """
    seconds = timeout.total_seconds()
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=seconds,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionFailed,)),
        health_check_interval=0,
    )
    return Redis.from_pool(pool)
