"""A minute of chaos: no acknowledged report is lost, and none comes twice but after an unknown outcome, as it may."""

import pytest

pytestmark = pytest.mark.xdist_group("processes")


@pytest.mark.parametrize("vendor", [(), ("--idempotent",)], ids=["without_keys", "with_keys"])
def test_in_a_minute_of_kills_and_outages_nothing_is_lost_and_nothing_comes_twice(chaos, vendor):
    status, errors, printed = chaos("tests.system.chaos.reports", "--seconds", "60", "--seed", "5", *vendor)
    assert errors == ""
    found = printed[-1]
    assert status == 0, found
    assert found["accepted"] >= 1900
    assert found["delivered"] == found["accepted"]
    assert all(found["kills"].values()), "each kind was killed at least once"
    # Else the run has shown nothing of what is new without keys, and of what they are for.
    assert found["vendor_saw_duplicates" if vendor else "again_after_unknown"] > 0
