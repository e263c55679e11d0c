"""The checker itself: it sees every way in which the promise could be broken."""

import pytest

from tests.chaos.history import Answer, History, Submission, holds, undelivered, verdict

ACCEPTED = Submission("a", Answer.ACCEPTED, ("1",))
REFUSED = Submission("r", Answer.REFUSED)
UNKNOWN = Submission("u", Answer.UNKNOWN)


def vendor(*entries):
    """Its list, from (key, text, how often received)."""
    return {key: {"report": {"beskrivelse": text}, "received": received} for key, text, received in entries}


@pytest.mark.parametrize(
    ("received", "broken"),
    [
        (vendor(("1", "a", 1)), {}),
        (vendor(("1", "a", 5)), {}),
        (vendor(("1", "a", 1), ("2", "u", 1)), {}),
        (vendor(), {"lost": 1}),
        (vendor(("1", "b", 1)), {"lost": 1, "refused_but_delivered": 1}),
        (vendor(("2", "a", 1)), {"lost": 1}),
        (vendor(("1", "a", 1), ("2", "a", 1)), {"delivered_twice": 1}),
        (vendor(("1", "a", 1), ("2", "u", 1), ("3", "u", 1)), {"delivered_twice": 1}),
        (vendor(("1", "a", 1), ("2", "r", 1)), {"refused_but_delivered": 1}),
        (vendor(("1", "a", 1), ("2", "nobody wrote this", 1)), {"refused_but_delivered": 1}),
    ],
)
def test_every_broken_promise_is_seen(received, broken):
    found = verdict([ACCEPTED, REFUSED, UNKNOWN], received)
    assert {name: found[name] for name in ("lost", "delivered_twice", "refused_but_delivered") if found[name]} == broken
    assert holds(found) is not bool(broken)


def test_what_the_vendor_saw_more_than_once_is_counted_apart():
    found = verdict([ACCEPTED], vendor(("1", "a", 3)))
    assert (found["vendor_saw_duplicates"], found["accepted"], found["delivered"]) == (2, 1, 1)


def test_two_clicks_that_were_given_two_reports_are_a_double_delivery():
    clicks = [Submission("a", Answer.ACCEPTED, ("1",)), Submission("a", Answer.ACCEPTED, ("2",))]
    assert verdict(clicks, vendor(("1", "a", 1), ("2", "a", 1)))["delivered_twice"] == 1


def test_what_is_noted_is_read_back(tmp_path):
    history = History(tmp_path / "history")
    history.note(ACCEPTED)
    history.note(REFUSED)
    assert [(one, type(one.answer)) for one in history.submissions()] == [(ACCEPTED, Answer), (REFUSED, Answer)]
    assert verdict(history.submissions(), {})["lost"] == 1
    assert undelivered(history.submissions(), {}) == {"1"}
