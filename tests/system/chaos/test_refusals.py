"""Each Redis server says no under load: no process ends, no page is wrong, nothing is lost or run again."""

import pytest

pytestmark = pytest.mark.xdist_group("processes")

SHORT = ("broker:READONLY", "ledger:BUSY", "cache:OOM")
"""One per server, each the one that does most there: all eighteen are `make chaos-refusals`."""


def test_each_server_refuses_for_some_seconds_and_all_goes_on_by_itself(chaos):
    status, errors, printed = chaos(
        "tests.system.chaos.refusals", "--seconds", "3", "--services", "udb", "booking_vendor", "--only", *SHORT
    )
    *refusals, found = printed
    assert (status, errors) == (0, ""), found
    assert [one["refusal"].replace(" ", ":") for one in refusals] == list(SHORT)
    assert found["reports"]["delivered"] == found["reports"]["accepted"] >= 9
    # Each refusal was met, so what is seen here is what follows from it.
    broker, ledger, cache = refusals
    assert broker["longest_silence"][1] > 2
    assert ledger["answers"]["POST /v1/fault-reports 503"]
    assert cache["sections"]["unavailable"]
