"""Ledger's connections: each was checked to keep what it acknowledges on disk, or is refused."""

from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from registerbro.storage.lua import Call
from registerbro.storage.redis_client import with_our_connections
from registerbro.storage.steady_clock import SteadyScript

COMMAND_TIMEOUT = timedelta(seconds=2)
"""Longer than the cache's, since an answer of the ledger waits for the disk."""
_WAITAOF_SINCE = (7, 2)
_DISK_SHARE = 0.75
"""Part of a command's time that the disk may take. With `appendfsync everysec`, WAITAOF on a busy server takes up to
1.01 s (measured on Redis 8.0); the rest is for the answer's way."""


class LedgerNotDurable(RedisError):
    """The ledger's Redis cannot promise that what it acknowledges is on disk; nothing was written."""


class NotYetOnDisk(RedisError):
    """The ledger wrote, but did not say in time that the disk has it: what was written may or may not last."""


class Ledger:
    """Redis whose every connection was checked: `appendfsync always`, or `everysec` and WAITAOF.

    The check is repeated at each connection, since it may lead to another server, or to the same one restarted with
    another configuration.
    """

    def __init__(self, url: str, timeout: timedelta = COMMAND_TIMEOUT) -> None:
        seconds = timeout.total_seconds()
        self.user = unquote(urlsplit(url).username or "default")
        """User that this process signs in as."""
        self._disk_within_ms = round(seconds * 1000 * _DISK_SHARE)
        self._waits: bool | None = None
        pool = ConnectionPool.from_url(
            url,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            # Not every script may be run twice; a connection that was closed before is known to be without that.
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            redis_connect_func=self._greet,
        )
        self.redis = Redis.from_pool(with_our_connections(pool))

    async def close(self) -> None:
        """Closes every connection."""
        await self.redis.aclose()

    async def check(self) -> None:
        """Makes a connection, if there is none, and so checks the server. Raises REDIS_DOWN errors."""
        await self.redis.ping()

    async def durably(self, call: Call, *, repeatable: bool = False) -> Any:  # noqa: ANN401 - as scripts do
        """Runs a script. Returns what it returns, once what it wrote is on the ledger's disk.

        The script must write something, or there is nothing to wait for. A `repeatable` call is made again when its
        connection breaks, as a connection does that was left open to a server which has been restarted since. Raises
        LedgerNotDurable when nothing was written; NotYetOnDisk and other REDIS_DOWN errors when that is not known.
        """
        try:
            return await self._durably(call)
        except ConnectionFailed:
            if not repeatable:
                raise
            await self.redis.connection_pool.disconnect(inuse_connections=False)
            return await self._durably(call)

    async def _durably(self, call: Call) -> Any:  # noqa: ANN401 - as above
        script, keys, args = call.script, call.keys, call.args
        if self._waits is None:
            await self.check()
        if not self._waits:
            return await script(keys=keys, args=args)
        async with self.redis.pipeline(transaction=False) as pipeline:
            asked = await _put_into(pipeline, call)
            pipeline.execute_command("WAITAOF", 1, 0, self._disk_within_ms)
            answer, (on_our_disk, *_) = await pipeline.execute()
        if on_our_disk < 1:
            raise NotYetOnDisk("the ledger's disk is too slow")
        return script.answer(keys, asked, answer) if isinstance(script, SteadyScript) else answer

    async def _greet(self, connection: AbstractConnection) -> None:
        """Signs in as redis-py does, and then checks what this server promises."""
        await connection.on_connect()
        config = await _config(connection)
        if config.get("appendonly") != "yes":
            raise LedgerNotDurable("the ledger's Redis has no append-only file (appendonly yes)")
        if config.get("maxmemory-policy", "").startswith("allkeys"):
            raise LedgerNotDurable("the ledger's Redis may evict what it keeps (maxmemory-policy noeviction)")
        always = config.get("appendfsync") == "always" and config.get("no-appendfsync-on-rewrite") != "yes"
        # With `appendfsync no` the server never tells WAITAOF that the disk has something.
        never = config.get("appendfsync") == "no"
        if not always and (never or await _version(connection) < _WAITAOF_SINCE):
            raise LedgerNotDurable("the ledger's Redis does not write at once (appendfsync always)")
        known, self._waits = self._waits, not always
        if known is not None and known != self._waits:
            # A command that was prepared for the other way must not be sent over this connection.
            raise LedgerNotDurable("the ledger's Redis writes otherwise than before; the next connection knows")


async def _put_into(pipeline: Any, call: Call) -> float:  # noqa: ANN401 - redis-py's is generic in its strings
    """Returns the moment that the script was told, if it goes by a steady clock."""
    if isinstance(call.script, SteadyScript):
        return await call.script.send(pipeline, call.keys, call.args)
    await call.script(keys=call.keys, args=call.args, client=pipeline)
    return 0.0


async def _config(connection: AbstractConnection) -> dict[str, str]:
    """The settings that decide. Raises LedgerNotDurable when the server never gives them, RedisError when not now."""
    found: dict[str, str] = {}
    for pattern in ("*append*", "maxmemory-policy"):
        try:
            await connection.send_command("CONFIG", "GET", pattern)
            answer = await connection.read_response()
        except ResponseError as error:
            # A server that is busy with a script refuses this too, and is as durable as it was.
            if not isinstance(error, NoPermissionError) and "unknown command" not in str(error).lower():
                raise
            raise LedgerNotDurable("the ledger's Redis does not tell its settings (allow CONFIG GET)") from None
        pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
        found |= {_text(name): _text(value) for name, value in pairs}
    return found


async def _version(connection: AbstractConnection) -> tuple[int, ...]:
    await connection.send_command("INFO", "server")
    lines = _text(await connection.read_response()).splitlines()
    versions = [line.partition(":")[2] for line in lines if line.startswith("redis_version:")]
    return tuple(int(part) for part in versions[0].split(".")[:2]) if versions else ()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
