"""Redis clients answer soon or fail soon, and a restart of the server is nobody's failure."""

import asyncio
import signal
import time

import pytest
from redis.asyncio import Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import ResponseError

from demo.installation import RedisServer
from domain.citizen import Citizen
from domain.cpr import Cpr
from portal.api.citizen_limits import Rate
from portal.api.problems import Problem
from redis_admission.timeout import RedisTimeout
from registerbro.messaging.inspect import Queues
from registerbro.messaging.publish import publish
from registerbro.storage.ledger.connection import Ledger
from registerbro.storage.lua import Call
from registerbro.storage.redis_client import _OURS, REDIS_DOWN, _Ours, connect

pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture
def server(tmp_path):
    it = RedisServer("broker", tmp_path).start()
    yield it
    it.stop()


@pytest.fixture
async def client(server):
    it = connect(server.url)
    yield it
    await it.aclose()


async def test_after_a_restart_no_command_fails_over_a_connection_that_was_kept(server, client):
    kept = 8
    open_ = [await client.connection_pool.get_connection() for _ in range(kept)]
    await asyncio.gather(*map(client.connection_pool.release, open_))
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    assert [await client.incr("count") for _ in range(2 * kept)] == list(range(1, 2 * kept + 1))


async def get(redis, _):
    return await redis.get("key")


async def pipeline(redis, _):
    return (await redis.pipeline(transaction=False).get("key").execute())[0]


async def transaction(redis, _):
    return (await redis.pipeline(transaction=True).get("key").execute())[0]


async def script(redis, _):
    return await redis.register_script("return redis.call('GET', KEYS[1])")(keys=["key"])


async def durably(redis, ledger):
    written = redis.register_script("redis.call('INCR', 'count') return redis.call('GET', KEYS[1])")
    return await ledger.durably(Call(written, ["key"], []))


async def subscription(redis, _):
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe("channel")
        return b"value"


@pytest.fixture
async def ledger(empty_redis):
    it = Ledger(empty_redis["ledger"].url)
    yield it
    await it.close()


async def cut(server, *clients):
    """Every connection is closed by the server while it is kept and idle."""
    for client in clients:
        kept = [await client.connection_pool.get_connection() for _ in range(5)]
        for connection in kept:
            await client.connection_pool.release(connection)
    with server.client() as other:
        other.set("key", "value")
        other.client_kill_filter(skipme=True, _type="normal")


@pytest.mark.parametrize("processed", [True, False], ids=["as the loop knows", "as only the kernel knows"])
@pytest.mark.parametrize("command", [get, pipeline, transaction, script, durably, subscription])
async def test_no_command_to_the_ledger_fails_because_a_kept_connection_was_closed(
    empty_redis, ledger, command, processed
):
    """None of them is sent twice: what the ledger is told may not be."""
    for _ in range(3):
        await cut(empty_redis["ledger"], ledger.redis)
        if processed:
            await asyncio.sleep(0.01)
        assert await command(ledger.redis, ledger) == b"value"
    if command is durably:
        assert await ledger.redis.get("count") == b"3"


@pytest.mark.parametrize("command", [get, pipeline, transaction, script, subscription])
async def test_no_command_to_another_server_fails_because_a_kept_connection_was_closed(empty_redis, command):
    for role in ("broker", "cache"):
        client = connect(empty_redis[role].url)
        await cut(empty_redis[role], client)
        assert await command(client, None) == b"value"
        await client.aclose()


async def test_over_tls_and_a_socket_file_it_is_so_too():
    assert set(_OURS) == {Connection, SSLConnection, UnixDomainSocketConnection}
    for scheme in ("redis", "rediss"):
        kind = Ledger(f"{scheme}://127.0.0.1:1/0").redis.connection_pool.connection_class
        assert issubclass(kind, _Ours)
    assert issubclass(connect("unix:///nowhere").connection_pool.connection_class, _Ours)


def test_no_message_fails_to_be_published_because_a_kept_connection_was_closed(app, empty_redis):
    publish("udb.alive", ["udb"], "udb")
    with empty_redis["broker"].client() as client:
        before = client.llen("udb")
        client.client_kill_filter(skipme=True, _type="normal")
        publish("udb.alive", ["udb"], "udb")
        assert client.llen("udb") == before + 1


def test_no_look_at_the_queues_fails_because_a_kept_connection_was_closed(app, make_settings, empty_redis):
    queues = Queues(make_settings())
    try:
        for _ in range(3):
            assert queues.inspect(["udb"]).dead_letters == 0
            with empty_redis["broker"].client() as client:
                client.client_kill_filter(skipme=True, _type="normal")
    finally:
        queues.close()


async def test_no_refresh_is_uncounted_because_a_kept_connection_was_closed(services, empty_redis):
    limit = Rate(services, "refresh", services.settings.refreshes_per_minute, "refreshes")
    citizen = Citizen(Cpr.parse("6102991234"), frozenset(), education_order=False)
    for _ in range(services.settings.refreshes_per_minute):
        await cut(empty_redis["broker"], services.coordination)
        await limit.check(citizen)
    await cut(empty_redis["broker"], services.coordination)
    with pytest.raises(Problem):
        await limit.check(citizen)


async def test_without_a_server_a_command_fails_at_once(server, client):
    await asyncio.to_thread(server.stop)
    with pytest.raises(REDIS_DOWN):
        await client.get("key")


async def test_a_frozen_server_is_not_asked_twice(server, client):
    await client.set("key", "value")
    server.process.signal(signal.SIGSTOP)
    try:
        with pytest.raises(REDIS_DOWN):
            await client.incr("count")
    finally:
        server.process.signal(signal.SIGCONT)
    async with asyncio.timeout(30):
        while await client.exists("count") == 0:
            pass
    assert await client.get("count") == b"1"


async def test_commands_that_are_sent_together_each_have_their_own_answer_and_their_own_error(client):
    await client.set("text", "x")
    keys = [f"key{n}" for n in range(300)]
    answers = await asyncio.gather(
        *(client.set(key, key) for key in keys), client.incr("text"), *map(client.get, keys), return_exceptions=True
    )
    assert answers[:300] == [True] * 300
    assert isinstance(answers[300], ResponseError)
    assert answers[301:] == [key.encode() for key in keys]


async def test_commands_that_fail_together_each_have_an_error_of_their_own(server, client):
    await client.set("key", "value")
    await asyncio.to_thread(server.stop)
    errors = await asyncio.gather(*(client.get("key") for _ in range(5)), return_exceptions=True)
    assert all(isinstance(error, REDIS_DOWN) for error in errors)
    assert len({id(error) for error in errors}) == 5


async def test_a_crowd_of_commands_needs_one_connection(client):
    await asyncio.gather(*(client.incr("count") for _ in range(1000)))
    assert len(await client.client_list()) == 1


QUESTIONS = {
    "smembers": ("set",), "sinter": (["set", "other set"],), "sismember": ("set", "a"),
    "smismember": ("set", ["a", "z"]),
    "hgetall": ("hash",), "hkeys": ("hash",), "hmget": ("hash", ["a", "z"]), "hexists": ("hash", "a"),
    "zscore": ("sorted", "a"), "zmscore": ("sorted", ["a", "z"]), "zdiff": (["sorted"], True),
    "zcount": ("sorted", 0, 9),
    "geopos": ("places", "a", "z"), "geohash": ("places", "a", "z"), "geodist": ("places", "a", "b"),
    "xrange": ("stream",), "xrevrange": ("stream",), "xpending": ("stream", "group"), "xlen": ("stream",),
    "lrange": ("list", 0, -1), "lpos": ("list", "a"), "mget": (["text", "none"],), "type": ("set",),
    "strlen": ("text",),
    "getbit": ("text", 1), "bitpos": ("text", 1), "dump": ("text",), "exists": ("text",),
    "pttl": ("text",), "time": (), "info": ("server",), "config_get": ("maxmemory",), "client_getname": (), "ping": (),
}  # fmt: skip
"""Commands, among them all whose options redis-py keeps from the callbacks that translate their answers."""
WITH_OPTIONS = {
    "zrange": (("sorted", 0, -1), {"withscores": True}),
    "zrevrange": (("sorted", 0, -1), {"withscores": True}),
    "zrangebyscore": (("sorted", 0, 9), {"withscores": True}),
    "zrevrangebyscore": (("sorted", 9, 0), {"withscores": True}),
    "geosearch": (("places",), {"longitude": 12.5, "latitude": 55.7, "radius": 9, "unit": "km", "withdist": True}),
}


@pytest.mark.parametrize(
    ("command", "arguments", "options"),
    [(name, arguments, {}) for name, arguments in QUESTIONS.items()]
    + [(name, *question) for name, question in WITH_OPTIONS.items()],
)
async def test_a_command_has_the_answer_that_redis_py_gives(empty_redis, command, arguments, options):
    stock = Redis.from_url(empty_redis["broker"].url)
    ours = connect(empty_redis["broker"].url)
    async with stock, ours:
        filling = stock.pipeline()
        filling.sadd("set", "a", "b").sadd("other set", "a").hset("hash", "a", "1").zadd("sorted", {"a": 1, "b": 2})
        filling.geoadd("places", (12.57, 55.68, "a", 12.59, 55.69, "b")).xadd("stream", {"a": 1}).rpush("list", "a")
        await filling.set("text", "x").xgroup_create("stream", "group").execute()
        changing = {"time", "info"}
        expected, answer = [await getattr(one, command)(*arguments, **options) for one in (stock, ours)]
        assert type(answer) is type(expected)
        assert answer == expected or command in changing


async def test_a_script_that_redis_has_forgotten_is_sent_again_by_each_who_wants_it(client):
    script = client.register_script("return redis.call('INCRBY', KEYS[1], 1)")
    await client.script_flush()
    answers = await asyncio.gather(*(script(keys=["count"]) for _ in range(20)))
    assert sorted(answers) == list(range(1, 21))


async def test_what_nobody_waits_for_any_more_is_not_sent(server, client):
    await client.set("key", "value")
    server.process.signal(signal.SIGSTOP)
    under_way = asyncio.create_task(client.get("key"))
    await asyncio.sleep(0)
    given_up = asyncio.create_task(client.incr("count"))
    await asyncio.sleep(0.01)
    given_up.cancel()
    await asyncio.wait([given_up])
    server.process.signal(signal.SIGCONT)
    assert await under_way == b"value"
    assert await client.exists("count") == 0


async def test_a_closed_client_ends_what_it_was_sending_and_opens_no_connection_again(server, client):
    await client.set("key", "value")
    server.process.signal(signal.SIGSTOP)
    under_way = [asyncio.create_task(client.get("key"))]
    await asyncio.sleep(0.01)
    under_way += [asyncio.create_task(client.get("key"))]
    await asyncio.sleep(0.01)
    await client.aclose()
    server.process.signal(signal.SIGCONT)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*under_way, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionFailed, ConnectionFailed]
    await asyncio.sleep(0.05)
    async with connect(server.url) as another:
        assert len(await another.client_list()) == 1


async def test_a_crowd_gives_a_frozen_server_up_when_one_would(server, client):
    await client.set("key", "value")
    server.process.signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*(client.get("key") for _ in range(500)), return_exceptions=True)
    finally:
        server.process.signal(signal.SIGCONT)
    assert all(isinstance(answer, REDIS_DOWN) for answer in answers)
    async with asyncio.timeout(30):
        while await client.get("key") != b"value":
            pass


async def test_a_silent_server_is_given_no_more_time_than_it_is_granted(client):
    with pytest.raises(TimeoutError):
        async with RedisTimeout(0.01, lambda: client.answers):
            await asyncio.Event().wait()


async def test_what_this_process_was_busy_with_is_not_the_servers_slowness(client):
    loop = asyncio.get_running_loop()
    answer = loop.create_future()
    async with RedisTimeout(0.05, lambda: client.answers):
        loop.call_soon(time.sleep, 0.2)
        loop.call_later(0.06, answer.set_result, "in time")
        assert await answer == "in time"


async def test_a_server_that_answers_others_meanwhile_is_not_silent(client):
    async def ask_for_others():
        for _ in range(20):
            await client.ping()
            await asyncio.sleep(0.01)

    async with RedisTimeout(0.05, lambda: client.answers):
        await ask_for_others()


async def test_a_busy_process_gives_a_frozen_server_up_when_the_connection_does(server, client):
    async def work():
        while True:
            time.sleep(0.02)  # noqa: ASYNC251 - what it is to be busy
            await asyncio.sleep(0)

    await client.ping()
    busy = asyncio.create_task(work())
    server.process.signal(signal.SIGSTOP)
    try:
        with pytest.raises(REDIS_DOWN):
            async with RedisTimeout(0.05, lambda: client.answers):
                await client.ping()
    finally:
        server.process.signal(signal.SIGCONT)
        busy.cancel()
