"""The transport of each kind of URL: TCP, unix socket, Sentinel, and a user with few rights."""

from pathlib import Path

import kombu.transport
import redis
from celery import signals
from kombu import Connection

from redis_transport import SCHEMES, SentinelTransport, Transport, install
from tests.redis_transport.conftest import Connect
from tests.redis_transport.inbox import Inbox, publish_with
from tests.redis_transport.servers import Process, RedisServer, find_redis, free_port, wait_for

COMMANDS = (
    "+ping +hello +client +multi +exec +evalsha +script|load +brpop +lpush +rpush +ltrim +rpop +llen +exists +del"
    " +time +zadd +zrem +zscore +zcount +zrange +zrangebyscore +hset +hsetnx +hget +hgetall +hexists +hdel +hlen +hvals"
    " +set +get +watch +unwatch"
    " +sadd +srem +smembers +publish +psubscribe +punsubscribe +subscribe +unsubscribe"
)
"""What docs/transport.md says that a user of the broker needs."""


def test_every_kind_of_redis_url_means_this_transport() -> None:
    for url in ("redis://h:1/0", "rediss://h:1/0?ssl_cert_reqs=required", "redis+socket:///tmp/s"):
        assert Connection(url).get_transport_cls() is Transport
    sentinels = Connection("sentinel://a:1;sentinel://b:2")
    assert sentinels.get_transport_cls() is SentinelTransport
    sentinels.maybe_switch_next()
    assert sentinels.get_transport_cls() is SentinelTransport, "also after a failover"


def test_a_global_prefix_is_before_every_key(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(global_keyprefix="app:"), "q")
    publish_with(connect(global_keyprefix="app:"), 1, 2)
    inbox.wait(2)[0].requeue()
    for message in inbox.wait(3)[1:]:
        message.ack()
    keys = client.keys("*")
    assert keys
    assert all(key.startswith(b"app:") for key in keys)
    assert not client.exists("app:q", "app:unacked", "app:unacked_index")


def test_it_works_for_a_user_with_only_its_commands(connect: Connect, client: redis.Redis, server: RedisServer) -> None:
    client.execute_command("ACL", "SETUSER", "worker", "reset", "on", ">secret", "~*", "&*", *COMMANDS.split())
    url = f"redis://worker:secret@127.0.0.1:{server.port}/0"
    inbox = Inbox(connect(url, max_deliveries=1), "q")
    publish_with(connect(url), 1, 2)
    inbox.wait(2)[0].ack()
    inbox.messages[1].requeue()
    inbox.channel.qos.restore_visible()
    store = inbox.channel.qos.holding.store
    (letter,) = store.dead_letters()
    assert store.replay(letter.tag)
    inbox.wait(3)[2].ack()
    inbox.consumer.cancel()
    inbox.channel.close()
    assert not client.exists("q", "unacked", "unacked_index")


def test_it_works_over_a_unix_socket(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    process = Process(
        "redis", [find_redis(), "--port", "0", "--unixsocket", str(path), "--save", ""], tmp_path / "redis.log", {}
    ).start()
    try:
        wait_for(path.exists, "redis")
        inbox = Inbox(connect(f"redis+socket://{path}"), "q")
        publish_with(connect(f"redis+socket://{path}"), 1)
        inbox.wait(1)[0].ack()
        inbox.consumer.cancel()
        inbox.channel.close()
    finally:
        process.stop()


def test_it_works_with_sentinel(connect: Connect, server: RedisServer, client: redis.Redis, tmp_path: Path) -> None:
    port = free_port()
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(f"port {port}\nsentinel monitor main 127.0.0.1 {server.port} 1\n", encoding="utf-8")
    process = Process(
        "sentinel", [find_redis(), str(configuration), "--sentinel"], tmp_path / "sentinel.log", {}
    ).start()
    try:
        wait_for(lambda: process.has_logged("+monitor master"), "sentinel")
        url = f"sentinel://127.0.0.1:{port}/0"
        inbox = Inbox(connect(url, master_name="main"), "q")
        publish_with(connect(url, master_name="main"), 1)
        inbox.wait(1)[0].ack()
        assert not client.exists("q", "unacked", "unacked_index")
        inbox.consumer.cancel()
        inbox.channel.close()
    finally:
        process.stop()


def test_installing_twice_is_installing_once() -> None:
    install()
    receivers = len(signals.worker_init.receivers)
    install()
    assert len(signals.worker_init.receivers) == receivers


def test_every_scheme_that_is_promised_means_this_transport() -> None:
    classes = {kombu.transport.resolve_transport(scheme.partition("+")[0]) for scheme in SCHEMES}
    assert classes == {Transport, SentinelTransport}
