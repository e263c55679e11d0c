"""The transport as kombu sees it, with real connections and no workers."""

import gc
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import kombu.transport
import pytest
import redis
from kombu import Connection, Consumer, Exchange, Message, Queue

from ops.local import Process, RedisServer, find_redis, free_port, wait_for
from tests.transport.conftest import Connect
from workers import transport

Publish = Callable[..., str]

COMMANDS = (
    "+ping +hello +client +multi +exec +evalsha +script|load +brpop +lpush +rpush +ltrim +rpop +llen +exists +del"
    " +time +zadd +zrem +zscore +zcount +zrange +zrangebyscore +hset +hsetnx +hget +hgetall +hexists +hdel +hlen +hvals"
    " +set +get +watch +unwatch"
    " +sadd +srem +smembers +publish +psubscribe +punsubscribe +subscribe +unsubscribe"
)
"""What docs/transport.md says that a user of the broker needs."""


class Inbox:
    """A consumer that keeps the messages that it is given."""

    def __init__(self, connection: Connection, *queues: str, prefetch: int = 0, no_ack: bool = False) -> None:
        self.messages: list[Message] = []
        self.connection = connection
        self.channel = connection.channel()
        if prefetch:
            self.channel.basic_qos(0, prefetch, False)
        self.consumer = Consumer(
            self.channel,
            [Queue(name, Exchange(name), routing_key=name) for name in queues],
            on_message=self.messages.append,
            no_ack=no_ack,
        )
        self.consumer.consume()

    def wait(self, count: int) -> list[Message]:
        while len(self.messages) < count:
            self.connection.drain_events(timeout=20)
        return self.messages

    def nothing_comes(self) -> bool:
        """Whether two looks at the queues bring nothing."""
        before = len(self.messages)
        with suppress(socket.timeout):
            self.connection.drain_events(timeout=0.1)
        self.channel.poll()
        return len(self.messages) == before


def publish_with(connection: Connection, *bodies: object, queue: str = "q", **options: object) -> None:
    producer = connection.Producer(serializer="json")
    for body in bodies:
        producer.publish(body, routing_key=queue, declare=[Queue(queue, Exchange(queue), routing_key=queue)], **options)


def test_every_kind_of_redis_url_means_this_transport() -> None:
    for url in ("redis://h:1/0", "rediss://h:1/0?ssl_cert_reqs=required", "redis+socket:///tmp/s"):
        assert Connection(url).get_transport_cls() is transport.Transport
    sentinels = Connection("sentinel://a:1;sentinel://b:2")
    assert sentinels.get_transport_cls() is transport.SentinelTransport
    sentinels.maybe_switch_next()
    assert sentinels.get_transport_cls() is transport.SentinelTransport, "also after a failover"


def test_uninstalling_goes_back_to_kombus_own() -> None:
    transport.uninstall()
    assert Connection("redis://h").get_transport_cls() is kombu.transport.redis.Transport


def test_what_is_published_arrives(connect: Connect) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), 1, 2, 3)
    assert [message.payload for message in inbox.wait(3)] == [1, 2, 3]


def test_a_stock_publishers_message_arrives_without_a_ring(connect: Connect, publish: Publish) -> None:
    inbox = Inbox(connect(), "q")
    assert inbox.nothing_comes()
    tag = publish()
    assert [message.delivery_tag for message in inbox.wait(1)] == [tag]


def test_a_whole_batch_arrives(connect: Connect) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), *range(50))
    assert [message.payload for message in inbox.wait(50)] == list(range(50))


def test_the_prefetch_count_is_respected(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q", prefetch=3)
    publish_with(connect(), *range(5))
    inbox.wait(3)
    assert inbox.nothing_comes()
    assert client.hlen("unacked") == 3
    inbox.messages[0].ack()
    assert len(inbox.wait(4)) == 4


def test_an_acknowledged_message_is_gone(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), 1)
    inbox.wait(1)[0].ack()
    assert not client.exists("q", "unacked", "unacked_index")


def test_a_rejected_message_is_gone_and_a_requeued_one_comes_again(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), "gone", "again")
    gone, again = inbox.wait(2)
    gone.reject()
    again.requeue()
    repeated = inbox.wait(3)[2]
    assert repeated.payload == "again"
    assert repeated.headers["redelivered"]
    repeated.ack()
    assert not client.exists("q", "unacked", "unacked_index", "unacked_deliveries")


def test_what_is_rejected_again_and_again_ends_among_the_dead(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = Inbox(connect(max_deliveries=2), "q")
    publish_with(connect(), "secret")
    for times in (1, 2):
        inbox.wait(times)[-1].requeue()
    assert inbox.nothing_comes()
    (letter,) = inbox.channel.qos.holding.store.dead()
    assert (letter.deliveries, letter.reason) == (2, "rejected")
    assert "Dead letter after 2 deliveries" in caplog.text
    assert "secret" not in caplog.text


def test_closing_in_order_puts_the_rest_back_at_once(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), 1, 2)
    inbox.wait(2)[0].ack()
    inbox.consumer.cancel()
    inbox.channel.close()
    assert client.llen("q") == 1
    assert not client.exists("unacked", "unacked_index", "unacked_consumers")


def test_acknowledgements_outlive_a_lost_connection(connect: Connect, client: redis.Redis) -> None:
    """A channel that is closed while it consumes has lost its connection, and its tasks still run."""
    inbox = Inbox(connect(redelivery_time=2), "q")
    publish_with(connect(), 1, 2)
    running, other = inbox.wait(2)
    inbox.connection.collect()
    assert client.hlen("unacked") == 2, "nothing is put back, as somebody is at it"
    running.ack()
    wait_for(lambda: client.hlen("unacked") == 1, "the acknowledgement")
    assert client.llen("q") == 0
    other.ack()
    wait_for(lambda: not client.exists("unacked", "unacked_consumers"), "the end of what outlived its channel")


def test_what_nobody_can_acknowledge_any_more_goes_back(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(redelivery_time=2), "q")
    publish_with(connect(), 1, 2)
    kept, _ = inbox.wait(2)
    inbox.connection.collect()
    del inbox.messages[:], _
    gc.collect()
    wait_for(lambda: client.llen("q") == 1, "the other message")
    assert client.hkeys("unacked") == [kept.delivery_tag.encode()]
    kept.ack()
    wait_for(lambda: not client.exists("unacked"), "the acknowledgement")


def test_a_consumer_that_was_cut_off_says_so_once_and_harms_nobody(
    connect: Connect, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    cut_off = Inbox(connect(redelivery_time=2), "q")
    publish_with(connect(), 1)
    (late,) = cut_off.wait(1)
    cut_off.channel.qos.holding.store.restore(-1)  # what another worker does when it sees no sign of life
    other = Inbox(connect(redelivery_time=60), "q")
    (current,) = other.wait(1)
    wait_for(lambda: "Cut off from Redis" in caplog.text, "the log line")
    late.ack()
    assert client.hexists("unacked", current.delivery_tag), "the acknowledgement of the late one does nothing"
    current.ack()
    assert not client.exists("unacked")
    lines = [record for record in caplog.records if record.name == transport.__name__ and record.levelno > logging.INFO]
    assert len(lines) == 1


def test_holding_on_takes_a_heartbeat_and_nothing_from_the_main_thread(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(redelivery_time=1), "q")
    publish_with(connect(), 1)
    (message,) = inbox.wait(1)
    seen = client.zscore("unacked_index", message.delivery_tag)
    wait_for(lambda: client.zscore("unacked_index", message.delivery_tag) > seen + 2, "signs of life")
    message.ack()
    assert not client.exists("unacked")


def test_a_message_of_a_dead_consumer_comes_to_another(connect: Connect, client: redis.Redis) -> None:
    dead = Inbox(connect(redelivery_time=1), "q")
    publish_with(connect(), 1)
    dead.wait(1)
    dead.channel.qos.holding._ended = True  # as its process would be
    other = Inbox(connect(redelivery_time=1), "q")
    (message,) = other.wait(1)
    assert message.headers["redelivered"]
    message.ack()


def test_what_a_dead_stock_worker_held_comes_back_after_the_visibility_timeout(
    connect: Connect, client: redis.Redis
) -> None:
    stock = Inbox(connect(transport="kombu.transport.redis:Transport"), "q")
    publish_with(connect(), 1)
    stock.wait(1)
    client.zadd("unacked_index", {stock.messages[0].delivery_tag: 1000})
    stock.channel.qos._delivered.clear()
    ours = Inbox(connect(redelivery_time=1, visibility_timeout=30), "q")
    ours.wait(1)[0].ack()
    assert not client.exists("q", "unacked", "unacked_index")


def test_what_our_dead_held_comes_to_a_stock_worker_after_the_visibility_timeout(
    connect: Connect, client: redis.Redis
) -> None:
    dead = Inbox(connect(), "q")
    publish_with(connect(), "x")
    tag = dead.wait(1)[0].delivery_tag
    dead.channel.qos.holding._ended = True
    client.zadd("unacked_index", {tag: 1000})
    stock = Inbox(connect(transport="kombu.transport.redis:Transport", visibility_timeout=30), "q")
    stock.channel.qos.restore_visible(interval=1)
    (message,) = stock.wait(1)
    assert message.payload == "x"
    message.ack()
    assert not client.exists("q", "unacked", "unacked_index")


def test_the_bulk_queue_comes_last_and_still_gets_its_turn(connect: Connect) -> None:
    inbox = Inbox(connect(bulk_share=3), "q.bulk", "q", prefetch=1)
    publisher = connect()
    publish_with(publisher, *["now"] * 6)
    publish_with(publisher, *["later"] * 6, queue="q.bulk")
    order = []
    for count in range(1, 13):
        message = inbox.wait(count)[-1]
        order.append(message.payload)
        message.ack()
    assert 1 <= order[:7].count("later") <= 3
    assert order[-3:] == ["later"] * 3


def test_priorities_are_kept(connect: Connect) -> None:
    publisher = connect()
    publish_with(publisher, "low", priority=9)
    publish_with(publisher, "high", priority=0)
    inbox = Inbox(connect(), "q", prefetch=1)
    inbox.wait(1)[0].ack()
    inbox.wait(2)[1].ack()
    assert [message.payload for message in inbox.messages] == ["high", "low"]


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
    (letter,) = store.dead()
    assert store.replay(letter.tag)
    inbox.wait(3)[2].ack()
    inbox.consumer.cancel()
    inbox.channel.close()
    assert not client.exists("q", "unacked", "unacked_index")


def test_scripts_that_redis_forgot_are_loaded_again(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publisher = connect()
    for count in (1, 2):
        client.script_flush()
        publish_with(publisher, count)
        inbox.wait(count)[-1].ack()
    assert not client.exists("q", "unacked")


def test_copies_of_a_message_in_several_queues_are_settled_each_by_itself(
    connect: Connect, client: redis.Redis
) -> None:
    connection = connect()
    exchange = Exchange("all", type="topic")
    queues = [Queue(name, exchange, routing_key="#") for name in ("one", "two")]
    connection.Producer(serializer="json").publish("x", exchange=exchange, routing_key="any", declare=queues)
    inbox = Inbox(connect(), "one", "two")
    first, _ = inbox.wait(2)
    first.ack()
    assert client.hlen("unacked") == 1


def test_a_consumer_without_acknowledgements_leaves_nothing_noted(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q", no_ack=True)
    publish_with(connect(), 1)
    inbox.wait(1)
    assert not client.exists("q", "unacked", "unacked_index")


def test_one_message_can_be_got_by_itself(connect: Connect, client: redis.Redis) -> None:
    connection = connect()
    publish_with(connection, 1, 2)
    channel = connection.default_channel
    message = channel.basic_get("q")
    assert client.hlen("unacked") == 1
    message.ack()
    assert channel.basic_get("q", no_ack=True) is not None
    assert channel.basic_get("q") is None
    assert not client.exists("q", "unacked")


def test_a_consumer_that_raises_loses_nothing(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), 1, 2, 3)

    def fail(message: Message) -> None:
        inbox.messages.append(message)
        inbox.consumer.on_message = inbox.messages.append
        raise RuntimeError

    inbox.consumer.on_message = fail
    with pytest.raises(RuntimeError):
        inbox.wait(3)
    for message in inbox.wait(3):
        message.ack()
    assert not client.exists("q", "unacked")


def test_a_consumer_that_stops_amid_a_batch_gives_the_rest_back(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    publish_with(connect(), 1, 2, 3)

    def stop(message: Message) -> None:
        inbox.messages.append(message)
        inbox.channel._basic_cancel(inbox.consumer._active_tags["q"])

    inbox.consumer.on_message = stop
    inbox.wait(1)[0].ack()
    assert not client.exists("unacked")
    rest = Inbox(connect(), "q").wait(2)
    assert [message.payload for message in rest] == [2, 3]


def test_a_lost_fetch_is_found_again(connect: Connect, client: redis.Redis) -> None:
    """Redis did it, and the answer did not arrive: the messages go back when the channel ends."""
    inbox = Inbox(connect(redelivery_time=1), "q")
    publish_with(connect(), 1, 2)
    (first, *_) = inbox.wait(1)
    holding = inbox.channel.qos.holding
    publish_with(connect(), 3)
    holding.store.fetch(holding.name, ["q"], 10)
    inbox.connection.collect()
    wait_for(lambda: client.llen("q") == 2, "the messages that nobody knows of")
    assert first.delivery_tag.encode() in client.hkeys("unacked")
    for message in inbox.messages:
        message.ack()
    wait_for(lambda: not client.exists("unacked"), "the acknowledgements")


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


def test_it_works_over_tls(connect: Connect, server: RedisServer, client: redis.Redis, tmp_path: Path) -> None:
    certificate = _certificate(tmp_path)
    with _tls_before(server.port, certificate) as port, ExitStack() as stack:
        options = {"ssl_cert_reqs": "required", "ssl_ca_certs": str(certificate)}
        url = f"rediss://127.0.0.1:{port}/0?" + "&".join(f"{name}={value}" for name, value in options.items())
        inbox = Inbox(stack.enter_context(Connection(url)), "q")
        publish_with(stack.enter_context(Connection(url)), 1)
        inbox.wait(1)[0].ack()
        assert not client.exists("q", "unacked", "unacked_index")
        inbox.consumer.cancel()
        inbox.channel.close()


def _certificate(directory: Path) -> Path:
    """A file with a key, and a certificate for 127.0.0.1 that signs itself."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "redis.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def _tls_before(port: int, certificate: Path) -> Iterator[int]:
    """A listener that speaks TLS, and hands on to a Redis that was built without it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))
    sockets: list[socket.socket] = [listener]

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
                secure = context.wrap_socket(plain, server_side=True)
            except OSError:
                return
            behind = socket.create_connection(("127.0.0.1", port))
            sockets.extend([secure, behind])
            for ends in ((secure, behind), (behind, secure)):
                threading.Thread(target=carry, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        for each in sockets:
            each.close()
