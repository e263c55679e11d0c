"""The schedule as processes: a page that was asked for once stays fresh, also when its worker is killed."""

from datetime import date

import pytest

from demo.installation import installation, wait_for
from domain.citizen import Citizen
from domain.cpr import Cpr
from registerbro import refresh
from registerbro.refresh.request import Reason
from registerbro.services import Services
from simulators import citizens
from simulators.control import Control

pytestmark = pytest.mark.xdist_group("processes")

ME = Citizen(Cpr.parse(citizens.EXAMPLE.cpr), frozenset({12}), education_order=False)
SOON = {"SU__FRESH_FOR": "PT4S", "SU__REFRESH_AHEAD": "0.9"}


@pytest.fixture
def here(tmp_path, empty_redis):
    with installation(tmp_path, SOON) as it:
        it.use_redis(empty_redis).start_simulators()
        it.start_beat()
        yield it


@pytest.fixture
async def asked_once(here, app, make_settings):
    """A citizen has asked for their page, and nobody does so again."""
    from config.settings import PREFIX

    services = Services(make_settings(**{name.removeprefix(PREFIX): value for name, value in here.environment.items()}))
    await refresh.request_due(services, ME, ["su"], reason=Reason.CITIZEN, today=date(2026, 11, 23))
    yield
    await services.close()


def test_a_page_that_was_asked_for_once_is_refreshed_again_and_again_and_by_the_next_worker(here, asked_once):
    here.start_worker("su")
    with Control(here.upstreams) as control:
        wait_for(lambda: control.calls("su").total >= 3, "the schedule")
        here.processes["worker-su"].kill()
        before = control.calls("su").total
        here.start_worker("su")
        wait_for(lambda: control.calls("su").total >= before + 2, "the schedule after the kill")
