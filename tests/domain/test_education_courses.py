"""Folding of events into courses (R2): each rule, and all of them against a slow formulation that shares no code."""

import re
from datetime import date
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.education_courses import Course, Event, Kind, fold
from domain.overview import Status

A, D, I, N, C = Kind.ADMISSION, Kind.DANGER, Kind.INTERRUPTION, Kind.NEVER_MET, Kind.COMPLETION  # noqa: E741
DAYS = [date(2020, month, 1) for month in range(1, 13)]


def events(*told, course="Hf at NEXT"):
    """Events in the order of time, a month apart: kinds, each alone or with a speciality."""
    of = [one if isinstance(one, tuple) else (one, None) for one in told]
    return [
        Event(f"{course} {number}", kind, DAYS[number], course, "details", speciality)
        for number, (kind, speciality) in enumerate(of)
    ]


def shown(*told):
    """Status, start and end of each course, where days are the places of the events."""
    return [
        (one.status.value, *(None if day is None else DAYS.index(day) for day in (one.start, one.end)))
        for one in fold(events(*told))
    ]


@pytest.mark.parametrize(
    ("told", "courses"),
    [
        ([], []),
        ([A], [("ongoing", 0, None)]),
        ([A, I], [("interrupted", 0, 1)]),
        ([A, C], [("completed", 0, 1)]),
        ([A, D], [("ongoing", 0, None)]),
        ([A, A, A, D], [("ongoing", 0, None)]),
        ([A, A, C], [("completed", 0, 2)]),
        ([A, I, A], [("ongoing", 0, None)]),
        ([A, I, A, I], [("interrupted", 0, 3)]),
        ([A, I, C], [("completed", 0, 2)]),
        ([A, I, D], [("interrupted", 0, 1)]),
        # What is completed stays completed; a later admission is another course.
        ([A, C, I], [("completed", 0, 1)]),
        ([A, C, D, N], [("completed", 0, 1)]),
        ([A, C, C], [("completed", 0, 2)]),
        ([A, C, A], [("completed", 0, 1), ("ongoing", 2, None)]),
        ([A, C, A, I, C], [("completed", 0, 1), ("completed", 2, 4)]),
        # »Ej mødt«.
        ([A, N], []),
        ([A, A, N], []),
        ([N], []),
        ([A, N, A], [("ongoing", 2, None)]),
        ([A, I, A, N], [("interrupted", 0, 1)]),
        ([A, I, N], []),
        ([I, A, I, A, N, N], [("interrupted", None, 0)]),
        ([A, C, A, N], [("completed", 0, 1)]),
        ([A, N, C], [("completed", 0, 2)]),
        # Of what began before the register tells of it, the start is unknown (R5).
        ([I], [("interrupted", None, 0)]),
        ([C], [("completed", None, 0)]),
        ([D], [("ongoing", None, None)]),
        ([D, A], [("ongoing", None, None)]),
    ],
)
def test_a_course_is_what_its_events_come_to(told, courses):
    assert shown(*told) == courses


def test_the_latest_speciality_is_shown_and_one_that_is_not_told_stays():
    (course,) = fold(events((A, None), (A, "AGU"), (A, "PGU"), (D, None), (C, None)))
    assert course == Course("details", Status.COMPLETED, DAYS[0], DAYS[4], "PGU")


def test_each_education_at_each_institution_is_a_course_of_its_own():
    told = [*events(A, C), *events(A, I, course="Hf at Rybners"), *events(A, course="Htx at NEXT")]
    assert sorted(one.status for one in fold(told)) == ["completed", "interrupted", "ongoing"]


def test_the_details_are_those_of_the_latest_event():
    told = [Event("1", A, DAYS[0], "Hf", "the old name"), Event("2", C, DAYS[1], "Hf", "the new name")]
    assert [one.details for one in fold(told[::-1])] == ["the new name"]


def test_events_of_one_day_are_in_the_order_of_their_kinds():
    told = [Event(str(kind), kind, DAYS[0], "Hf", "details") for kind in (C, I, D, A)]
    assert [one.status for one in fold(told)] == [Status.COMPLETED]
    assert [one.status for one in fold(told[1:])] == [Status.INTERRUPTED]


def test_an_event_with_the_id_of_another_counts_once_and_the_later_day_is_the_corrected_one():
    told = [Event("1", A, DAYS[0], "Hf", "x"), Event("2", I, DAYS[3], "Hf", "x"), Event("2", I, DAYS[5], "Hf", "x")]
    for order in permutations(told):
        assert fold(order) == [Course("x", Status.INTERRUPTED, DAYS[0], DAYS[5], None)]
    moved = [Event("1", A, DAYS[0], "Hf", "x"), Event("1", A, DAYS[1], "Htx", "x")]
    assert [one.start for one in fold(moved)] == [DAYS[1]]


def test_events_without_an_id_are_told_apart_by_all_that_they_say():
    told = [Event("", A, DAYS[0], "Hf", "x"), Event("", A, DAYS[0], "Hf", "x"), Event("", C, DAYS[1], "Hf", "x")]
    assert fold(told) == [Course("x", Status.COMPLETED, DAYS[0], DAYS[1], None)]


@pytest.mark.parametrize("kind", [I, C])
def test_an_end_without_a_date_comes_last_and_an_admission_without_one_first(kind):
    told = [Event("1", A, DAYS[3], "Hf", "x"), Event("2", kind, None, "Hf", "x"), Event("3", A, None, "Hf", "x")]
    for order in permutations(told):
        assert [(one.start, one.end, one.status is Status.ONGOING) for one in fold(order)] == [(None, None, False)]


# --- The same, slowly: by patterns over a text with one letter per event ----------------------------------------------

LETTERS = {A: "A", D: "D", I: "I", N: "N", C: "C"}


def by_patterns(told):
    """The courses of one education, as status, place of the start and place of the end: a second formulation.

    The letters are cut behind each completion and all that follows it up to the next admission.
    """
    text = "".join(LETTERS[kind] for kind in told)
    pieces = [piece for piece in re.finditer(r"[^C]*(?:C[^A]*)?", text) if piece[0]]
    return [found for piece in pieces if (found := of_piece(piece[0], piece.start()))]


def of_piece(text, offset):
    before, completed, after = text.partition("C")
    kept, gone = without_never_met([(letter, offset + place) for place, letter in enumerate(before)], [])
    if completed:
        return "completed", start_of(kept or gone), offset + len(before) + (completed + after).rindex("C")
    if not kept:
        return None
    ends = [(letter, place) for letter, place in kept if letter in "AI"][-1:]
    if ends and ends[0][0] == "I":
        return "interrupted", start_of(kept), ends[0][1]
    return "ongoing", start_of(kept), None


def without_never_met(letters, gone):
    """The letters without each attempt that ends with N; and the attempt that was the last to go.

    An attempt begins with the first letter, or with an admission after an interruption.
    """
    for at, (letter, _) in enumerate(letters):
        if letter == "N":
            text = "".join(before for before, _ in letters[:at])
            begins = max((again.end() for again in re.finditer(r"I[ID]*(?=A)", text)), default=0)
            return without_never_met(letters[:begins] + letters[at + 1 :], letters[begins:at] or gone)
    return letters, gone


def start_of(letters):
    return letters[0][1] if letters and letters[0][0] == "A" else None


KINDS = st.lists(st.sampled_from([A, D, I, N, C]), min_size=6, max_size=11)


def test_every_short_history_is_what_the_patterns_say():
    short = [told for length in range(6) for told in product([A, D, I, N, C], repeat=length)]
    assert [told for told in short if shown(*told) != by_patterns(told)] == []


@given(KINDS)
def test_a_long_history_is_what_the_patterns_say(told):
    assert shown(*told) == by_patterns(told)


@given(
    st.lists(
        st.builds(
            Event,
            id=st.sampled_from(["", "1", "2", "3", "4", "5"]),
            kind=st.sampled_from(list(Kind)),
            day=st.sampled_from([None, *DAYS[:4]]),
            course=st.sampled_from(["Hf", "Htx"]),
            details=st.sampled_from(["x", "y"]),
            speciality=st.sampled_from([None, "AGU", "PGU"]),
        ),
        max_size=7,
    ).flatmap(lambda told: st.tuples(st.just(told), st.permutations(told), st.lists(st.sampled_from(told or [None]))))
)
def test_any_order_of_arrival_and_any_repetition_gives_the_same_courses(drawn):
    told, shuffled, repeated = drawn
    expected = sorted(map(repr, fold(told)))
    assert sorted(map(repr, fold([*shuffled, *filter(None, repeated)]))) == expected
