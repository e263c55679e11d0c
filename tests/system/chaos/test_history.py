"""The checker itself: it sees every way in which the promise could be broken."""

import pytest

from tests.system.chaos.history import Answer, History, Submission, holds, undelivered, verdict

ACCEPTED = Submission("a", Answer.ACCEPTED, ("1",))
REFUSED = Submission("r", Answer.REFUSED)
UNKNOWN = Submission("u", Answer.UNKNOWN)


def vendor(*entries):
    """Its list, from (key, text, how often received)."""
    return [
        {"key": key, "report": {"Fejltekst": text, "FejlTidspunkt": "then"}, "received": received}
        for key, text, received in entries
    ]


KEYLESS = None
"""What a vendor that knows no keys notes for the key."""


def broken(found):
    """What is broken of the promise, by name."""
    names = ("lost", "delivered_twice", "at_another_time", "refused_but_delivered")
    return {name: found[name] for name in names if found[name]}


@pytest.mark.parametrize(
    ("received", "problems"),
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
def test_every_broken_promise_is_seen(received, problems):
    found = verdict([ACCEPTED, REFUSED, UNKNOWN], received)
    assert broken(found) == problems
    assert holds(found) is not bool(problems)


@pytest.mark.parametrize(
    ("copies", "unknown", "repeats", "problems", "again"),
    [
        (1, {}, 1, {}, 0),
        (1, {"a": 2}, 1, {}, 0),
        (2, {"a": 1}, 1, {}, 1),
        (2, {}, 1, {"delivered_twice": 1}, 0),
        (2, {"u": 1}, 1, {"delivered_twice": 1}, 0),
        (2, {"a": 1}, 0, {"delivered_twice": 1}, 0),
        (3, {"a": 2}, 1, {"delivered_twice": 1}, 1),
        (3, {"a": 2}, 2, {}, 2),
        (3, {"a": 1}, 2, {"delivered_twice": 1}, 1),
    ],
)
def test_a_report_comes_again_only_after_an_unknown_outcome_and_no_more_often_than_it_may(
    copies, unknown, repeats, problems, again
):
    found = verdict([ACCEPTED], vendor(*[(KEYLESS, "a", 1)] * copies), unknown, repeats)
    assert (broken(found), found["again_after_unknown"]) == (problems, again)
    assert holds(found) is not bool(problems)


def test_a_repeat_that_the_vendor_cannot_tell_by_its_time_is_seen():
    received = vendor((KEYLESS, "a", 1), (KEYLESS, "a", 1))
    received[1]["report"]["FejlTidspunkt"] = "later"
    found = verdict([ACCEPTED], received, {"a": 1}, 1)
    assert broken(found) == {"at_another_time": 1}
    assert not holds(found)


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
    assert verdict(history.submissions(), [])["lost"] == 1
    assert undelivered(history.submissions(), []) == {"1"}
    assert undelivered(history.submissions(), vendor((KEYLESS, "a", 1))) == set()
