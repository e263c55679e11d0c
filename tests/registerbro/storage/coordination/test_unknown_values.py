"""What no table knows is recorded for all processes: each value, how often, and nothing of a citizen."""

from registerbro.storage.coordination import unknown_values
from registerbro.storage.coordination.unknown_values import MOST_VALUES, PORTAL, record, status


async def test_values_are_counted_by_source(coordination):
    assert await status(coordination) == {}
    await record(coordination, "ydelse", {"ydelsestype NYT": 2})
    await record(coordination, "ydelse", {"ydelsestype NYT": 1, "ydelsestype NYERE": 1})
    await record(coordination, PORTAL, {"contact_group 40": 1})
    found = await status(coordination)
    assert {source: one.values for source, one in found.items()} == {
        "ydelse": {"ydelsestype NYT": 3, "ydelsestype NYERE": 1}, PORTAL: {"contact_group 40": 1},
    }  # fmt: skip
    assert found["ydelse"].told == "ydelsestype NYERE (once), ydelsestype NYT (3 times)"
    assert found["ydelse"].since <= found["ydelse"].last


async def test_of_many_values_fifty_are_named_and_the_others_counted(coordination):
    await record(coordination, "udb", {f"type {number}": 1 for number in range(1000)})
    await record(coordination, "udb", {"type 0": 1, "type 5000": 4})
    found = (await status(coordination))["udb"]
    assert (len(found.values), found.values["type 0"]) == (MOST_VALUES, 2)
    assert found.more == 1000 - MOST_VALUES + 4
    assert found.told.endswith(f", others ({found.more} times)")


async def test_a_day_without_any_ends_the_record(coordination):
    await record(coordination, "udb", {"type 1": 1})
    assert 86_300_000 < await coordination.pttl("unknown:udb") <= 86_400_000


async def test_what_cannot_be_recorded_is_one_line(coordination, logged):
    await coordination.set("unknown:udb", "not a hash")
    await unknown_values.record(coordination, "udb", {"type 1": 1})
    assert [(line["event"], line["source"]) for line in logged] == [("unknown_values_not_noted", "udb")]
