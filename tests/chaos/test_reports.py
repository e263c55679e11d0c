"""A minute of chaos: nothing that was acknowledged is lost, and nothing is delivered twice."""

import pytest

pytestmark = pytest.mark.xdist_group("processes")


def test_in_a_minute_of_kills_and_outages_nothing_is_lost_and_nothing_comes_twice(chaos):
    status, errors, printed = chaos("tests.chaos.reports", "--seconds", "60", "--seed", "5")
    assert errors == ""
    found = printed[-1]
    assert status == 0, found
    assert found["accepted"] >= 1900
    assert found["delivered"] == found["accepted"]
    assert all(found["kills"].values()), "each kind was killed at least once"
