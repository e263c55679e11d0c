"""A consumer and a publisher for the tests."""

import socket
from contextlib import suppress

from kombu import Connection, Consumer, Exchange, Message, Queue


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
