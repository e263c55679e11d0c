"""Redis transport for kombu and Celery that loses no message when a worker is killed.

`install` makes it the transport of all Redis URLs in a process. What a killed worker held is redelivered within
seconds, and a message that kills its workers becomes a dead letter. README.md says what is promised; `store` has the
state in Redis, `options` the options.
"""

from redis_transport.store import DeadLetter, Names, Store
from redis_transport.transport import SCHEMES, SentinelTransport, Transport, install

__all__ = ["SCHEMES", "DeadLetter", "Names", "SentinelTransport", "Store", "Transport", "install"]
