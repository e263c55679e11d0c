"""The stored form: keys, ids and values; and the reports that a former release stored are delivered by this one."""

import base64
import json
from datetime import timedelta
from pathlib import Path

import pytest

from domain.cpr import LOOKS_LIKE_CPR
from registerbro.fault_reports.model import DEAD_LETTERS, Content, State
from registerbro.fault_reports.stored_form import from_values, new_id, to_values
from tests.registerbro.fault_reports.conftest import Bridge

STORED = json.loads(Path(__file__).with_name("stored_by_0_2_0.json").read_text(encoding="utf-8"))
"""What the outbox of release 0.2.0 stored of reports in each state: its keys, with their values in base64."""
TEXT = "Kan ikke booke: æøå 😀"
"""The text of each of them."""
SEALED_WITH = base64.urlsafe_b64encode(b"k" * 32).decode()
LEASE = timedelta(seconds=15)


def test_no_id_looks_like_a_cpr_number():
    assert not any(LOOKS_LIKE_CPR.search(new_id()) for _ in range(5000))


@pytest.mark.parametrize(
    "content",
    [
        Content(TEXT),
        Content(TEXT, "/moedebooking", "4769/9018"),
        Content(TEXT, meeting="d2719a0e-0c5b-4f5e-8d1a-3f6f2b7c9e01"),
        Content(TEXT, "/x", "1", "4b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f", "d2719a0e-0c5b-4f5e-8d1a-3f6f2b7c9e01"),
    ],
)
def test_a_content_is_what_was_sealed(content):
    assert from_values(to_values(content)) == content


def test_a_content_without_offer_and_meeting_is_what_release_0_2_0_writes_and_reads():
    assert json.loads(to_values(Content(TEXT, "/moedebooking", "4769/9018"))) == [TEXT, "/moedebooking", "4769/9018"]
    assert from_values(b'["x", null, "4769"]') == Content("x", None, "4769")


async def restore(redis):
    """Puts the keys of the recording there."""

    def value(text):
        return base64.b64decode(text)

    for key, stored in STORED["keys"].items():
        match stored["type"], stored["value"]:
            case "hash", fields:
                await redis.hset(key, mapping={name: value(text) for name, text in fields.items()})
            case "list", items:
                await redis.rpush(key, *map(value, items))
            case "zset", members:
                await redis.zadd(key, members)


@pytest.fixture
async def upgraded(settings, make_settings, simulation, clock, empty_redis, ledger):
    """An installation of this release on the ledger of the former one, at the moment of the upgrade."""
    await restore(ledger.redis)
    clock.now = STORED["now"]
    it = Bridge(
        settings.model_copy(update={"sealing_keys": make_settings(SEALING_KEYS=SEALED_WITH).sealing_keys}),
        clock,
        empty_redis,
    )
    yield it
    await it.portal.close()


async def test_what_a_former_release_stored_is_read_as_it_was(upgraded):
    states = {name: (await upgraded.outbox.record(stored)).state for name, stored in STORED["reports"].items()}
    assert states == {
        "gave_up": State.GAVE_UP,
        "rejected": State.REJECTED,
        "delivered": State.DELIVERED,
        "waiting": State.ACCEPTED,
        "accepted": State.ACCEPTED,
        "accepted_with_context": State.ACCEPTED,
        "sending": State.SENDING,
    }
    assert {one.id for one in await upgraded.outbox.records(DEAD_LETTERS)} == {
        STORED["reports"][name] for name in ("gave_up", "rejected")
    }
    stats = await upgraded.outbox.stats()
    assert (sum(stats.reports.values()), stats.undecided, stats.sent_again) == (7, 0, 0)


@pytest.mark.parametrize("name", ["waiting", "accepted", "accepted_with_context", "sending", "gave_up", "rejected"])
async def test_what_a_former_release_stored_is_delivered_whole(upgraded, control, name):
    report = STORED["reports"][name]
    if name in DEAD_LETTERS:
        await upgraded.outbox.replay(report)
    record = await upgraded.deliver_when_due(report)
    assert record.state is State.DELIVERED
    (received,) = control.reports()
    assert received["report"]["Fejltekst"] == TEXT
    assert record.unknown == (name == "sending"), "nobody knows what became of the call of the former release's worker"


async def test_where_nothing_may_come_twice_a_report_that_a_former_release_was_sending_waits_for_an_operator(
    upgraded, control
):
    record = await upgraded.deliver_when_due(STORED["reports"]["sending"], repeat_unknown=0)
    assert record.needs_decision
    await upgraded.outbox.replay(record.id)
    assert (await upgraded.deliver(record.id)).state is State.DELIVERED


async def test_a_report_that_waits_to_be_sent_again_is_one_that_a_former_release_sends(outbox, accept, ledger):
    """Its workers may run beside ours for a while: they know the state accepted, and what is due."""
    report = await accept()
    await outbox.leave_unknown(await outbox.begin_delivery(report.id, LEASE), "timeout")
    assert await ledger.redis.hget(f"{{reports}}:report:{report.id}", "state") == b"accepted"
    assert await ledger.redis.zscore("{reports}:due", report.id) is not None
    assert (await outbox.record(report.id)).state is State.UNKNOWN_OUTCOME
