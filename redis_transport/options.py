"""Options of the transport: the defaults, with their units and the reason for each number.

Those that `OPTIONS` names can be set in Celery's `broker_transport_options` (kombu's `transport_options`); the others
are fixed.
"""

REDELIVERY_TIME = 15.0
"""Seconds until a dead worker's messages are redelivered. A worker that is cut off for longer loses what it holds."""

MAX_DELIVERIES = 5
"""Deliveries without a settlement after which a message becomes a dead letter. 0 is no limit."""

FETCH_LIMIT = 20
"""Messages per fetch, at most. The round trip is spread over enough of them, and other workers get their part."""

BULK_SUFFIX = ".bulk"
"""Ending of the names of queues that are served last."""

BULK_SHARE = 5
"""Every so many fetches the bulk queues come first, so that they are never starved. 0 is never."""

OPTIONS = ("redelivery_time", "max_deliveries", "fetch_limit", "bulk_suffix", "bulk_share")
"""Names of the options that can be set; each default is the constant of the same name in capitals."""

POLL_INTERVAL = 1.0
"""Seconds between two looks at the queues, for messages of stock publishers, which send no wake-up, and lost ones."""

WAKE_UP_TIMEOUT = 60
"""Seconds that one BRPOP waits for a wake-up: long, as each costs a command; short, as firewalls drop connections."""

WAKE_UPS = 64
"""Wake-ups that a queue keeps: each wakes one consumer, and more would wake consumers for nothing."""

ACK_DELAY = 0.01
"""Seconds that an acknowledgement waits for others to be sent with, if no fetch takes it along before."""

ACK_BATCH = 1000
"""Acknowledgements per script, at most, so that no script holds Redis up."""

ALONE_AFTER = 2
"""Redeliveries after which a message may be what kills its worker: no consumer gets two such messages at once."""

RESTORE_LIMIT = 1000
"""Messages of dead stock workers that one look for dead consumers puts back, at most."""

LAPSES_AFTER = 0.8
"""Part of the redelivery time without a sign of life after which a consumer has lapsed."""

BEATS_EVERY = 0.2
"""Part of the redelivery time between two signs of life: a beat and the look after the lapse are still within it."""

MAX_TICK = 1.5
"""Intervals between beats by which one sign of life moves the steady time on, at most.

With more, an outage would age living consumers; with less, the time would lag where one consumer alone moves it, a
little late each time.
"""
