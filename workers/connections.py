"""Redis clients that answer soon or fail soon: a cache that makes a page wait is worse than none."""

import asyncio
import math
import select
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

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
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import RedisError, ResponseError
from redis.typing import EncodableT

PoolT = TypeVar("PoolT", bound=ConnectionPool)

COMMAND_TIMEOUT = timedelta(milliseconds=500)
CONNECTIONS = 32
"""Per client, for what is not sent together: subscriptions and pipelines."""
MOST_COMMANDS = 100
"""Commands that are sent together at the most: Redis takes some milliseconds for so many of our scripts."""
REDIS_DOWN = (RedisError, OSError, TimeoutError)
"""What a command raises when its server is gone, frozen, full or refuses us."""


class _Ours:
    """A connection that finds out before it is used that the server has closed it, and has hiredis pack its commands.

    redis-py asks whether there is something to read, and takes no notice of the answer where a server may send of its
    own accord (RESP3): the first command over a connection that was closed while it was idle failed. What the kernel
    knows of the other end is asked instead, so that nothing needs to be read, and nothing is sent twice for it.
    """

    async def connect(self: Any) -> None:
        """redis-py's, which a pool calls before it gives a connection away."""
        if self.is_connected and _is_closed(self._writer):
            await self.disconnect(nowait=True)
        await super().connect()  # type: ignore[misc] # it is one of redis-py's kinds

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """The command in Redis' protocol."""
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
    """The pool, whose connections know before they are used whether they are still open: every pool of ours is so."""
    pool.connection_class = _OURS[pool.connection_class]
    return pool


class Client(Redis):
    """A client that sends commands which are asked for while others are under way together, as one write.

    redis-py spends several times more on a command that it sends alone than on one that it sends with others. A command
    beside which there is no other goes out at once, so that alone it is no slower. Each has its own answer, or its own
    error; when the server is away, all have that one. A command that waits in Redis (BLPOP) would hold up the others.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - redis-py's own
        super().__init__(*args, **kwargs)
        self._asked: deque[tuple[tuple[Any, ...], dict[str, Any], asyncio.Future[Any]]] = deque()
        self._sending: asyncio.Task[None] | None = None
        self.answers = 0
        """How many commands the server has answered so far."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """redis-py's."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.append((args, options, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return await answer

    async def _send_all(self) -> None:
        try:
            while self._asked:
                await self._send_some()
        finally:
            self._sending = None

    async def _send_some(self) -> None:
        # Who asked may have given up by now.
        some = [
            one for _ in range(min(MOST_COMMANDS, len(self._asked))) if not (one := self._asked.popleft())[2].done()
        ]
        if not some:
            return
        try:
            answers = await self._answers([(args, options) for args, options, _ in some])
        except asyncio.CancelledError:
            for _, _, waiting in some:
                waiting.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - told to everybody who asked
            # Who has asked meanwhile would fare no better, and has waited for as long.
            some += self._asked
            self._asked.clear()
            answers = [error] * len(some)
        for (_, _, waiting), answer in zip(some, answers, strict=True):
            if waiting.done():
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    async def _answers(self, commands: Sequence[tuple[tuple[Any, ...], dict[str, Any]]]) -> list[Any]:
        """What Redis answers to each, a refusal as the error that it is; all of them within one time limit."""
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
        return translate(answer, **options) if translate else answer


LATE = 0.005
"""Seconds by which a timer of a process that has nothing else to do is late at the most."""


class server_within:  # noqa: N801 - reads as asyncio.timeout does
    """`async with server_within(0.05, client)`: asyncio.timeout, for which only the server's own silence counts.

    While the server answers others of the client's commands, ours is on its way. And where this process was busy with
    something else, an answer may be there and not have been looked at. In either case the time begins anew: a command
    that a server does not answer at all is given up by its connection. Raises TimeoutError.
    """

    def __init__(self, seconds: float, client: Client) -> None:
        self._seconds = seconds
        self._client = client
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, where)

    def _begin(self) -> None:
        self._answers = self._client.answers
        self._timer = self._loop.call_later(self._seconds, self._look)

    def _look(self) -> None:
        is_late = self._loop.time() - self._timer.when() > LATE
        if is_late or self._client.answers > self._answers:
            self._begin()
        else:
            self._limit.reschedule(self._loop.time())


def connect(url: str, timeout: timedelta = COMMAND_TIMEOUT) -> Client:
    """A client whose commands take at most `timeout`; raises REDIS_DOWN errors.

    A command whose connection is closed while it is on its way is sent once more over a new one. Every script here may
    be run twice.
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
