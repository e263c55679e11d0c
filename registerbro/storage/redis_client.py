"""Async Redis client: pipelines concurrent commands and fails fast.

A cache that makes a page wait is worse than no cache.
"""

import asyncio
import math
import select
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from redis.asyncio import (
    BlockingConnectionPool,
    Connection,
    ConnectionPool,
    Redis,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.client import EMPTY_RESPONSE, NEVER_DECODE
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import RedisError, ResponseError
from redis.typing import EncodableT

from registerbro.storage.batching import like

PoolT = TypeVar("PoolT", bound=ConnectionPool)

COMMAND_TIMEOUT = timedelta(milliseconds=500)
ANSWER_WITHIN = timedelta(milliseconds=250)
"""How long a server may take for a page: the page is promised in 300 ms also when the server is gone or frozen."""
CONNECTIONS = 32
"""Per client: subscriptions and pipelines have connections of their own."""
MOST_COMMANDS = 100
"""Maximum commands in one write: Redis takes some milliseconds for so many of our scripts."""
REDIS_DOWN = (RedisError, OSError, TimeoutError)
"""Errors of a command whose server is gone, frozen or full, or refuses us."""


class _Ours:
    """Connection that detects before its use that the server has closed it, and lets hiredis pack its commands.

    redis-py tests whether there is something to read, and ignores the answer where a server may push (RESP3), so the
    first command over a connection that was closed while idle failed. This class asks the kernel about the other end
    instead: nothing is read, and no command is sent twice.
    """

    async def connect(self: Any) -> None:
        """redis-py's method, which a pool calls before it hands out a connection."""
        if self.is_connected and _is_closed(self._writer):
            await self.disconnect(nowait=True)
        await super().connect()  # type: ignore[misc] # it is one of redis-py's kinds

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """The command, encoded in Redis' protocol."""
        packed: list[bytes] = _PACKER.pack(*args)  # type: ignore[arg-type] # redis-py's annotation is not its use of it
        return packed


_PACKER = HiredisRespSerializer()
_OURS: dict[type, type] = {
    kind: type(kind.__name__, (_Ours, kind), {}) for kind in (Connection, SSLConnection, UnixDomainSocketConnection)
}
_CLOSED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


def _is_closed(writer: asyncio.StreamWriter) -> bool:
    """Whether the other end has closed, or the connection is broken."""
    if writer.is_closing():
        return True
    asked = select.poll()
    asked.register(writer.get_extra_info("socket").fileno(), _CLOSED)
    return bool(asked.poll(0))


def with_our_connections(pool: PoolT) -> PoolT:
    """The same pool, whose connections detect before their use whether they are still open. For every pool of ours."""
    pool.connection_class = _OURS[pool.connection_class]
    return pool


_Asked: TypeAlias = tuple[tuple[Any, ...], dict[str, Any], asyncio.Future[Any]]
"""A command, its options, and where its answer is awaited."""


class Client(Redis):
    """Client that coalesces commands: those that arrive while others are under way go out as one write.

    A single command is sent immediately, so coalescing adds no latency when idle. Each command gets its own answer or
    its own error; when the server is away, each gets an error of that kind. redis-py spends several times more on a
    command that it sends alone. A command that blocks in Redis (BLPOP) would delay the others: use a pipeline or
    another client for it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - redis-py's own
        super().__init__(*args, **kwargs)
        self._asked: deque[_Asked] = deque()
        self._sending: asyncio.Task[None] | None = None
        self.answers = 0
        """How many commands the server has answered so far."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """redis-py's method: sends a command, with the others of this turn of the event loop."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.append((args, options, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return await answer

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 - redis-py's own
        """redis-py's method. Ends what is being sent first: its second try would connect after the pool is closed."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
        await super().aclose(close_connection_pool)

    async def _send_all(self) -> None:
        try:
            while self._asked:
                await self._send_some()
        except asyncio.CancelledError:
            _fail(self._asked)
            self._asked.clear()
            raise
        finally:
            self._sending = None

    async def _send_some(self) -> None:
        # Skip commands whose caller has given up.
        some = [
            one for _ in range(min(MOST_COMMANDS, len(self._asked))) if not (one := self._asked.popleft())[2].done()
        ]
        if not some:
            return
        try:
            answers = await self._answers([(args, options) for args, options, _ in some])
        except asyncio.CancelledError:
            _fail(some)
            raise
        except Exception as error:  # noqa: BLE001 - every caller gets it
            # Fail the commands queued meanwhile, too: they would hit the same error.
            some += self._asked
            self._asked.clear()
            answers = [like(error) for _ in some]
        for (_, _, waiting), answer in zip(some, answers, strict=True):
            if waiting.done():
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    async def _answers(self, commands: Sequence[tuple[tuple[Any, ...], dict[str, Any]]]) -> list[Any]:
        """Redis' answer to each command, a refusal as its error. All of them share one time limit."""
        connection: Connection = await self.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            answers: list[Any] = await connection.retry.call_with_retry(
                lambda: self._exchange(connection, commands), lambda error: connection.disconnect(error=error)
            )
            return answers
        finally:
            await self.connection_pool.release(connection)

    async def _exchange(
        self, connection: Connection, commands: Sequence[tuple[tuple[Any, ...], dict[str, Any]]]
    ) -> list[Any]:
        async with asyncio.timeout(connection.socket_timeout):
            await connection.send_packed_command(connection.pack_commands([args for args, _ in commands]))
            answers = []
            for args, options in commands:
                answers.append(await self._answer(connection, args[0], options))
                self.answers += 1
            return answers

    async def _answer(self, connection: Connection, name: str, options: dict[str, Any]) -> object:
        try:
            answer = await connection.read_response(timeout=math.inf)
        except ResponseError as refused:
            return refused
        translate = self.response_callbacks.get(name)
        if translate is None:
            return answer
        return translate(answer, **{name: value for name, value in options.items() if name not in _NO_CALLBACKS})


def _fail(asked: Iterable[_Asked]) -> None:
    for _, _, waiting in asked:
        if not waiting.done():
            waiting.set_exception(ConnectionFailed("this process has closed its client"))


_NO_CALLBACKS = frozenset({"keys", NEVER_DECODE, EMPTY_RESPONSE})
"""Options of commands that redis-py keeps to itself. It passes the others to the callbacks that translate answers."""


def connect(url: str, timeout: timedelta = COMMAND_TIMEOUT) -> Client:
    """A client for the server at `url`, whose commands take at most `timeout` and raise REDIS_DOWN errors.

    The client retries a command once over a new connection when its connection closes under way. Every script here may
    run twice.
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
    client: Client = Client.from_pool(with_our_connections(pool))  # type: ignore[assignment] # it is of the class that it is called on
    return client
