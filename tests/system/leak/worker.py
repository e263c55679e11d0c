"""The real Celery app, in which some calls end in a defect, and which lets a number out when it is asked to.

`celery -A tests.system.leak.worker worker …` in the place of `-A workers.app`.
"""

import functools
import logging
import sys
import tempfile
from contextvars import ContextVar

from celery import signals
from prometheus_client import Counter

import registerbro.upstreams.dfdg_protocol
import workers.booking_vendor.client
import workers.eindkomst.tasks
import workers.udb.tasks
from domain.cpr import Cpr
from registerbro.storage.cache.entries import Entries
from registerbro.telemetry import trace
from tests.system.leak import frames
from tests.system.leak.plants import (
    ARGUMENT_TASK,
    CRASHES,
    DEFECT,
    NUMBER,
    SECRET_TEXTS,
    SIMPLE,
    TASK,
    TEXTS,
    WAYS,
    Clumsy,
)
from workers.app import app
from workers.booking_vendor import wire
from workers.process import current

__all__ = ["app"]


@signals.worker_ready.connect
def _install(**_):
    frames.install()


def _breaks_in_the_rules(module):
    """The rules of a register fail over one citizen, in the middle of what they know of them."""
    real_fetch, real_normalise, asked = module.fetch, module.normalise, ContextVar("asked")

    async def fetch(services, cpr):
        asked.set(cpr.digits)
        return await real_fetch(services, cpr)

    @functools.wraps(real_normalise)
    def normalise(*answer):
        if asked.get() == CRASHES:
            raise Clumsy(CRASHES)
        return real_normalise(*answer)

    object.__setattr__(module.REGISTER, "fetch", fetch)
    module.normalise = normalise


def _breaks_in_the_answer():
    """So does the model of what a register answers."""
    real = registerbro.upstreams.dfdg_protocol.validated

    def validated(model, values):
        if isinstance(values, dict) and values.get("civilRegistrationIdentifier") == CRASHES and "forloeb" in values:
            raise Clumsy(CRASHES)
        return real(model, values)

    registerbro.upstreams.dfdg_protocol.validated = validated


def _breaks_in_the_cache():
    """So does storing; which is after all that is caught, so that the task itself fails and Celery tells of it."""
    real = Entries.store

    async def store(self, citizen_id, register, sections, **kept):
        if register == "ydelse":
            process = current.event_loop().services
            if citizen_id == process.citizens.id_of(Cpr.parse(CRASHES)):
                raise Clumsy(CRASHES)
        return await real(self, citizen_id, register, sections, **kept)

    Entries.store = store


def _breaks_over_a_report():
    real = wire.fejlmelding

    def fejlmelding(accepted_at, content, codes):
        if DEFECT in content.text:
            raise Clumsy(content.text)
        return real(accepted_at, content, codes)

    workers.booking_vendor.client.wire.fejlmelding = fejlmelding


for _module in (workers.udb.tasks, workers.eindkomst.tasks):
    _breaks_in_the_rules(_module)
_breaks_in_the_answer()
_breaks_in_the_cache()
_breaks_over_a_report()

_PLANTED = Counter("leak_planted_total", "What the leak test must find", ["way"])


@app.task(name=ARGUMENT_TASK)
def argument(*_):
    """What it was given is in the message, in Celery's events and in Flower."""


@app.task(name=TASK)
def plant():
    """Lets the number out through every channel that a worker has."""
    _into_the_log()
    for text in (*SIMPLE.values(), *SECRET_TEXTS):
        _PLANTED.labels(text).inc()
    with tempfile.NamedTemporaryFile("wb", delete=False) as file:
        file.write(b"\n".join([*WAYS.values(), *map(str.encode, SECRET_TEXTS)]))
    with trace.span("leak") as span:
        span.set_attributes(
            **{f"way{number}": text for number, text in enumerate((*TEXTS.values(), *SECRET_TEXTS))}, whole=int(NUMBER)
        )
    current.event_loop().run(_into_redis(current.event_loop().services))
    _into_frames([*SIMPLE.values(), *SECRET_TEXTS])


def _into_the_log():
    """Past the redaction: a library with a handler of its own does that."""
    log = logging.getLogger("leak")
    log.propagate = False
    log.addHandler(logging.StreamHandler(sys.stderr))
    # The number last, as whoever waits for all of it looks for that.
    for text in (*SECRET_TEXTS, *TEXTS.values()):
        log.warning("about %s", text)


async def _into_redis(services):
    for text in (*TEXTS.values(), *SECRET_TEXTS):
        await services.cache.set(f"leak:{text}", 1)
        await services.ledger.redis.set(f"leak:{text}", 1)
    await services.ledger.redis.rpush("leak:list", int(NUMBER))


def _into_frames(numbers):
    try:
        raise LookupError(len(numbers))
    except LookupError:
        logging.getLogger(__name__).warning("frames")
