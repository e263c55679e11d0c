"""Geometry of the timeline: a known day is an edge where it is, and one that is not known is none (R5)."""

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.reference_portal.timeline_drawing import LABEL_SHARE, TAIL, room_for, shape, shortened, years_of
from demo.reference_portal.timeline_layout import WHOLE, Axis, Extent, Span

TODAY = date(2026, 11, 30)
AXIS = Axis(date(2020, 1, 1), date(2027, 1, 31), TODAY)


def days_of(stretch, axis):
    """The first and the last day that a stretch of the picture covers."""
    total = (axis.last - axis.first).days + 1
    first, after = (round(at * total / WHOLE) for at in (stretch.left, stretch.right))
    return axis.first + timedelta(days=first), axis.first + timedelta(days=after - 1)


def drawn(extent, first, last):
    one = shape(Span(extent, date.fromisoformat(first), date.fromisoformat(last) if last else None), AXIS)
    return one, AXIS.start_of(date.fromisoformat(first))


def test_a_period_of_a_day_has_both_edges_and_the_width_of_a_day():
    one, at = drawn(Extent.DAYS, "2023-05-01", "2023-05-01")
    assert days_of(one.solid, AXIS) == (date(2023, 5, 1), date(2023, 5, 1))
    assert one.edges == pytest.approx((at, AXIS.end_of(date(2023, 5, 1))), abs=0.001)


def test_an_end_that_is_not_known_has_no_edge_and_fades():
    one, at = drawn(Extent.OPEN_END, "2023-05-01", None)
    assert one.edges == pytest.approx((at,), abs=0.001)
    assert one.faded.left == one.solid.right
    assert one.faded.right == WHOLE
    one, at = drawn(Extent.LOST_END, "2023-05-01", "2023-05-01")
    assert one.edges == pytest.approx((at,), abs=0.001)
    assert one.faded.width == pytest.approx(TAIL)
    assert one.faded.right < AXIS.start_of(TODAY), "what is over is not drawn until today"
    one, at = drawn(Extent.LOST_START, "2023-05-01", "2023-05-01")
    assert one.fades_in
    assert one.edges == pytest.approx((AXIS.end_of(date(2023, 5, 1)),), abs=0.001)
    assert one.faded.right == pytest.approx(at, abs=0.001)


def test_of_a_year_no_day_is_an_edge():
    one, _ = drawn(Extent.YEAR, "2022-01-01", "2022-12-31")
    assert (one.edges, one.solid, one.faded) == ((), None, None)
    one, _ = drawn(Extent.SINCE_YEAR, "2022-01-01", None)
    assert one.edges == ()
    assert days_of(one.hatched, AXIS) == (date(2022, 1, 1), date(2022, 12, 31))
    assert days_of(one.solid, AXIS) == (date(2023, 1, 1), TODAY)
    # Begun in this year: on which day, and whether before today, the year does not say.
    one, _ = drawn(Extent.SINCE_YEAR, "2026-01-01", None)
    assert one.solid is None
    assert one.faded.left == one.hatched.right


def test_what_is_longer_than_the_axis_has_no_edge_there():
    long = shape(Span(Extent.DAYS, date(1900, 1, 1), date(9999, 12, 31)), AXIS)
    assert (long.solid.left, long.solid.right, long.edges) == (0.0, WHOLE, ())


@pytest.mark.parametrize("first", [2026, 2020, 2010, 1990, 1967])
def test_years_are_numbered_as_far_as_there_is_room(first):
    years = years_of(Axis(date(first, 1, 1), date(2027, 1, 31), TODAY))
    for screen, width in (("narrow", 280), ("wide", 690)):
        numbers = [year for year in years if getattr(year, screen)]
        assert numbers
        for one, other in itertools.pairwise(numbers):
            assert (other.at - one.at) * width / WHOLE >= 40
        assert (WHOLE - numbers[-1].at) * width / WHOLE >= 42


@given(st.text(max_size=80), st.sampled_from([280, 690]))
def test_a_label_takes_half_of_the_width_at_the_most_and_is_cut_only_where_it_has_to_be(text, width):
    label = shortened(text, width)
    assert room_for(label, width) <= LABEL_SHARE
    if room_for(text, width) <= LABEL_SHARE:
        assert label == text
    else:
        assert label.endswith("…")
        assert text.startswith(label[:-1])
