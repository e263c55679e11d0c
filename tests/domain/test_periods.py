"""Periods merge by the rules of their kind, and lists come newest first (R2–R5)."""

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.periods import BENEFIT_GAP, EMPLOYMENT_GAP, Period, add_months, hull, merge, newest_first

RULES = [pytest.param(EMPLOYMENT_GAP, id="employment"), pytest.param(BENEFIT_GAP, id="benefit")]


def day(text):
    return date.fromisoformat(text)


def period(start, end=None):
    return Period(day(start), end and day(end))


def merged(joins, *periods):
    return merge(periods, joins, hull)


# What a period is.


def test_a_period_of_one_day_starts_and_ends_on_it():
    assert period("2022-01-31", "2022-01-31").end == day("2022-01-31")


def test_a_period_cannot_end_before_it_starts():
    with pytest.raises(ValueError, match=r"^a period cannot end before it starts$"):
        period("2022-01-31", "2022-01-30")


@pytest.mark.parametrize(
    ("start", "months", "result"),
    [
        ("2022-02-01", 1, "2022-03-01"),
        ("2022-01-31", 1, "2022-02-28"),
        ("2022-01-29", 1, "2022-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2022-03-31", 1, "2022-04-30"),
        ("2022-12-31", 1, "2023-01-31"),
        ("2022-01-31", 13, "2023-02-28"),
        ("2022-03-31", -1, "2022-02-28"),
        ("0001-01-01", 1, "0001-02-01"),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last_of_the_month(start, months, result):
    assert add_months(day(start), months) == day(result)


def test_a_month_beyond_the_calendar_is_an_error():
    with pytest.raises(ValueError, match="year"):
        add_months(date.max, 1)


# How employment merges (R3).

BEGAN, LASTS_TO = "2020-01-01", "2025-12-31"


def with_gap(joins, ends, next_starts):
    """What comes of a period that ends on one day and another that starts on the other."""
    return merged(joins, period(BEGAN, ends), period(next_starts, LASTS_TO))


ONE_PERIOD = [period(BEGAN, LASTS_TO)]


def two_periods(ends, next_starts):
    return [period(BEGAN, ends), period(next_starts, LASTS_TO)]


EXACTLY_ONE_MONTH = pytest.mark.parametrize(
    ("ends", "next_starts"),
    [
        pytest.param("2022-01-31", "2022-03-01", id="1 Feb to 28 Feb"),
        pytest.param("2022-01-30", "2022-02-28", id="from 31 Jan, whose limit is 28 Feb"),
        pytest.param("2024-01-31", "2024-03-01", id="1 Feb to 29 Feb"),
        pytest.param("2024-01-30", "2024-02-29", id="from 31 Jan, whose limit is 29 Feb in a leap year"),
        pytest.param("2021-12-31", "2022-02-01", id="1 Jan to 31 Jan"),
        pytest.param("2022-06-14", "2022-07-15", id="15 Jun to 14 Jul"),
    ],
)
MORE_THAN_A_MONTH = pytest.mark.parametrize(
    ("ends", "next_starts"),
    [
        pytest.param("2022-01-31", "2022-03-02", id="1 Feb to 1 Mar"),
        pytest.param("2022-01-30", "2022-03-01", id="from 31 Jan, whose limit is 28 Feb"),
        pytest.param("2024-01-31", "2024-03-02", id="1 Feb to 1 Mar in a leap year"),
        pytest.param("2021-12-31", "2022-02-02", id="1 Jan to 1 Feb"),
        pytest.param("2022-01-31", "2024-01-01", id="years"),
    ],
)
LESS_THAN_A_MONTH = pytest.mark.parametrize(
    ("ends", "next_starts"),
    [
        pytest.param("2022-01-31", "2022-02-28", id="1 Feb to 27 Feb"),
        pytest.param("2022-01-30", "2022-02-27", id="from 31 Jan, whose limit is 28 Feb"),
        pytest.param("2024-01-31", "2024-02-29", id="1 Feb to 28 Feb in a leap year"),
        pytest.param("2022-05-31", "2022-06-01", id="adjacent"),
        pytest.param("2022-05-31", "2022-06-02", id="one day"),
        pytest.param("2022-05-31", "2022-05-31", id="a shared day"),
        pytest.param("2022-05-31", "2022-05-01", id="a shared month"),
    ],
)


@EXACTLY_ONE_MONTH
def test_exactly_one_month_without_a_job_is_one_period(ends, next_starts):
    assert with_gap(EMPLOYMENT_GAP, ends, next_starts) == ONE_PERIOD


@MORE_THAN_A_MONTH
def test_more_than_a_month_without_a_job_is_two_periods(ends, next_starts):
    assert with_gap(EMPLOYMENT_GAP, ends, next_starts) == two_periods(ends, next_starts)


@LESS_THAN_A_MONTH
def test_less_than_a_month_without_a_job_is_one_period(ends, next_starts):
    assert with_gap(EMPLOYMENT_GAP, ends, next_starts) == ONE_PERIOD


# How benefits merge (R4).


@EXACTLY_ONE_MONTH
def test_exactly_one_month_between_benefits_is_two_periods(ends, next_starts):
    assert with_gap(BENEFIT_GAP, ends, next_starts) == two_periods(ends, next_starts)


@MORE_THAN_A_MONTH
def test_more_than_a_month_between_benefits_is_two_periods(ends, next_starts):
    assert with_gap(BENEFIT_GAP, ends, next_starts) == two_periods(ends, next_starts)


@LESS_THAN_A_MONTH
def test_less_than_a_month_between_benefits_is_one_period(ends, next_starts):
    assert with_gap(BENEFIT_GAP, ends, next_starts) == ONE_PERIOD


# What holds for both, also without an end (R5).


@pytest.mark.parametrize("joins", RULES)
@pytest.mark.parametrize("later_end", ["2022-05-15", "2022-05-31"])
def test_of_two_that_overlap_the_later_end_is_kept(joins, later_end):
    assert merged(joins, period("2022-01-01", "2022-05-31"), period("2022-05-01", later_end)) == [
        period("2022-01-01", "2022-05-31")
    ]


@pytest.mark.parametrize("joins", RULES)
def test_the_gap_is_counted_from_the_latest_end_so_far(joins):
    long, short_within = period("2022-01-01", "2022-12-31"), period("2022-02-01", "2022-02-28")
    assert merged(joins, long, short_within, period("2023-01-15", "2023-02-01")) == [period("2022-01-01", "2023-02-01")]


@pytest.mark.parametrize("joins", RULES)
def test_many_short_gaps_make_one_long_period(joins):
    months = [Period(date(2022, month, 1), date(2022, month, 20)) for month in range(1, 13)]
    assert merged(joins, *months) == [period("2022-01-01", "2022-12-20")]


@pytest.mark.parametrize("joins", RULES)
def test_nothing_merges_into_nothing(joins):
    assert merged(joins) == []


@pytest.mark.parametrize("joins", RULES)
def test_an_ongoing_period_takes_in_everything_later(joins):
    ended, ongoing_later = period("2030-01-01", "2030-02-01"), period("2040-01-01")
    assert merged(joins, ended, period("2022-01-01"), ongoing_later) == [period("2022-01-01")]


@pytest.mark.parametrize("joins", RULES)
def test_an_ongoing_period_leaves_alone_what_ended_long_before(joins):
    assert merged(joins, period("2022-01-01"), period("2020-01-01", "2020-12-31")) == [
        period("2020-01-01", "2020-12-31"),
        period("2022-01-01"),
    ]


def test_an_unknown_end_counts_as_ongoing_and_stays_unknown():
    assert merged(BENEFIT_GAP, period("2022-01-01"), period("2022-02-01", "2022-03-31")) == [period("2022-01-01")]
    assert merged(BENEFIT_GAP, period("2022-01-01", "2022-01-31"), period("2022-02-01")) == [period("2022-01-01")]


@pytest.mark.parametrize("joins", RULES)
@pytest.mark.parametrize("ends", ["9999-11-29", "9999-11-30", "9999-12-01", "9999-12-30", "9999-12-31"])
def test_an_end_at_the_end_of_the_calendar_joins_everything_later(joins, ends):
    assert merged(joins, period("2022-01-01", ends), period("9999-12-15", "9999-12-31")) == [
        period("2022-01-01", "9999-12-31")
    ]


@pytest.mark.parametrize("joins", RULES)
def test_the_first_day_of_the_calendar_is_a_day_like_any_other(joins):
    assert merged(joins, period("0001-01-01", "0001-01-01"), period("0001-01-02", "0001-01-03")) == [
        period("0001-01-01", "0001-01-03")
    ]


# What periods carry with them.


@dataclass(frozen=True)
class Support:
    """A benefit as ydelse has it."""

    kind: str
    start: date
    end: date | None
    concurrent_job: bool = False


def supported(kind, start, end, *, concurrent_job=False):
    return Support(kind, day(start), day(end), concurrent_job)


def together(earlier, later):
    span = hull(earlier, later)
    return Support(earlier.kind, span.start, span.end, earlier.concurrent_job or later.concurrent_job)


def test_different_types_never_merge():
    parts = [
        supported("Uddannelseshjælp", "2022-01-01", "2022-01-31"),
        supported("Kontanthjælp", "2022-01-15", "2022-02-15"),
        supported("Uddannelseshjælp", "2022-02-01", "2022-02-28"),
        supported("Kontanthjælp", "2022-03-01", "2022-03-31"),
    ]
    assert merge(parts, BENEFIT_GAP, together, per=lambda part: part.kind) == [
        supported("Uddannelseshjælp", "2022-01-01", "2022-02-28"),
        supported("Kontanthjælp", "2022-01-15", "2022-03-31"),
    ]


@pytest.mark.parametrize(
    ("jobs", "concurrent_job"),
    [
        ([False, False, False], False),
        ([True, False, False], True),
        ([False, True, False], True),
        ([False, False, True], True),
        ([True, True, True], True),
    ],
)
def test_a_merged_benefit_was_beside_a_job_when_any_of_its_parts_was(jobs, concurrent_job):
    parts = [
        Support("Dagpenge", date(2022, month, 1), date(2022, month, 28), job) for month, job in enumerate(jobs, start=1)
    ]
    assert merge(parts, BENEFIT_GAP, together) == [
        supported("Dagpenge", "2022-01-01", "2022-03-28", concurrent_job=concurrent_job)
    ]


@pytest.mark.parametrize("joins", RULES)
def test_the_parts_are_combined_in_the_order_of_their_starts(joins):
    parts = [
        supported("c", "2022-03-01", "2022-03-31"),
        supported("a", "2022-01-01", "2022-01-31"),
        supported("b", "2022-02-01", "2022-02-28"),
    ]

    def spelled_out(earlier, later):
        span = hull(earlier, later)
        return Support(earlier.kind + later.kind, span.start, span.end)

    assert merge(parts, joins, spelled_out) == [supported("abc", "2022-01-01", "2022-03-31")]


def test_different_employers_never_merge():
    jobs = [supported("Bageren", "2022-01-01", "2022-05-31"), supported("Slagteren", "2022-06-01", "2022-12-31")]
    assert merge(jobs, EMPLOYMENT_GAP, together, per=lambda job: job.kind) == jobs


@pytest.mark.parametrize("joins", RULES)
def test_a_hundred_thousand_periods_become_one(joins):
    first = date(1990, 1, 1)
    many = [Period(first + timedelta(days=n % 9_973), first + timedelta(days=n % 9_973 + 3)) for n in range(100_000)]
    assert merged(joins, *many) == [Period(first, first + timedelta(days=9_975))]


# What holds for every history.


def lasting(start, days):
    return Period(start, None if days is None else start + timedelta(days=days))


recent_days = st.dates(date(2021, 1, 1), date(2024, 12, 31))
recent_periods = st.builds(lasting, recent_days, st.none() | st.integers(0, 45) | st.integers(0, 45))
any_days = st.lists(st.dates(), min_size=2, max_size=2).map(sorted)
any_periods = st.builds(lambda days, known: Period(days[0], days[1] if known else None), any_days, st.booleans())
histories = st.lists(recent_periods, max_size=25) | st.lists(recent_periods | any_periods, max_size=8)
rules = st.sampled_from([EMPLOYMENT_GAP, BENEFIT_GAP])


def last_day(spanning):
    return spanning.end or date.max


def holds(outer, inner):
    """Whether `outer` covers every day of `inner`."""
    return outer.start <= inner.start and last_day(inner) <= last_day(outer)


@given(histories, rules)
def test_merging_again_changes_nothing(history, joins):
    once = merged(joins, *history)
    assert merged(joins, *once) == once


@given(st.data(), histories, rules)
def test_the_order_of_the_input_does_not_matter(data, history, joins):
    shuffled = data.draw(st.permutations(history))
    assert merged(joins, *shuffled) == merged(joins, *history)


@given(histories, rules)
def test_no_two_results_overlap_or_would_merge(history, joins):
    results = merged(joins, *history)
    assert all(last_day(earlier) < later.start for earlier, later in pairwise(results))
    assert all(len(merged(joins, *pair)) == 2 for pair in pairwise(results))


@given(histories, rules)
def test_every_day_of_the_input_is_in_exactly_one_result(history, joins):
    results = merged(joins, *history)
    assert all(sum(holds(result, part) for result in results) == 1 for part in history)


@given(histories, rules)
def test_every_result_starts_and_ends_with_one_of_its_parts(history, joins):
    results = merged(joins, *history)
    assert {result.start for result in results} <= {part.start for part in history}
    assert {result.end for result in results} <= {part.end for part in history}


@given(histories, rules)
def test_nothing_merges_that_no_earlier_period_reaches(history, joins):
    results = merged(joins, *history)
    inner = [part for part in history if part.start not in {result.start for result in results}]
    assert all(
        any(other.start < part.start and len(merged(joins, other, part)) == 1 for other in history) for part in inner
    )


@given(histories)
def test_benefits_never_merge_what_employment_would_not(history):
    by_employment = merged(EMPLOYMENT_GAP, *history)
    assert all(sum(holds(wide, narrow) for wide in by_employment) == 1 for narrow in merged(BENEFIT_GAP, *history))


@given(histories, histories, rules)
def test_what_others_have_never_changes_a_groups_result(one, other, joins):
    labelled = [Support("one", part.start, part.end) for part in one]
    labelled += [Support("other", part.start, part.end) for part in other]
    results = merge(labelled, joins, together, per=lambda part: part.kind)
    assert [Period(each.start, each.end) for each in results if each.kind == "one"] == merged(joins, *one)
    assert [Period(each.start, each.end) for each in results if each.kind == "other"] == merged(joins, *other)


# How lists are ordered (R2).


@dataclass(frozen=True)
class Line:
    """One line of a list."""

    name: str
    start: date | None
    end: date | None


def line(name, start, end):
    return Line(name, start and day(start), end and day(end))


def in_order(lines):
    return newest_first(lines, start=lambda each: each.start, end=lambda each: each.end, name=lambda each: each.name)


NEWEST_FIRST = [
    pytest.param(
        [line("a", "2019-01-01", None), line("b", "2022-01-01", "2022-12-31")], id="ongoing before ended, though older"
    ),
    pytest.param([line("b", "2022-01-01", None), line("a", "2022-01-01", "9999-12-31")], id="ongoing before any end"),
    pytest.param([line("b", "2022-01-01", None), line("a", "2021-01-01", None)], id="of ongoing the latest start"),
    pytest.param(
        [line("b", "2020-01-01", "2022-12-31"), line("a", "2021-01-01", "2022-06-30")], id="latest end before start"
    ),
    pytest.param(
        [line("b", "2021-01-01", "2022-12-31"), line("a", "2020-01-01", "2022-12-31")], id="of one end the latest start"
    ),
    pytest.param([line("a", "2020-01-01", None), line("b", "2020-01-01", None)], id="name at last"),
    pytest.param([line("anna", None, None), line("Bo", None, None), line("carl", None, None)], id="names without case"),
    pytest.param(
        [line("HF", None, None), line("Hf", None, None), line("hf", None, None)], id="names alike but for case"
    ),
    pytest.param([line("b", "0001-01-01", None), line("a", None, None)], id="an unknown start last"),
    pytest.param(
        [line("b", None, "2022-12-31"), line("a", "2022-01-01", "2022-06-30")],
        id="an unknown start keeps its end's place",
    ),
]


@pytest.mark.parametrize("lines", NEWEST_FIRST)
def test_lists_come_newest_first(lines):
    assert in_order(lines) == lines
    assert in_order(reversed(lines)) == lines


lines = st.builds(Line, st.text(max_size=3), st.none() | st.dates(), st.none() | st.dates())


@given(st.data(), st.lists(lines, max_size=10))
def test_the_newest_first_does_not_depend_on_the_order_of_the_input(data, unordered):
    assert in_order(data.draw(st.permutations(unordered))) == in_order(unordered)


@given(st.lists(lines, max_size=10))
def test_what_is_ongoing_comes_first_and_ends_descend(unordered):
    ends = [each.end for each in in_order(unordered)]
    ongoing = ends.count(None)
    assert ends[:ongoing] == [None] * ongoing
    assert ends[ongoing:] == sorted(ends[ongoing:], reverse=True)
