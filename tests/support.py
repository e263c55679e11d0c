"""What several tests put in the place of something larger."""

import secrets
import time

from config import celery as celery_config
from config import settings as settings_module
from config.settings import AdmissionSettings
from workers.resilience import errors
from workers.resilience.admission import Permit, Rules
from workers.resilience.admission.local import LocalMachine
from workers.resilience.admission.terms import Admitted, NoBudget, Outcome


def app_for_environment():
    """The Celery app of this process, publishing to the broker that the environment names now."""
    settings_module.settings.cache_clear()
    settings = settings_module.settings()
    from workers.app import app

    app.loader.import_default_modules()
    configuration = celery_config.configuration(settings)
    if app.conf.broker_url != configuration["broker_url"]:
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
        self.machine = LocalMachine(
            Rules.of(upstream, settings or AdmissionSettings()), lambda: time.monotonic_ns() // 10**6
        )

    @property
    def state(self):
        return self.machine.override or self.machine.state

    async def enter(self, *, is_retry):
        permit = secrets.token_hex(8)
        entry = self.machine.enter(permit, 60_000, is_retry=is_retry, believed=1000)
        if isinstance(entry, NoBudget):
            raise errors.RetryBudgetSpent
        if not isinstance(entry, Admitted):
            raise errors.CircuitOpen
        return Permit(permit, entry.generation, entry.at, self.machine)

    async def record(self, permit, error, took):
        outcome = Outcome.IGNORED
        if error is None:
            outcome = Outcome.OK
        elif isinstance(error, errors.WrongPerson):
            outcome = Outcome.WRONG_PERSON
        elif isinstance(error, errors.CallFailed) and error.counts:
            outcome = Outcome.FAILURE
        self.machine.record(permit.id, permit.generation, permit.entered, outcome)

    async def check(self):
        return None
