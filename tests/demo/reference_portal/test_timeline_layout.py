"""The timeline's layout: each item once, in its lane and on its days, or beside the picture (R2, R5)."""

from datetime import date, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from demo.reference_portal.timeline_layout import (
    WHOLE,
    YEARS_AHEAD,
    YEARS_BACK,
    Axis,
    Extent,
    Place,
    Span,
    rows,
    span_of,
    timeline,
)
from domain.overview import (
    OVERVIEWS,
    SECTIONS,
    Benefit,
    CompletedEducation,
    Employment,
    FguCourse,
    StartedEducation,
    Status,
    StuCourse,
    SuAttempts,
)
from domain.periods import Period

TODAY = date(2026, 11, 30)
EVERY = [section.id for section in SECTIONS]
IN_WINDOW = st.dates(date(TODAY.year - YEARS_BACK, 1, 1), date(TODAY.year + YEARS_AHEAD, 12, 31))
DAYS = st.one_of(IN_WINDOW, st.dates())
YEARS = st.one_of(st.none(), st.integers(1990, 2030), st.integers(1, 30_000))
MAYBE = st.one_of(st.none(), DAYS)
NAMES = st.text(min_size=1, max_size=40)

ITEMS = {
    "completed_educations": st.builds(CompletedEducation, name=NAMES, year=YEARS),
    "started_educations": st.builds(
        StartedEducation, name=NAMES, status=st.sampled_from([Status.ONGOING, Status.INTERRUPTED]), year=YEARS
    ),
    "su_attempts": st.builds(SuAttempts, count=st.integers(1, 5)),
    "fgu": st.builds(
        FguCourse, place=NAMES, speciality=st.none() | NAMES, status=st.sampled_from(Status), start=MAYBE, end=MAYBE
    ),
    "stu": st.builds(StuCourse, place=NAMES, status=st.sampled_from(Status), start=MAYBE, end=MAYBE),
    "employments": st.builds(Employment, employer=NAMES, start=DAYS, end=MAYBE),
    "benefits": st.builds(
        Benefit, type=NAMES, start=DAYS, end=MAYBE, concurrent_job=st.sampled_from([True, False, None])
    ),
}
"""Items as any register might give them: also days and years that are none, and last days before first ones."""
PAGES = st.fixed_dictionaries(
    {name: st.lists(items, max_size=1 if name == "su_attempts" else 4) for name, items in ITEMS.items()}
)


def job(start, end=None, employer="Job"):
    return Employment(employer=employer, start=date.fromisoformat(start), end=date.fromisoformat(end) if end else None)


def expected_days(item):
    """What the page says of the item's days, read from its fields alone: the first and the last that are known."""
    if isinstance(item, CompletedEducation | StartedEducation):
        if item.year is None or item.year > 9999:
            return None
        ongoing = isinstance(item, StartedEducation) and item.status == "ongoing"
        return date(item.year, 1, 1), None if ongoing else date(item.year, 12, 31)
    start, end = getattr(item, "start", None), getattr(item, "end", None)
    if start is None and end is None:
        return None
    if start and end:
        return (start, end) if start <= end else None
    if end is None and getattr(item, "status", "ongoing") == "ongoing":
        return start, None
    return (start or end), (start or end)


@given(PAGES, st.sets(st.sampled_from(EVERY)))
def test_each_item_is_in_its_lane_once_and_on_its_days_or_beside_it(page, known):
    laid = timeline(page, known, TODAY)
    assert [lane.id for lane in laid.lanes] == list(OVERVIEWS)
    for lane in laid.lanes:
        own = [section.id for section in SECTIONS if section.overview == lane.id]
        places = [mark.place for mark in lane.marks] + list(lane.beside)
        assert len(places) == len(set(places))
        assert set(places) == {Place(name, index) for name in own for index in range(len(page[name]))}
        for mark in lane.marks:
            days = expected_days(page[mark.place.section][mark.place.index])
            assert days == (mark.span.first, mark.span.last)


@given(PAGES)
def test_only_what_has_no_day_within_reach_is_beside_the_picture(page):
    earliest, latest = date(TODAY.year - YEARS_BACK, 1, 1), date(TODAY.year + YEARS_AHEAD, 12, 31)
    for lane in timeline(page, EVERY, TODAY).lanes:
        for place in lane.beside:
            days = expected_days(page[place.section][place.index])
            assert days is None or days[0] > latest or (days[1] is not None and days[1] < earliest)


@given(PAGES)
def test_the_axis_has_today_and_every_mark_within_reach_and_goes_on_after_the_last(page):
    laid = timeline(page, EVERY, TODAY)
    marks = [mark for lane in laid.lanes for mark in lane.marks]
    assert (laid.axis is None) == (not marks)
    for mark in marks:
        axis = laid.axis
        assert axis.first <= TODAY < axis.last
        assert (axis.first.month, axis.first.day) == (1, 1)
        assert axis.first <= mark.span.first or axis.first.year == TODAY.year - YEARS_BACK
        assert mark.span.last_known < axis.last or mark.span.last_known > date(TODAY.year + YEARS_AHEAD, 12, 31)
        assert (axis.last - axis.first).days < 366 * (YEARS_BACK + YEARS_AHEAD + 6)


@given(PAGES)
def test_the_days_of_a_lane_are_its_marks_or_its_gaps_and_never_both(page):
    for lane in timeline(page, EVERY, TODAY).lanes:
        for gap in lane.gaps:
            for mark in lane.marks:
                assert gap.end < mark.span.first or (mark.span.last is not None and mark.span.last < gap.start)
            # It begins and ends beside a mark: it is as long as it can be.
            assert gap.start - timedelta(days=1) in {mark.span.last for mark in lane.marks}
            assert gap.end + timedelta(days=1) in {mark.span.first for mark in lane.marks}


VALID = st.tuples(st.dates(date(2019, 1, 1), date(2020, 12, 31)), st.integers(0, 90)).map(
    lambda it: Employment(employer="Job", start=it[0], end=it[0] + timedelta(days=it[1]))
)


@given(st.lists(VALID, min_size=1, max_size=8))
def test_the_gaps_are_exactly_the_days_without_a_period_between_the_first_and_the_last(jobs):
    covered = {day for one in jobs for day in days_from(one.start, one.end)}
    gaps = [day for gap in lane_of("employment", employments=jobs).gaps for day in days_from(gap.start, gap.end)]
    assert gaps == [day for day in days_from(min(covered), max(covered)) if day not in covered]


def days_from(first, last):
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def lane_of(name, known=EVERY, **page):
    return next(lane for lane in timeline(page, known, TODAY).lanes if lane.id == name)


@pytest.mark.parametrize(
    ("jobs", "gaps"),
    [
        ([job("2020-01-01", "2020-01-31"), job("2020-02-01", "2020-02-29")], []),
        ([job("2020-01-01", "2020-01-31"), job("2020-02-02", "2020-02-29")], [("2020-02-01", "2020-02-01")]),
        ([job("2020-06-01", "2020-06-30"), job("2020-01-01", "2020-12-31"), job("2021-03-01")],
         [("2021-01-01", "2021-02-28")]),
        ([job("2020-01-01"), job("2022-01-01", "2022-12-31")], []),
        ([job("2020-01-01", "2020-01-31")], []),
        ([], []),
    ],
)  # fmt: skip
def test_a_gap_is_the_days_between_two_periods_that_none_covers(jobs, gaps):
    wanted = [Period(date.fromisoformat(start), date.fromisoformat(end)) for start, end in gaps]
    assert list(lane_of("employment", employments=jobs).gaps) == wanted


def test_where_something_is_not_known_nothing_is_called_a_gap():
    jobs = [job("2020-01-01", "2020-01-31"), job("2022-01-01", "2022-01-31")]
    assert lane_of("employment", employments=jobs).gaps
    assert lane_of("employment", {"benefits"}, employments=jobs).gaps == ()
    impossible = job("2021-06-01", "2021-05-01")
    assert lane_of("employment", employments=[*jobs, impossible]).gaps == ()
    courses = [StuCourse(place="STU", status=Status.COMPLETED, start=one.start, end=one.end) for one in jobs]
    assert lane_of("education", stu=courses).gaps
    completed = CompletedEducation(name="Hf", year=2021)
    assert lane_of("education", stu=courses, completed_educations=[completed]).gaps == ()


@pytest.mark.parametrize(
    ("item", "span"),
    [
        (job("2020-01-01", "2020-01-01"), Span(Extent.DAYS, date(2020, 1, 1), date(2020, 1, 1))),
        (job("2020-01-01"), Span(Extent.OPEN_END, date(2020, 1, 1), None)),
        (job("2020-01-02", "2020-01-01"), None),
        (CompletedEducation(name="Htx", year=2018), Span(Extent.YEAR, date(2018, 1, 1), date(2018, 12, 31))),
        (CompletedEducation(name="Htx", year=None), None),
        (CompletedEducation(name="Htx", year=20212), None),
        (StartedEducation(name="Hf", status="ongoing", year=2022), Span(Extent.SINCE_YEAR, date(2022, 1, 1), None)),
        (StartedEducation(name="Hf", status="interrupted", year=2022),
         Span(Extent.YEAR, date(2022, 1, 1), date(2022, 12, 31))),
        (StuCourse(place="STU", status="ongoing", start=date(2020, 1, 1), end=None),
         Span(Extent.OPEN_END, date(2020, 1, 1), None)),
        (StuCourse(place="STU", status="interrupted", start=date(2020, 1, 1), end=None),
         Span(Extent.LOST_END, date(2020, 1, 1), date(2020, 1, 1))),
        (StuCourse(place="STU", status="completed", start=None, end=date(2020, 1, 1)),
         Span(Extent.LOST_START, date(2020, 1, 1), date(2020, 1, 1))),
        (StuCourse(place="STU", status="ongoing", start=None, end=None), None),
        (SuAttempts(count=2), None),
    ],
)  # fmt: skip
def test_a_day_that_is_not_known_is_not_invented(item, span):
    assert span_of(item) == span


SLOTS = st.lists(
    st.tuples(st.integers(0, 100), st.integers(1, 100)).map(lambda it: (float(it[0]), float(it[0] + it[1]))),
    max_size=40,
)


@given(SLOTS)
@example([(0.0, 50.0), (50.0, 100.0)])
def test_slots_of_one_row_never_overlap_and_no_row_is_wasted(slots):
    found = rows(slots)
    placed = list(zip(slots, found, strict=True))
    for index, (one, row) in enumerate(placed):
        for other, at in placed[index + 1 :]:
            assert row != at or one[1] <= other[0] or other[1] <= one[0]
    # As many rows as there are slots at the fullest place, and no more.
    fullest = max((sum(left <= at < right for left, right in slots) for at, _ in slots), default=0)
    assert max(found, default=-1) + 1 == fullest


AXIS = Axis(date(2019, 1, 1), date(2026, 12, 31), TODAY)


@given(st.dates(AXIS.first, AXIS.last))
def test_a_day_ends_where_the_next_begins(day):
    assert 0 <= AXIS.start_of(day) < AXIS.end_of(day) <= WHOLE
    if day < AXIS.last:
        assert AXIS.end_of(day) == AXIS.start_of(day + timedelta(days=1))


def test_the_ends_of_the_axis_are_the_edges_and_so_is_what_lies_outside():
    assert (AXIS.start_of(AXIS.first), AXIS.end_of(AXIS.last)) == (0.0, WHOLE)
    assert (AXIS.start_of(date(1900, 1, 1)), AXIS.end_of(date(1900, 1, 1))) == (0.0, 0.0)
    assert (AXIS.start_of(date.max), AXIS.end_of(date.max)) == (WHOLE, WHOLE)
