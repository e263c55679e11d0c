"""Entries of a section: in one order however they come, none hidden, and no two with one id."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.overview import CalendarEntry, EntryKind
from registerbro.upstreams.wire_types import Identifier
from workers.dfdg_gateway.calendar_entries import in_order

IDENTIFIER = TypeAdapter(Identifier)


def entry(key="a", start=1, end=1, title="Kursus", **more):
    days = {"start": date(2023, 3, start), "end": date(2023, 3, end) if end else None}
    return CalendarEntry(id=key, kind=EntryKind.ACTIVITY, title=title, held=False, text=None, **{**days, **more})


def test_entries_are_by_their_days_and_one_without_an_end_is_the_last_of_its_day():
    expected = [entry("d"), entry("c", end=2), entry("b", end=None), entry("a", start=2)]
    assert in_order(reversed(expected)) == expected


def test_the_same_entry_again_is_the_same_entry():
    assert in_order([entry(), entry()]) == [entry()]


def test_another_entry_with_the_same_id_has_one_of_its_own():
    found = in_order([entry("a", 2), entry("a", 1), entry("a", 3), entry("a-2", 1)])
    assert [(one.start.day, one.id) for one in found] == [(1, "a"), (1, "a-2"), (2, "a-3"), (3, "a-4")]


def test_a_long_id_stays_an_identifier():
    found = in_order([entry("9" * 100, 1), entry("9" * 100, 2)])
    assert [one.id for one in found] == ["9" * 100, "9" * 98 + "-2"]


@given(
    st.lists(
        st.builds(
            entry,
            st.sampled_from(["a", "a-2", "a-2-2", "9" * 100, "9" * 98 + "-2"]),
            st.integers(1, 3),
            st.none() | st.integers(3, 4),
            st.sampled_from(["x", "y"]),
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_nothing_is_hidden_and_every_id_is_one_of_its_own_in_whatever_order_they_come(entries, chance):
    found = in_order(entries)
    ids = [IDENTIFIER.validate_python(one.id) for one in found]
    assert len(set(ids)) == len(ids) == len(set(entries))
    bare = [one.model_copy(update={"id": ""}) for one in found]
    assert sorted(map(repr, bare)) == sorted(repr(one.model_copy(update={"id": ""})) for one in set(entries))
    assert in_order(chance.sample(entries, len(entries))) == found
