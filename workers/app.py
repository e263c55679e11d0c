"""The Celery app: `celery -A workers.app worker -Q udb,udb.bulk`, `… beat`, `… flower`."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import structlog
from celery import Celery, signals

from config import celery as celery_config
from config import logging
from config.settings import SettingsError, environment_problems, settings, without_credentials
from workers import audit, collector, control, metrics, pool, queues, runtime, schedule, trace, tracing, transport
from workers.connections import REDIS_DOWN
from workers.defects import Task
from workers.eindkomst.security import Security
from workers.resilience.certificates import Certificates
from workers.trace import Kind

log = structlog.get_logger()

if settings().broker_transport == "atomic":
    transport.install()
# Flower reads its options there, unless somebody names another file: it must not come up open to everybody.
os.environ.setdefault("FLOWER_CONF", str(Path(__file__).with_name("flower.py")))


class App(Celery):  # type: ignore[misc] # it has no types
    """Celery's app, whose configuration tells where the broker is; its connections alone know the password."""

    def _connection(self, url: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Celery's own
        real = settings().broker_url.get_secret_value()
        return super()._connection(real if url == without_credentials(real) else url, *args, **kwargs)


app = App("registerbro", task_cls=Task)
app.config_from_object(celery_config.configuration(settings()) | {"beat_schedule": schedule.entries()})
app.steps["consumer"].add(pool.EventsTogether)
app.set_default()  # "current" is per thread, and messages are sent from several


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    logging.configure(settings().log_level)


def _check_certificates(name: str) -> None:
    """Raises SettingsError when a certificate cannot be read, or not be used as it is set, that `name` calls with."""
    for upstream in (name, *settings().upstream(name).also_calls):
        certificates = Certificates.of(settings(), upstream)
        if upstream == "eindkomst":
            Security.of(certificates, settings().eindkomst).check()


@signals.worker_init.connect
def _open_runtime(sender: Any, **_: object) -> None:  # noqa: ANN401 - Celery's worker, which has no types
    """Opens what the process owns, once it is known to have what its queues need."""
    for problem in environment_problems():
        log.warning("setting_unknown", setting=problem)
    asks = False
    consumed = sender.app.amqp.queues.consume_from.keys()
    try:
        for name, queues in celery_config.WORKERS.items():
            if consumed & set(queues):
                settings().require(name)
                _check_certificates(name)
                if settings().upstream(name).looks_up_citizens:
                    asks = True
                    audit.usable(settings())
        _at_end.callback(tracing.enable(settings(), "registerbro-worker"))
    except SettingsError as error:
        raise SystemExit(f"registerbro: {error}") from None
    process = runtime.open(settings())
    process.submit(process.services.overrides.keep_moving())
    if asks:
        process.submit(process.services.journal.keep_tidy())
    if consumed & set(celery_config.WORKERS[celery_config.BOOKING_VENDOR]):
        try:
            process.run(process.services.ledger.check())
        except REDIS_DOWN as error:
            # It may be better in a minute, and each new connection is looked at again.
            log.critical("ledger_not_usable", detail=str(error))


@signals.worker_init.connect
def _only_answer(sender: Any, **_: object) -> None:  # noqa: ANN401 - Celery's worker, which has no types
    """What others say on the broker moves this worker to nothing but an answer."""
    try:
        control.restrict(settings().remote_control)
    except SettingsError as error:
        raise SystemExit(f"registerbro: {error}") from None
    control.leave_others_alone(sender.options)


@signals.worker_init.connect
@signals.beat_init.connect
def _serve_metrics(**_: object) -> None:
    try:
        metrics.serve(settings().metrics_host, settings().metrics_port)
    except SettingsError as error:
        raise SystemExit(f"registerbro: {error}") from None


@signals.before_task_publish.connect
def _stamp(headers: dict[str, Any], **_: object) -> None:
    queues.stamp(headers)
    trace.inject(headers)


_at_end = ExitStack()
_running: dict[str, ExitStack] = {}
"""The spans of the tasks that run, by task id: Celery tells of a task's beginning and of its end, in its thread."""


@signals.task_prerun.connect
def _open_span(task_id: str, task: Any, **_: object) -> None:  # noqa: ANN401 - a Celery task
    came_with = trace.parse((task.request.headers or {}).get(trace.HEADER))
    opened = _running[task_id] = ExitStack()
    opened.enter_context(trace.span(f"run {task.name}", Kind.CONSUMER, came_with))


@signals.task_postrun.connect
def _close_span(task_id: str, **_: object) -> None:
    _running.pop(task_id).close()


@signals.worker_ready.connect
def _tell_that_it_is_ready(sender: Any, **_: object) -> None:  # noqa: ANN401 - Celery's consumer
    collector.settle()
    log.info("worker_ready", queues=sorted(sender.app.amqp.queues.consume_from))


@signals.worker_shutdown.connect
def _close_runtime(**_: object) -> None:
    runtime.close()
    _at_end.close()
