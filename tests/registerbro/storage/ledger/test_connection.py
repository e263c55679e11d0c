"""The ledger's connections: a server that does not promise to keep what it acknowledges is not used."""

import asyncio
from contextlib import nullcontext

import pytest
from redis.exceptions import ResponseError

from demo.installation import RedisServer
from registerbro.storage.ledger.connection import COMMAND_TIMEOUT, Ledger, LedgerNotDurable, NotYetOnDisk
from registerbro.storage.lua import Call
from tests.system.chaos import refusing

WRITE = "return redis.call('SET', KEYS[1], ARGV[1])"


@pytest.fixture
async def make_ledger():
    opened = []

    def make(url):
        opened.append(Ledger(url))
        return opened[-1]

    yield make
    for ledger in opened:
        await ledger.close()


async def write(ledger):
    return await ledger.durably(Call(ledger.redis.register_script(WRITE), ["k"], ["v"]), repeatable=True)


@pytest.fixture
def configured(redis_servers):
    """Changes the ledger's server while it runs, and back."""
    with redis_servers["ledger"].client() as client:
        before = {}

        def set_(name, value):
            before[name] = client.config_get(name)[name]
            client.config_set(name, value)
            client.client_kill_filter(skipme=True, _type="normal")

        yield set_
        for name, value in before.items():
            client.config_set(name, value)


@pytest.fixture(scope="session")
def knows_waitaof(redis_servers):
    """Whether the servers of this run can be asked to wait for their disk: Redis from 7.2 on, and Valkey."""
    with redis_servers["ledger"].client() as client:
        return "waitaof" in client.command()


@pytest.fixture
def use(knows_waitaof):
    """What a ledger does with a server that writes later: it writes and waits for the disk, or refuses the server."""
    return nullcontext() if knows_waitaof else pytest.raises(LedgerNotDurable, match="appendfsync always")


def waits(server):
    """How many times a server was asked to wait for its disk."""
    with server.client() as client:
        return client.info("commandstats").get("cmdstat_waitaof", {"calls": 0})["calls"]


async def test_a_ledger_that_writes_at_once_is_used(redis_servers, make_ledger):
    assert await write(make_ledger(redis_servers["ledger"].url))


async def test_a_server_without_a_file_is_refused_and_nothing_is_written(empty_redis, make_ledger):
    with pytest.raises(LedgerNotDurable, match="appendonly yes"):
        await write(make_ledger(empty_redis["cache"].url))
    with empty_redis["cache"].client() as client:
        assert client.keys() == []


async def test_a_server_that_writes_once_a_second_is_waited_for_or_refused_and_nothing_is_written(
    empty_redis, make_ledger, knows_waitaof, use
):
    before = waits(empty_redis["broker"])
    with use:
        await write(make_ledger(empty_redis["broker"].url))
    assert waits(empty_redis["broker"]) - before == knows_waitaof
    with empty_redis["broker"].client() as client:
        assert len(client.keys()) == knows_waitaof


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("appendfsync", "no", "appendfsync always"), ("maxmemory-policy", "allkeys-lru", "noeviction")],
)
async def test_a_server_that_came_to_promise_too_little_is_noticed_at_the_next_connection(
    redis_servers, make_ledger, configured, name, value, said
):
    ledger = make_ledger(redis_servers["ledger"].url)
    await write(ledger)
    configured(name, value)
    for asking in (ledger, make_ledger(redis_servers["ledger"].url)):
        with pytest.raises(LedgerNotDurable, match=said):
            await write(asking)


@pytest.mark.parametrize(("name", "value"), [("appendfsync", "everysec"), ("no-appendfsync-on-rewrite", "yes")])
async def test_a_server_that_came_to_write_later_is_noticed_at_the_next_connection(
    redis_servers, make_ledger, configured, knows_waitaof, use, name, value
):
    ledger = make_ledger(redis_servers["ledger"].url)
    await write(ledger)
    configured(name, value)
    # Not even a server that can be waited for is used by a command that was made for one that need not be.
    with pytest.raises(LedgerNotDurable):
        await write(ledger)
    before = waits(redis_servers["ledger"])
    with use:
        await write(ledger)
    assert waits(redis_servers["ledger"]) - before == knows_waitaof


async def test_a_restarted_server_costs_no_acceptance(redis_servers, make_ledger):
    ledger = make_ledger(redis_servers["ledger"].url)
    await asyncio.gather(*(write(ledger) for _ in range(20)))
    redis_servers["ledger"].process.kill()
    await asyncio.to_thread(redis_servers["ledger"].start)
    assert all(await asyncio.gather(*(write(ledger) for _ in range(20))))


@pytest.mark.parametrize("role", ["broker", "cache"])
async def test_a_restarted_server_with_less_durability_is_refused(tmp_path, make_ledger, role):
    server = RedisServer("ledger", tmp_path).start()
    try:
        ledger = make_ledger(server.url)
        await write(ledger)
        server.stop()
        server.role = role
        server.start()
        with pytest.raises(LedgerNotDurable):
            await write(ledger)
    finally:
        server.stop()


async def test_a_server_that_does_not_tell_its_settings_is_refused(redis_servers, make_ledger):
    with redis_servers["ledger"].client() as client:
        client.acl_setuser("silent", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"])
    try:
        url = redis_servers["ledger"].url.replace("redis://", "redis://silent:x@")
        with pytest.raises(LedgerNotDurable, match="allow CONFIG GET"):
            await write(make_ledger(url))
    finally:
        with redis_servers["ledger"].client() as client:
            client.acl_deluser("silent")


async def test_a_server_that_is_busy_is_away_and_not_less_durable(empty_redis, make_ledger):
    ledger = make_ledger(empty_redis["ledger"].url)
    with refusing.busy(empty_redis["ledger"]):
        with pytest.raises(ResponseError, match="BUSY") as refused:
            await write(ledger)
        assert not isinstance(refused.value, LedgerNotDurable)
    assert await write(ledger)


class NewerRedis:
    """A server on a socket that answers as a Redis with WAITAOF would; the one on this machine may be older."""

    def __init__(self, version="7.2.4", on_disk=1):
        self.version = version
        self.on_disk = on_disk
        self.heard = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        try:
            while line := await reader.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2].decode())
                self.heard.append(words)
                writer.write(self._answer(words))
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    def _answer(self, words):
        match [words[0].upper(), *words[1:]]:
            case ["CONFIG", _, pattern]:
                known = {"*append*": ["appendonly", "yes", "appendfsync", "everysec"]}
                found = known.get(pattern, ["maxmemory-policy", "noeviction"])
                return f"*{len(found)}\r\n".encode() + b"".join(bulk(word) for word in found)
            case ["INFO", *_]:
                return bulk(f"# Server\r\nredis_version:{self.version}\r\n")
            case ["WAITAOF", *_]:
                return f"*2\r\n:{self.on_disk}\r\n:0\r\n".encode()
            case ["SCRIPT", "EXISTS", *_]:
                return b"*1\r\n:1\r\n"
            case ["HELLO", *_]:
                return b"*2\r\n" + bulk("proto") + b":2\r\n"
            case ["EVALSHA", *_]:
                return bulk("written")
        return b"+OK\r\n"


def bulk(text):
    return f"${len(text.encode())}\r\n{text}\r\n".encode()


async def test_where_the_server_knows_waitaof_it_is_waited_for_on_the_same_connection(make_ledger):
    async with NewerRedis() as server:
        assert await write(make_ledger(server.url)) == b"written"
        assert [words[0] for words in server.heard][-2:] == ["EVALSHA", "WAITAOF"]


async def test_the_disk_is_given_more_than_the_second_in_which_it_is_written_to_and_less_than_the_command(make_ledger):
    async with NewerRedis() as server:
        await write(make_ledger(server.url))
        (milliseconds,) = [int(words[-1]) for words in server.heard if words[0] == "WAITAOF"]
    assert 1000 * 1.25 < milliseconds < COMMAND_TIMEOUT.total_seconds() * 1000 * 0.9


async def test_a_disk_that_is_too_slow_is_no_acknowledgement(make_ledger):
    async with NewerRedis(on_disk=0) as server:
        with pytest.raises(NotYetOnDisk):
            await write(make_ledger(server.url))


async def test_an_older_server_that_writes_later_is_refused(make_ledger):
    async with NewerRedis(version="7.0.15") as server:
        with pytest.raises(LedgerNotDurable):
            await write(make_ledger(server.url))
