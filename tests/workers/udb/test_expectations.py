"""What Ungedatabasen is expected to answer: the fields of its wire models, each with its mark; and two writes."""

from registerbro.conformance.expectations import Mark
from tests.expectations import marks_of
from workers.udb import wire
from workers.udb.expectations import OPERATIONS

SUBSCRIPTION, EVENTS, CANCELLATION = OPERATIONS


def test_everything_but_the_citizens_header_is_assumed():
    assert set(marks_of(EVENTS.expected).values()) == {Mark.ASSUMED}


def test_the_lists_of_codes_are_those_that_the_reading_knows():
    assert EVENTS.expected.find("haendelser").find("haendelsestype").codes == wire.KNOWN["haendelsestype"]


def test_subscribing_and_cancelling_are_writes_around_the_events():
    assert [one.writes for one in OPERATIONS] == [True, False, True]
    assert SUBSCRIPTION.refusal_codes == CANCELLATION.refusal_codes >= wire.REFUSALS.keys()
