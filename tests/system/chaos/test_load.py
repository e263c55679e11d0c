"""The checker itself: it sees a task that is run again, a silent schedule, and a page that says what is not so."""

import json

import pytest

from domain.overview import UNAVAILABLE_TEXT
from tests.system.chaos.load import Run, run_again, runs_in, silences
from tests.system.chaos.pages import Seen

SWEEP = ("udb.sweep", "udb")


def notes(*lines):
    return [json.dumps([what, at, process, task_id, "udb.refresh", "udb"]) for what, at, process, task_id in lines]


def page(state, items=(), message=None, retry_after=None):
    section = {"id": "fgu", "state": state, "items": list(items), "message": message, "retry_after": retry_after}
    return {"overviews": [{"id": "education", "sections": [section]}]}


UNAVAILABLE = page("unavailable", message=UNAVAILABLE_TEXT, retry_after=5)


def jobs(*employers, end="2026-01-31"):
    return page("ready", [{"employer": name, "start": "2026-01-01", "end": end} for name in employers])


NUMBER = "Virksomhed med CVR-nr. 11111111"
READY, EMPTY = page("ready", [{"place": "a"}]), page("empty")


@pytest.mark.parametrize(
    ("lines", "again"),
    [
        ([("began", 1, 7, "a"), ("ended", 2, 7, "a")], {}),
        ([("began", 1, 7, "a"), ("began", 1, 7, "b")], {}),
        ([("began", 1, 7, "a"), ("began", 2, 8, "a"), ("ended", 3, 7, "a")], {"udb.refresh": 1}),
        ([("began", 1, 7, "a"), ("ended", 2, 7, "a"), ("began", 3, 7, "a")], {"udb.refresh": 1}),
        ([("ended", 1, 7, "a")], {}),
    ],
)
def test_a_message_that_is_run_again_is_seen(lines, again):
    assert run_again(runs_in(notes(*lines))) == again


def test_the_end_of_a_run_is_its_own():
    first, second = runs_in(notes(("began", 1, 7, "a"), ("began", 2, 8, "a"), ("ended", 3, 8, "a")))
    assert (first.ended, second.ended) == (None, 3)


@pytest.mark.parametrize(
    ("moments", "intervals"),
    [([5, 10, 15], 1.0), ([5, 15], 2.0), ([], 4.0), ([15], 3.0), ([1, 2, 5], 3.0), ([99], 4.0)],
)
def test_a_silence_is_measured_from_the_beginning_to_the_end(moments, intervals):
    runs = [Run(str(at), *SWEEP, at) for at in moments]
    assert silences(runs, 0, 20, ["udb"])["udb.sweep udb"] == intervals


def test_of_queues_without_a_worker_no_silence_is_told():
    assert {name.partition(" ")[2] for name in silences([], 0, 20, ["su", "su.bulk"])} == {"su", "su.bulk"}


@pytest.mark.parametrize(
    ("shown", "true", "is_wrong"),
    [
        (READY, READY, False),
        (EMPTY, EMPTY, False),
        (UNAVAILABLE, READY, False),
        (page("pending"), READY, False),
        (EMPTY, READY, True),
        (READY, EMPTY, True),
        (page("ready", [{"place": "b"}]), READY, True),
        (jobs(NUMBER), jobs("Bageriet"), False),
        (jobs("Bageriet"), jobs(NUMBER), False),
        (jobs(NUMBER, "Bageriet"), jobs("Bageriet", "Aage"), False),
        (jobs("Aage", NUMBER), jobs(NUMBER, "Bageriet"), False),
        (jobs(NUMBER), jobs("Bageriet", end="2026-02-28"), True),
        (jobs(NUMBER), jobs("Bageriet", "Bageriet"), True),
        (jobs(NUMBER, "Aage"), jobs("Bageriet", "Bo"), True),
        (jobs(NUMBER), jobs(NUMBER.replace("1", "2")), True),
        (jobs("Aage"), jobs("Bageriet"), True),
    ],
)
def test_a_page_that_shows_what_is_not_so_is_seen(shown, true, is_wrong):
    seen = Seen()
    assert seen.note(1, shown, 0.0) == []
    assert bool(seen.wrong({1: true})) is is_wrong


@pytest.mark.parametrize(
    "page",
    [
        page("unavailable", message=None, retry_after=5),
        page("unavailable", message=UNAVAILABLE_TEXT),
        page("unavailable", [{}], UNAVAILABLE_TEXT, 5),
    ],
)
def test_a_section_that_is_unavailable_and_does_not_say_so_is_seen(page):
    assert Seen().note(1, page, 0.0)


def test_how_long_a_section_is_pending_is_seen():
    seen = Seen()
    for now, shown in [(0, READY), (1, page("pending")), (4, page("pending")), (5, READY), (6, page("pending"))]:
        seen.note(1, shown, now)
    assert seen.longest_pending == 3
