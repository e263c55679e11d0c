"""The Celery configuration: queues, routes, periods, and how the broker is spoken to. docs/decisions say why."""

from datetime import timedelta
from typing import Any

from kombu.entity import Queue

from config.settings import Settings, register_model, without_credentials

REGISTERS = ("udb", "su", "eindkomst", "ydelse", "dfdg")
"""The names of the registers; each has a queue, a bulk queue, and the tasks `<name>.refresh`, `.refresh_many`,
`.sweep`, `.schedule` and `.alive`."""

SCHEDULED = tuple(name for name in REGISTERS if register_model(name).scheduled)
"""Those of them that the schedule keeps fresh; the others are refreshed when they are read."""

BOOKING_VENDOR = "booking_vendor"
"""The name, and the queue, of what sends fault reports to the supplier of the meeting-booking system."""

SWEEP_EVERY = timedelta(seconds=5)
"""How often each register's leases are looked through for refreshes that were asked for and never came."""

SCHEDULE_EVERY = timedelta(seconds=2)
"""How often each register's timetable is looked at for citizens who are due: so often that the load is even."""

DELIVER_EVERY = timedelta(seconds=1)
"""How often the fault reports that are due are sent for: as often as the shortest wait."""

TIDY_EVERY = timedelta(hours=1)
"""How often fault reports are looked through for what has been kept long enough."""

HEARTBEAT_EVERY = timedelta(seconds=5)
"""How often each queue is sent a task that does nothing but show that somebody carries it out."""

HEARTBEAT_KEPT_FOR = timedelta(seconds=20)
"""How long after the last of them a queue counts as consumed: three may go astray, as when a worker is restarted."""

_REDIS_OPTIONS: dict[str, Any] = {
    # Without these a publisher waits for ever on a frozen broker (measured: 25 s and counting).
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    # What a killed worker held comes back after this, and a message that came back five times is a dead letter.
    "redelivery_time": 15,
    "max_deliveries": 5,
    # The same for kombu's own transport, where it is a fixed time: longer than the one above, so that the two can share
    # queues. A message that is delivered twice does no harm: the lease lets one run begin.
    "visibility_timeout": 60,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
}
_RABBITMQ_OPTIONS: dict[str, Any] = {
    # A message counts as sent when RabbitMQ has it, and not when it is on its way there.
    "confirm_publish": True,
    "write_timeout": 5,
}


def bulk(register: str) -> str:
    """The queue for what nobody waits for."""
    return f"{register}.bulk"


WORKERS: dict[str, tuple[str, ...]] = {
    **{register: (register, bulk(register)) for register in REGISTERS},
    BOOKING_VENDOR: (BOOKING_VENDOR,),
}
"""Worker service → its queues. What is named here has `workers/<name>/tasks.py`, and its tasks start with its name."""


def service_of(name: str) -> str:
    """The service that works for one of WORKERS, as docker-compose.yml and Redis' users name it."""
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
        # Where it is, and not what is signed in with: every worker shows its configuration to whoever may ask
        # (workers/control.py). The app's connections know the rest (workers/app.py).
        "broker_url": without_credentials(settings.broker_url.get_secret_value()),
        "broker_transport_options": _broker_options(settings),
        "broker_connection_timeout": 2,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A refusal (a demoted master, a full disk) passes: a worker tries again, as after a lost connection.
        "broker_channel_error_retry": True,
        # Objects, as whatever asks the configuration for its queues (Flower, before it has seen a worker) wants them.
        "task_queues": [Queue(name, routing_key=name) for name in QUEUES],  # type: ignore[no-untyped-call]
        "task_create_missing_queues": False,
        "task_default_queue": QUEUES[0],
        "task_default_exchange": "registerbro",
        "task_routes": {f"{name}.*": {"queue": queues[0]} for name, queues in WORKERS.items()},
        "include": ["workers.schedule", *(f"workers.{name}.tasks" for name in WORKERS)],
        # JSON alone: a message can then never be a program.
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_serializer": "json",
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        # A caller that cannot publish at once is told so, after one try on a new connection.
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0},
        # Each task waits for a coroutine of the process's one event loop, so they cost little.
        "worker_pool": "workers.pool:TaskPool",
        "worker_concurrency": settings.worker_concurrency,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_soft_shutdown_timeout": 10,
        "worker_enable_soft_shutdown_on_idle": True,
        "worker_send_task_events": True,
        "beat_scheduler": "workers.beat:Scheduler",
        # A second beat takes over within the lock's time (workers/beat.py) and one interval: 35 s.
        "beat_max_loop_interval": 5,
        # Nothing here happens at a time of day, and UTC has neither an hour that comes twice nor one that never does.
        "timezone": "UTC",
        "enable_utc": True,
    }
