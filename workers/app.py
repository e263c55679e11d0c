"""The Celery app: `celery -A workers.app worker -Q udb,udb.bulk`, `… beat`, `… flower`."""

import os
from contextlib import ExitStack
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import structlog
from celery import signals

from config import celery as celery_config
from config import logging
from config.settings import SettingsError, environment_problems, settings
from domain.overview import JOBSEARCH
from registerbro import audit_log, gc_tuning, rules
from registerbro.messaging.celery_app import app
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.telemetry import metrics, otel, trace
from registerbro.telemetry.trace import Kind
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.ws_security import Security
from workers.jobsearch import job_titles
from workers.process import beat_schedule, current, event_batching, remote_control, restart_log

log = structlog.get_logger()

# Flower reads its options there, unless another file is named: it must not come up without a log-in.
os.environ.setdefault("FLOWER_CONF", str(Path(__file__).with_name("flower.py")))


app.conf.beat_schedule = beat_schedule.entries()
app.steps["consumer"].add(event_batching.EventBatcher)


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    logging.configure(settings().log_level)
    restart_log.limit()


def _check_certificates(name: str) -> None:
    """Raises SettingsError when a certificate cannot be read, or not be used as it is set, that `name` calls with."""
    for upstream in (name, *settings().upstream(name).also_calls):
        certificates = Certificates.of(settings(), upstream)
        if upstream == "eindkomst":
            Security.of(certificates, settings().eindkomst).check()


@signals.worker_init.connect
def _open_runtime(sender: Any, **_: object) -> None:  # noqa: ANN401 - Celery's worker, which has no types
    """Opens the process's services, once its settings are known to suffice for its queues."""
    for problem in environment_problems():
        log.warning("setting_unknown", setting=problem)
    asks = False
    consumed = sender.app.amqp.queues.consume_from.keys()
    try:
        for name, queues in celery_config.WORKERS.items():
            if consumed & set(queues):
                settings().require(name)
                _check_certificates(name)
                if name == JOBSEARCH:
                    job_titles.current(settings().jobsearch)
                if settings().upstream(name).looks_up_citizens:
                    asks = True
                    audit_log.usable(settings())
        rules.usable(settings())
        _at_end.callback(otel.enable(settings(), "registerbro-worker"))
    except SettingsError as error:
        raise SystemExit(f"registerbro: {error}") from None
    process = current.open(settings())
    # Opened now, so that a file that is refused later leaves these in force.
    process.services.rules.now()
    process.submit(process.services.overrides.keep_moving())
    if asks:
        process.submit(process.services.audit_log.keep_tidy())
    if consumed & set(celery_config.WORKERS[celery_config.BOOKING_VENDOR]):
        try:
            process.run(process.services.ledger.check())
        except REDIS_DOWN as error:
            # It may be better in a minute, and each new connection is looked at again.
            log.critical("ledger_not_usable", detail=str(error))


@signals.worker_init.connect
def _restrict_remote_control(sender: Any, **_: object) -> None:  # noqa: ANN401 - Celery's worker, which has no types
    """Restricts remote control: a message from another process makes this worker answer, and do nothing else."""
    try:
        remote_control.restrict(settings().remote_control)
    except SettingsError as error:
        raise SystemExit(f"registerbro: {error}") from None
    remote_control.leave_others_alone(sender.options)


@signals.beat_init.connect
def _check_rules(**_: object) -> None:
    try:
        rules.usable(settings())
    except SettingsError as error:
        raise SystemExit(f"registerbro: {error}") from None


@signals.worker_init.connect
@signals.beat_init.connect
def _serve_metrics(**_: object) -> None:
    try:
        metrics.serve(settings().metrics_host, settings().metrics_port)
    except SettingsError as error:
        raise SystemExit(f"registerbro: {error}") from None


_at_end = ExitStack()
_span: ContextVar[ExitStack] = ContextVar("span")
"""Open span of the task that runs in this context: its start and its end are signalled in the same one."""


@signals.task_prerun.connect
def _open_span(task: Any, **_: object) -> None:  # noqa: ANN401 - a Celery task
    came_with = trace.parse((task.request.headers or {}).get(trace.HEADER))
    opened = ExitStack()
    opened.enter_context(trace.span(f"run {task.name}", Kind.CONSUMER, came_with))
    _span.set(opened)


@signals.task_postrun.connect
def _close_span(**_: object) -> None:
    _span.get().close()


@signals.worker_ready.connect
def _log_ready(sender: Any, **_: object) -> None:  # noqa: ANN401 - Celery's consumer
    gc_tuning.settle()
    log.info("worker_ready", queues=sorted(sender.app.amqp.queues.consume_from))


@signals.worker_shutdown.connect
def _close_runtime(**_: object) -> None:
    current.close()
    _at_end.close()
