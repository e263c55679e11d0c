"""Contact groups over time: the register tells those that are open now, and what earlier looks have shown is kept."""

from datetime import timedelta

import pytest

from domain.service_windows import danish_today
from simulators import citizens

FLEKSJOB = citizens.FLEKSJOB_ENDED.cpr
FIRST = "2020-01-01"


@pytest.fixture
def register():
    return "visitering"


@pytest.fixture
def look(bridge, control):
    """Looks at the register while these groups are open; the contact groups that are known then."""

    async def look(*groups):
        control.set_contact_groups(FLEKSJOB, groups)
        await bridge.services.cache.flushall()
        entry, sections = await bridge.refresh(FLEKSJOB)
        assert entry.failure is None
        return [(one["group"], one["start"], one["end"]) for one in sections["contact_groups"].items]

    return look


async def test_a_group_that_ended_before_the_first_look_is_not_known(look):
    assert await look({"group": 7, "start": FIRST, "end": str(danish_today() - timedelta(days=10))}) == []


async def test_a_group_that_was_seen_open_and_is_told_no_more_is_kept_with_an_end(look):
    assert await look({"group": 7, "start": FIRST}) == [(7, FIRST, None)]
    ((group, start, end),) = await look()
    assert (group, start) == (7, FIRST)
    assert end in {str(danish_today()), str(danish_today() - timedelta(days=1))}


async def test_a_group_that_follows_another_stands_beside_it(look):
    today = str(danish_today())
    await look({"group": 7, "start": FIRST})
    (seven, two) = await look({"group": 2})
    assert seven[0] == 7
    assert seven[2] is not None
    assert two == (2, today, None)


async def test_a_group_that_is_told_by_every_look_stays_open(look):
    assert await look({"group": 2, "start": FIRST}) == await look({"group": 2, "start": FIRST}) == [(2, FIRST, None)]
