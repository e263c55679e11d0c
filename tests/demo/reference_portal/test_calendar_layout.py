"""The calendar's layout: every day drawn once, nothing over anything else, one unbroken bar over weeks (§3.2)."""

import itertools
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from demo.reference_portal.calendar_layout import DAYS, weeks
from demo.reference_portal.calendar_view import chosen_month
from domain.calendar_month import Month


@dataclass(frozen=True)
class Bar:
    """What the layout needs to know of something."""

    start: date
    end: date | None
    number: int = 0
    """Tells two alike apart."""


def on(start, end=None):
    return Bar(date.fromisoformat(start), date.fromisoformat(end or start))


MONTHS = st.builds(Month, st.integers(2000, 2099), st.integers(1, 12))


@st.composite
def months_with_bars(draw):
    """A month, and bars around it: some of a day, some of years, some without an end, some outside."""
    month = draw(MONTHS)
    starts = st.integers(-60, 60).map(lambda days: month.first + timedelta(days=days))
    lengths = st.one_of(st.integers(0, 3), st.integers(0, 30), st.integers(0, 400), st.none())
    bars = st.builds(
        lambda start, length: Bar(start, None if length is None else start + timedelta(days=length)), starts, lengths
    )
    return month, draw(st.lists(bars, max_size=25))


def drawn(week, piece):
    return week.days[piece.column : piece.column + piece.span]


@given(months_with_bars())
def test_each_bar_is_drawn_exactly_on_its_days(given):
    month, bars = given
    laid = weeks(month, bars)
    shown = [day for week in laid for day in week.days]
    for bar in set(bars):
        wanted = sorted(
            day for day in shown if bar.start <= day and (bar.end is None or day <= bar.end)
            for _ in range(bars.count(bar))
        )  # fmt: skip
        found = sorted(day for week in laid for piece in week.pieces if piece.bar == bar for day in drawn(week, piece))
        assert found == wanted


@given(months_with_bars())
def test_bars_never_overlap_in_a_row(given):
    for week in weeks(*given):
        places = [(piece.lane, day) for piece in week.pieces for day in drawn(week, piece)]
        assert len(places) == len(set(places))
        assert week.lanes == max((piece.lane for piece in week.pieces), default=-1) + 1


@given(months_with_bars())
def test_the_pieces_of_a_bar_meet_across_weeks_and_stay_in_their_lane(given):
    month, bars = given
    laid = weeks(month, [Bar(bar.start, bar.end, number) for number, bar in enumerate(bars)])
    for week, following in itertools.pairwise(laid):
        goes_on = {piece.bar.number: piece for piece in week.pieces if piece.after}
        comes_over = {piece.bar.number: piece for piece in following.pieces if piece.before}
        assert goes_on.keys() == comes_over.keys()
        for number, piece in goes_on.items():
            assert piece.column + piece.span == DAYS
            assert comes_over[number].column == 0
            assert comes_over[number].lane == piece.lane


@given(months_with_bars())
def test_an_edge_is_open_exactly_where_the_bar_goes_on(given):
    for week in weeks(*given):
        for piece in week.pieces:
            days = drawn(week, piece)
            assert piece.before == (piece.bar.start < days[0])
            assert piece.after == (piece.bar.end is None or piece.bar.end > days[-1])


@given(MONTHS)
@example(Month(2020, 12))  # 31 December 2020 is in week 53,
@example(Month(2021, 1))  # and so are the first three days of 2021.
@example(Month(2024, 2))  # A leap day,
@example(Month(2024, 12))  # and a year that ends in week 1 of the next.
def test_a_month_is_whole_weeks_from_monday_with_their_iso_numbers(month):
    laid = weeks(month, [])
    days = [day for week in laid for day in week.days]
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]
    assert days[0].weekday() == 0
    assert laid[0].days[0] <= month.first <= laid[0].days[-1]
    assert laid[-1].days[0] <= month.last <= laid[-1].days[-1]
    # By the definition: a week is numbered in the year of its Thursday, whose day of the year counts it.
    assert [week.number for week in laid] == [
        (week.days[3] - date(week.days[3].year, 1, 1)).days // 7 + 1 for week in laid
    ]


@pytest.mark.parametrize(
    ("month", "numbers"),
    [
        (Month(2020, 12), [49, 50, 51, 52, 53]),
        (Month(2021, 1), [53, 1, 2, 3, 4]),
        (Month(2024, 12), [48, 49, 50, 51, 52, 1]),
        (Month(2021, 2), [5, 6, 7, 8]),
        (Month(2024, 2), [5, 6, 7, 8, 9]),
        (Month(2023, 3), [9, 10, 11, 12, 13]),
    ],
    ids=str,
)
def test_weeks_are_numbered_right_over_the_ends_of_years(month, numbers):
    assert [week.number for week in weeks(month, [])] == numbers


def test_a_leap_day_is_a_day_like_any_other():
    (piece,) = weeks(Month(2024, 2), [on("2024-02-28", "2024-03-01")])[-1].pieces
    assert (piece.column, piece.span, piece.before, piece.after) == (2, 3, False, False)
    assert Month(2024, 2).last == date(2024, 2, 29)
    assert Month(2023, 2).last == date(2023, 2, 28)


def test_three_weeks_over_the_end_of_a_month_are_one_bar_in_both_months():
    activity = on("2023-03-15", "2023-04-04")
    march, april = weeks(Month(2023, 3), [activity]), weeks(Month(2023, 4), [activity])
    assert [(week.number, piece.column, piece.span, piece.before, piece.after)
            for week in march for piece in week.pieces] == [
        (11, 2, 5, False, True), (12, 0, 7, True, True), (13, 0, 7, True, True),
    ]  # fmt: skip
    assert [(week.number, piece.column, piece.span, piece.before, piece.after)
            for week in april for piece in week.pieces] == [
        (13, 0, 7, True, True), (14, 0, 2, True, False),
    ]  # fmt: skip


def test_what_goes_on_has_the_first_lane_and_what_is_short_lies_beside_it():
    long, short, later = on("2023-03-07", "2023-03-20"), on("2023-03-06", "2023-03-08"), on("2023-03-10")
    week = weeks(Month(2023, 3), [short, later, long])[1]
    assert {piece.bar: piece.lane for piece in week.pieces} == {long: 0, short: 1, later: 1}


@pytest.mark.parametrize(
    "written", [None, "", "2023", "2023-13", "2023-00", "0000-01", "9999-12", "2023-3", "２０２３-03"]
)
def test_what_is_no_month_is_none(written):
    assert chosen_month(written) is None


@given(MONTHS, st.integers(-500, 500))
def test_months_are_counted_forth_and_back(month, months):
    assert chosen_month(str(month)) == month
    assert month.plus(months).plus(-months) == month
    assert month.plus(1).first == month.last + timedelta(days=1)
