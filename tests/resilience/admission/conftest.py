"""Admission over a real Redis, in the test's own event loop."""

import pytest

from config.settings import AdmissionSettings
from workers.resilience.admission import Guard, Overrides, Rules, SharedMachine


@pytest.fixture
def make_guard(coordination, ledger):
    """Makes what a process has for one upstream; several are several processes."""

    def make(clock=None, **settings):
        chosen = AdmissionSettings(**settings)
        shared = SharedMachine(coordination, Rules.of("udb", chosen), clock)
        return Guard(shared, Overrides(ledger), lease=chosen.open_for, slow_call=chosen.slow_call)

    return make
