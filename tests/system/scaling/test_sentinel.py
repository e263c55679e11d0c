"""Redis through Sentinel as the broker: after a failover the same processes go on with the new master."""

import pytest

from demo.installation import wait_for
from simulators import citizens

pytestmark = pytest.mark.xdist_group("processes")

SHOWN = {"ready", "empty"}


@pytest.fixture
def here(replicated, install):
    return install(replicated.url)


def test_pages_come_before_and_after_a_failover_and_no_process_is_restarted(here, replicated):
    first, second = (citizen.cpr for citizen in citizens.CITIZENS[:2])
    here.api.call("POST", "/v1/overview/refresh", cpr=first)
    wait_for(lambda: here.api.sections("udb", first) <= SHOWN, "the first page")
    replicated.kill_master()
    # A message may be lost with the old master; the sweep sends it again.
    here.api.call("POST", "/v1/overview/refresh", cpr=second)
    for register in ("udb", "su", "eindkomst", "ydelse"):
        wait_for(lambda register=register: here.api.sections(register, second) <= SHOWN, register, 120)
    with here.redis["broker"].client() as coordination:
        # The marks from before the failover must not count.
        coordination.delete(*coordination.keys("alive:*"))
    wait_for(lambda: here.api.call("GET", "/readyz").status_code == 200, "a worker for every queue", 120)
    assert all(process.runs for process in here.processes.values())
