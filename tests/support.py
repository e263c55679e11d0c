"""What several tests put in the place of something larger."""

import os
import secrets
import time
from datetime import date, timedelta

from config import celery as celery_config
from config import settings as settings_module
from config.settings import AdmissionSettings
from redis_admission import Permit
from redis_admission.local_state import LocalState
from redis_admission.model import Admitted, NoBudget, Rules
from registerbro.upstreams import errors
from registerbro.upstreams.admission import limits_of, outcome_of


class SteppedClock:
    """A server's time in milliseconds since 1970, which only a test moves on."""

    def __init__(self, now: int = 1_678_695_300_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def pass_(self, **duration: float) -> None:
        """Moves it on by a timedelta's keywords."""
        self.now += round(timedelta(**duration).total_seconds() * 1000)


def group_12_until(today: date) -> str:
    """A rules file in which the target group is contact group 12 until today, and group 40 from tomorrow on."""
    return f"""
[[target_group]]
to = {today}
[[target_group.group]]
code = 12

[[target_group]]
from = {today + timedelta(days=1)}
[[target_group.group]]
code = 40
"""


def examples(many: int, least: int = 10) -> int:
    """The number of examples for a property that deserves `many`: a fifth of them, unless `EXAMPLES=many` is set.

    A fault that a fifth would miss is found by `make test-system`, and not by each run of `make test`.
    """
    return many if os.environ.get("EXAMPLES") == "many" else max(least, many // 5)


def app_for_environment():
    """The Celery app of this process, publishing to the broker that the environment names now."""
    settings_module.settings.cache_clear()
    settings = settings_module.settings()
    from workers.app import app

    app.loader.import_default_modules()
    configuration = celery_config.configuration(settings)
    # kombu has one pool of connections to a broker for all apps of a process, and another test may have closed it.
    is_closed = app._pool is not None and app._pool._closed
    if is_closed or app.conf.broker_url != configuration["broker_url"]:
        app.conf.update(configuration)
        # Forgets the connections to another test's broker, as in a process that was forked.
        app._after_fork()
    # A worker that another test had in this process made its own app the current one.
    app.set_default()
    app.set_current()
    return app


class ProcessAdmission:
    """Admission by the machine of this process alone, for tests that are about something else and need no Redis."""

    def __init__(self, upstream="test", settings=None):
        limits = limits_of(settings or AdmissionSettings(), timedelta(minutes=1))
        self.machine = LocalState(Rules.of(upstream, limits), lambda: time.monotonic_ns() // 10**6)

    @property
    def state(self):
        return self.machine.override or self.machine.state

    async def enter(self, *, is_retry):
        permit = secrets.token_hex(8)
        entry = self.machine.enter(permit, 60_000, is_retry=is_retry, waiter_ttl=1000)
        if isinstance(entry, NoBudget):
            raise errors.RetryBudgetSpent
        if not isinstance(entry, Admitted):
            raise errors.CircuitOpen
        return Permit(permit, entry.generation, entry.at, self.machine)

    async def record(self, permit, error, took):
        self.machine.record(permit.id, permit.generation, permit.entered, outcome_of(error))

    async def check(self):
        return None
