"""Puts our transport in the place of kombu's in every Python process that a suite starts, its subprocesses included."""

import os

if os.environ.get("PEERS_TRANSPORT") == "ours":
    from kombu.transport import redis as stock

    from redis_transport import channel, install, qos, transport

    install()
    # Suites also take the classes by their names, and build upon them.
    # kombu's tests sleep for as long as one wait at the queues lasts, which for ours is a minute.
    transport.Transport.brpop_timeout = 1
    stock.QoS = qos.QoS
    stock.MultiChannelPoller = transport.Poller
    stock.Channel = channel.Channel
    stock.SentinelChannel = channel.SentinelChannel
    stock.Transport = transport.Transport
    stock.SentinelTransport = transport.SentinelTransport
