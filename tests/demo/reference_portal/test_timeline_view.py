"""The timeline in words and coordinates: what is drawn is where the days are, and says what the sections say."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.reference_portal import overview_view, texts
from demo.reference_portal.api import SectionAnswer
from demo.reference_portal.timeline_drawing import LABEL_SHARE, room_for
from demo.reference_portal.timeline_layout import WHOLE, Extent, timeline
from demo.reference_portal.timeline_view import BarView, row_id, timeline_view
from domain.overview import SECTIONS, Employment, StuCourse
from tests.demo.reference_portal.test_timeline_drawing import days_of
from tests.demo.reference_portal.test_timeline_layout import PAGES, job

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TODAY = NOW.date()
BY_NAME = {section.id: section for section in SECTIONS}


def answers(**items):
    """The page with these items; a state in place of items is that of the section, and the others are empty."""
    made = {}
    for name, section in BY_NAME.items():
        given = items.get(name, ())
        if isinstance(given, str):
            made[name] = SectionAnswer(section, given)
        else:
            made[name] = SectionAnswer(section, "ready" if given else "empty", tuple(given), NOW if given else None)
    return made


def view(**items):
    return timeline_view(answers(**items), NOW, lambda section, index: f"/there/{section}/{index}")


def lane(shown, name):
    return next(one for one in shown.lanes if one.id == name)


@given(PAGES)
def test_each_mark_is_drawn_on_its_days_to_the_day(page):
    axis = timeline(page, BY_NAME, TODAY).axis
    spans = {mark.place: mark.span for one in timeline(page, BY_NAME, TODAY).lanes for mark in one.marks}
    bars = [bar for one in view(**page).lanes for bar in one.bars]
    assert sorted(bar.id for bar in bars) == sorted(f"tidslinje-{place.section}-{place.index + 1}" for place in spans)
    for bar in bars:
        span = spans[bar.place]
        first, last = max(span.first, axis.first), min(span.last_known, axis.last)
        match bar.extent:
            case Extent.SINCE_YEAR if span.last_known < axis.first:
                assert bar.shape.hatched is None
                assert days_of(bar.shape.solid, axis) == (axis.first, TODAY)
            case Extent.YEAR | Extent.SINCE_YEAR:
                assert days_of(bar.shape.hatched, axis) == (first, last)
            case Extent.OPEN_END:
                # It is drawn as going on until today, and nobody knows what comes after.
                assert days_of(bar.shape.solid, axis) == (first, max(first, TODAY))
            case _:
                assert days_of(bar.shape.solid, axis) == (first, last)
        if span.last is None:
            assert bar.shape.whole.right == WHOLE
            assert bar.shape.faded.width > 0
        assert 0 <= bar.shape.whole.left <= bar.shape.whole.right <= WHOLE


CROWDED = st.fixed_dictionaries(
    {
        "employments": st.lists(
            st.builds(
                lambda name, start, days: Employment(employer=name, start=start, end=start + timedelta(days=days)),
                st.text("amWÆ ", min_size=1, max_size=30),
                st.dates(date(2024, 1, 1), date(2026, 12, 31)),
                st.integers(0, 200),
            ),
            min_size=10,
            max_size=30,
        )
    }
)
"""Jobs so close to each other that their labels decide on the rows."""


@given(st.one_of(PAGES, CROWDED))
def test_nothing_in_a_row_lies_over_anything_else_labels_included(page):
    for one in view(**page).lanes:
        for row, bars in itertools.groupby(
            sorted(one.bars, key=lambda bar: (bar.row, bar.slot.left)), lambda bar: bar.row
        ):
            for left, right in itertools.pairwise(bars):
                assert left.slot.right < right.slot.left, row
        for bar in one.bars:
            assert 0 <= bar.slot.left <= bar.shape.whole.left
            assert bar.shape.whole.right <= bar.slot.right <= WHOLE
            for text, width in ((bar.label, 690), (bar.short, 280)):
                assert room_for(text, width) <= min(bar.slot.width, LABEL_SHARE) + 0.001
            # A label is where its bar is: both begin, or both end there.
            assert bar.slot.left == bar.shape.whole.left or (
                bar.slot.at_end and bar.slot.right == bar.shape.whole.right
            )


@given(PAGES)
def test_every_item_says_what_its_row_says(page):
    made = answers(**page)
    sections = {name: overview_view.section(answer, NOW, whole=True) for name, answer in made.items()}
    shown = view(**page)
    said = [(it.place, getattr(it, "title", None) or it.text) for one in shown.lanes for it in (*one.bars, *one.beside)]
    assert len(said) == sum(len(items) for items in page.values())
    for place, text in said:
        section = sections[place.section]
        for value in section.rows[place.index] if section.rows else (section.sentence,):
            assert value in text


def test_jobs_at_the_same_time_are_in_rows_of_their_own():
    bars = lane(view(employments=[job("2022-01-01", "2022-12-31", "Et"), job("2022-06-01", "2023-06-30", "To")]),
                "employment").bars  # fmt: skip
    assert len({bar.row for bar in bars}) == 2
    assert len({bar.top for bar in bars}) == 2


@pytest.mark.parametrize("state", ["pending", "unavailable"])
def test_a_section_that_is_not_there_is_named_in_its_lane_beside_the_others(state):
    stu = StuCourse(place="STU Ærø", status="completed", start=date(2020, 8, 10), end=date(2021, 6, 25))
    shown = view(fgu=state, employments=state, stu=[stu])
    education, jobs, support = shown.lanes
    assert getattr(education, state) == (texts.SECTIONS["fgu"],)
    assert [bar.label for bar in education.bars] == ["STU Ærø (gennemført)"]
    assert getattr(jobs, state) == (texts.SECTIONS["employments"],)
    assert jobs.shown
    assert not support.shown
    assert not shown.empty


def test_a_timeline_of_nothing_has_nothing_and_no_axis():
    shown = view()
    assert shown.empty
    assert shown.years == shown.signs == ()


def test_the_legend_explains_the_signs_that_are_used_and_no_others():
    assert view(employments=[job("2020-01-01", "2020-12-31")]).signs == ("days", "today")
    both = view(employments=[job("2020-01-01", "2020-12-31"), job("2022-01-01")])
    assert both.signs == ("days", "open", "gap", "today")
    assert both.lanes[1].gaps[0].text == "Intet registreret: 1. januar 2021 – 31. december 2021"


def test_old_data_say_when_they_were_fetched():
    made = answers(employments=[job("2020-01-01")])
    old = SectionAnswer(BY_NAME["employments"], "ready", made["employments"].items, NOW - timedelta(days=2), stale=True)
    shown = timeline_view(made | {"employments": old}, NOW, lambda *_: "#")
    assert lane(shown, "employment").sources == ("Kilde: eIndkomst. Hentet 28. november 2026 kl. 13.00",)


def test_a_long_name_is_cut_where_it_has_no_room_and_whole_in_its_details():
    name = "Den Selvejende Institution Landsforeningen for Beskæftigelse og Uddannelse ApS"
    (bar,) = lane(view(employments=[job("2020-01-01", "2020-12-31", name)]), "employment").bars
    assert bar.short.endswith("…")
    assert name.startswith(bar.short[:-1].rstrip())
    assert bar.title == f"{name}, Periode: 1. januar 2020 – 31. december 2020"


def test_links_and_ids_are_the_pages_own():
    shown = view(employments=[job("2020-01-01"), job("2018-01-01", "2018-02-01")])
    bars: tuple[BarView, ...] = lane(shown, "employment").bars
    assert [(bar.href, bar.goal) for bar in bars] == [
        ("/there/employments/0", "post-employments-1"), ("/there/employments/1", "post-employments-2"),
    ]  # fmt: skip
    assert all(row_id(bar.place) == bar.goal for bar in bars)


def test_the_mark_changes_with_a_state_and_not_with_the_data():
    before = view(employments=[job("2020-01-01")]).mark
    assert view(employments=[Employment(employer="Andet", start=date(2021, 1, 1), end=None)]).mark == before
    assert view(employments="unavailable").mark != before
