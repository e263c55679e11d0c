"""Guard against a new kombu: each method that the transport overrides or relies on has its known source."""

import hashlib
import inspect

import pytest
from kombu.transport import redis as stock
from kombu.transport import virtual

from redis_transport import channel, qos, transport

KNOWN = {
    "Channel.__init__": "f189bdebe243",
    "Channel._basic_cancel": "f799ede50375",
    "Channel._brpop_read": "c42518699709",
    "Channel._brpop_start": "06723d707ddf",
    "Channel._connparams": "e9a4295085a8",
    "Channel._deliver_fanout_message": "06662335a70a",
    "Channel._delete": "4e33e7dc5845",
    "Channel._do_restore_message": "8b430df94e45",
    "Channel._get_pool": "d6e689f654ff",
    "Channel._on_connection_disconnect": "9eab3394f78b",
    "Channel._put": "1c0cf9749576",
    "Channel._q_for_pri": "f3997660680d",
    "Channel._receive_one": "d59b8751d897",
    "Channel.basic_consume": "34e0da85e689",
    "Channel.basic_get": "ba4884c15b6b",
    "Channel.close": "101e9b9cdad4",
    "GlobalKeyPrefixMixin": "33c642b69bbf",
    "MultiChannelPoller._register_BRPOP": "85724582464a",
    "MultiChannelPoller.get": "e0f960e0c328",
    "MultiChannelPoller.maybe_restore_messages": "6c267815d521",
    "MultiChannelPoller.on_poll_start": "414f76caaa67",
    "PublishBatch.add": "a5277c800b48",
    "QoS.__init__": "77545b203b86",
    "QoS.ack": "1bc15a4ddf54",
    "QoS.append": "35c655f6ecc6",
    "QoS.reject": "747a02434344",
    "QoS.restore_by_tag": "58e161d81b6f",
    "QoS.restore_unacked": "8954efef014d",
    "QoS.restore_unacked_once": "c81f3d0fb29b",
    "QoS.restore_visible": "d4a4a40a3eaf",
    "SentinelChannel._sentinel_managed_pool": "bde54a2d6e93",
    "Transport.__init__": "4fc30e8fa54d",
    "Transport.register_with_event_loop": "4b835642e4a9",
    "virtual.Channel.basic_consume": "0fec96269493",
    "virtual.Channel.basic_get": "ba4884c15b6b",
    "virtual.Channel.close": "26368e1cadfc",
    "virtual.QoS": "f884d8db8d64",
    "virtual.Transport._deliver": "799e242f3ec5",
    "virtual.Transport.drain_events": "dc55900aa0d2",
}
"""The source of kombu 5.7.0, as hashes."""


def source_hash(thing: object) -> str:
    return hashlib.sha256(inspect.getsource(thing).encode()).hexdigest()[:12]


def overridden() -> dict[str, object]:
    """kombu's methods that ours stand in for, by name."""
    pairs = [
        (qos.QoS, stock.QoS),
        (channel.Channel, stock.Channel),
        (transport.Poller, stock.MultiChannelPoller),
        (transport.Transport, stock.Transport),
    ]
    return {
        f"{theirs.__name__}.{name}": getattr(theirs, name)
        for ours, theirs in pairs
        for name, value in vars(ours).items()
        if inspect.isfunction(value) and inspect.isfunction(getattr(theirs, name, None))
    }


RELIED_ON = {
    "QoS.restore_by_tag": stock.QoS.restore_by_tag,
    "Channel._do_restore_message": stock.Channel._do_restore_message,
    "Channel._q_for_pri": stock.Channel._q_for_pri,
    "Channel._get_pool": stock.Channel._get_pool,
    "Channel._connparams": stock.Channel._connparams,
    "Channel._on_connection_disconnect": stock.Channel._on_connection_disconnect,
    "SentinelChannel._sentinel_managed_pool": stock.SentinelChannel._sentinel_managed_pool,
    "GlobalKeyPrefixMixin": stock.GlobalKeyPrefixMixin,
    "PublishBatch.add": stock.PublishBatch.add,
    "MultiChannelPoller._register_BRPOP": stock.MultiChannelPoller._register_BRPOP,
    "virtual.QoS": virtual.QoS,
    "virtual.Channel.close": virtual.Channel.close,
    "virtual.Channel.basic_consume": virtual.Channel.basic_consume,
    "virtual.Channel.basic_get": virtual.Channel.basic_get,
    "virtual.Transport._deliver": virtual.Transport._deliver,
    "virtual.Transport.drain_events": virtual.Transport.drain_events,
}
"""What is not overridden, and must go on being what it is."""


@pytest.mark.parametrize("name", sorted(overridden() | RELIED_ON))
def test_kombu_is_the_one_that_the_transport_was_written_against(name: str) -> None:
    current = source_hash((overridden() | RELIED_ON)[name])
    assert current == KNOWN.get(name), (
        f"kombu's {name} has changed: compare it with redis_transport/ as docs/transport.md "
        f'says (»When kombu is upgraded«), and when all is well, note it here as "{name}": "{current}"'
    )


def test_nothing_is_noted_that_is_not_there() -> None:
    assert set(KNOWN) == set(overridden() | RELIED_ON)
