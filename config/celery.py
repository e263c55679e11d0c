"""Celery configuration: queues, routes, periods, and the broker's options; docs/decisions say why."""

from datetime import timedelta
from typing import Any

from kombu.entity import Queue

from config.settings import Settings, register_model, without_credentials

REGISTERS = ("udb", "su", "eindkomst", "ydelse", "visitering", "kontaktforloeb", "jobsearch", "borgerindsats")
"""The names of the registers; each has a queue, a bulk queue, and the tasks `<name>.refresh`, `.refresh_many`,
`.sweep`, `.schedule` and `.alive`."""

SCHEDULED = tuple(name for name in REGISTERS if register_model(name).scheduled)
"""The registers that the schedule keeps fresh; a read refreshes the others."""

SUBSCRIBED = tuple(name for name in REGISTERS if register_model(name).subscribes)
"""The registers at which citizens are subscribed; their workers have the task `<name>.cancel_subscriptions` too."""

BOOKING_VENDOR = "booking_vendor"
"""The name and the queue of the worker that sends fault reports to the supplier of the meeting-booking system."""

SWEEP_EVERY = timedelta(seconds=5)
"""Period in which each register's leases are searched for requested refreshes that never came."""

SCHEDULE_EVERY = timedelta(seconds=2)
"""Period in which each register's timetable is searched for citizens who are due: short, so that the load is even."""

DELIVER_EVERY = timedelta(seconds=1)
"""Period in which due fault reports are sent: the shortest wait between two attempts."""

TIDY_EVERY = timedelta(hours=1)
"""Period in which fault reports past their retention are deleted."""

CANCEL_EVERY = timedelta(seconds=15)
"""Period in which subscriptions that are to be cancelled are cancelled."""

HEARTBEAT_EVERY = timedelta(seconds=5)
"""Period in which each queue gets a canary task, which records that the queue is consumed."""

HEARTBEAT_KEPT_FOR = timedelta(seconds=20)
"""Time after its last canary task in which a queue counts as consumed; a restart of a worker may lose three."""

_REDIS_OPTIONS: dict[str, Any] = {
    # Without time limits, a publisher waits for ever on a frozen broker (measured: 25 s and counting).
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    # A message that a killed worker held is redelivered after this; after five deliveries it is a dead letter.
    "redelivery_time": 15,
    "max_deliveries": 5,
    # The same for kombu's own transport, which has a fixed time: longer than the one above, so that the two can share
    # queues. A second delivery does no harm: the lease lets one run begin.
    "visibility_timeout": 60,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
}
_RABBITMQ_OPTIONS: dict[str, Any] = {
    # A message counts as sent when RabbitMQ has confirmed it, and not when it was written to the socket.
    "confirm_publish": True,
    "write_timeout": 5,
}


def bulk(register: str) -> str:
    """The register's queue for refreshes that no citizen waits for."""
    return f"{register}.bulk"


WORKERS: dict[str, tuple[str, ...]] = {
    **{register: (register, bulk(register)) for register in REGISTERS},
    BOOKING_VENDOR: (BOOKING_VENDOR,),
}
"""Worker → its queues. Each worker has `workers/<name>/tasks.py`, and its tasks' names begin with its name."""


def service_of(name: str) -> str:
    """The service of one of WORKERS, as docker-compose.yml and the users of Redis are named."""
    return f"worker-{name.replace('_', '-')}"


QUEUES: tuple[str, ...] = tuple(queue for queues in WORKERS.values() for queue in queues)
"""Every queue of this system."""


def _broker_options(settings: Settings) -> dict[str, Any]:
    scheme = settings.broker_url.get_secret_value().partition("://")[0]
    if scheme.startswith("amqp"):
        return _RABBITMQ_OPTIONS
    if scheme == "sentinel":
        within = {name: _REDIS_OPTIONS[name] for name in ("socket_timeout", "socket_connect_timeout")}
        return {**_REDIS_OPTIONS, "master_name": settings.sentinel_master, "sentinel_kwargs": within}
    return _REDIS_OPTIONS


def configuration(settings: Settings) -> dict[str, Any]:
    """Celery's settings for this installation."""
    return {
        # The address without the password, because every worker shows its configuration over remote control
        # (workers/process/remote_control.py). The app's connections have the password
        # (registerbro/messaging/celery_app.py).
        "broker_url": without_credentials(settings.broker_url.get_secret_value()),
        "broker_transport_options": _broker_options(settings),
        "broker_connection_timeout": 2,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A refusal (a demoted master, a full disk) passes: the worker retries, as after a lost connection.
        "broker_channel_error_retry": True,
        # Objects, because Flower, before it has seen a worker, takes the configuration's queues for objects.
        "task_queues": [Queue(name, routing_key=name) for name in QUEUES],  # type: ignore[no-untyped-call]
        "task_create_missing_queues": False,
        "task_default_queue": QUEUES[0],
        "task_default_exchange": "registerbro",
        "task_routes": {f"{name}.*": {"queue": queues[0]} for name, queues in WORKERS.items()},
        "include": [f"workers.{name}.tasks" for name in WORKERS],
        # JSON alone, because a pickled message can run code.
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_serializer": "json",
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        # A publish that fails is retried once, on a new connection; then the caller gets the error.
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0},
        # A task costs little: it is a coroutine on the process's one event loop.
        "worker_pool": "workers.process.coroutine_pool:TaskPool",
        "worker_concurrency": settings.worker_concurrency,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_soft_shutdown_timeout": 10,
        "worker_enable_soft_shutdown_on_idle": True,
        "worker_send_task_events": True,
        "beat_scheduler": "workers.process.beat:Scheduler",
        # A second beat takes over within the lock's time (workers/process/beat.py) and one interval: 35 s.
        "beat_max_loop_interval": 5,
        # No period here depends on the time of day, and UTC has no change of clocks.
        "timezone": "UTC",
        "enable_utc": True,
    }
