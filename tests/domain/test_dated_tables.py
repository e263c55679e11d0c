"""Tables with days: each key has one value on a day, and a table with an overlap or a gap is none."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dated_tables import Row, Table, TableError

LAST, NEXT = date(2026, 12, 31), date(2027, 1, 1)
OLD, NEW = Row("a", 1, last=LAST), Row("a", 2, first=NEXT)


def test_the_evening_before_has_the_old_value_and_the_morning_after_the_new_one():
    table = Table([NEW, OLD])
    assert [table.at("a", day) for day in (date.min, LAST, NEXT, date.max)] == [1, 1, 2, 2]


def test_a_key_without_a_row_on_the_day_has_no_value():
    table = Table([Row("a", 1, first=NEXT, last=NEXT), Row("b", False)])
    assert [table.at("a", day) for day in (LAST, NEXT, NEXT + timedelta(days=1))] == [None, 1, None]
    assert table.at("b", LAST) is False
    assert table.unknown(["a", "b", "c"], LAST) == ("a", "c")
    assert [row.key for row in table.on(NEXT)] == ["a", "b"]
    assert ("a" in table, "c" in table) == (True, False)


@pytest.mark.parametrize(
    ("rows", "at_fault", "problem"),
    [
        ([Row("a", 1, NEXT, LAST)], 0, "it ends on 2026-12-31, before it begins on 2027-01-01"),
        ([OLD, Row("a", 2, first=LAST)], 1,
         "an overlap: it holds from 2026-12-31, and the one before it until 2026-12-31"),
        ([Row("a", 2, first=LAST), OLD], 0,
         "an overlap: it holds from 2026-12-31, and the one before it until 2026-12-31"),
        ([Row("a", 1), NEW], 1, "an overlap: it holds from 2027-01-01, and the one before it has no last day"),
        ([OLD, Row("a", 2)], 1, "an overlap: it holds without a first day, and the one before it until 2026-12-31"),
        ([OLD, Row("b", 1), Row("a", 2, first=date(2027, 1, 2))], 2,
         "a gap: it holds from 2027-01-02, and the one before it only until 2026-12-31"),
    ],
)  # fmt: skip
def test_an_overlap_and_a_gap_are_no_table_and_their_row_is_named(rows, at_fault, problem):
    with pytest.raises(TableError) as refused:
        Table(rows)
    assert (refused.value.row, str(refused.value)) == (at_fault, problem)


def test_only_an_endless_table_has_to_go_on():
    Table([OLD])
    with pytest.raises(TableError, match="a gap: nothing is in force after 2026-12-31"):
        Table([OLD], endless=True)


def test_the_days_on_which_something_turns():
    assert Table([OLD, NEW, Row("b", 1, date(2020, 2, 29), date(2028, 2, 29))]).turns() == (
        date(2020, 2, 29), NEXT, date(2028, 3, 1),
    )  # fmt: skip
    assert Table([Row("a", 1, last=date.max)]).turns() == ()
    assert (Table([NEW]).begins("a"), Table([NEW, OLD]).begins("a"), Table([NEW]).begins("b")) == (NEXT, None, None)


@given(
    st.lists(st.dates(date(2020, 1, 1), date(2030, 12, 31)), min_size=1, max_size=6, unique=True),
    st.dates(date(2019, 1, 1), date(2031, 12, 31)),
    st.randoms(),
)
def test_of_rows_that_follow_one_another_each_day_has_exactly_one(turns, day, chance):
    begins = [None, *sorted(turns)]
    ends = [one - timedelta(days=1) for one in begins[1:]] + [None]
    rows = [Row("a", place, first, last) for place, (first, last) in enumerate(zip(begins, ends, strict=True))]
    chance.shuffle(rows)
    table = Table(rows, endless=True)
    assert table.at("a", day) == sum(turn <= day for turn in turns)
    assert len(table.on(day)) == 1
