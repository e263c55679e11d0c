"""The rules of reports, each by itself: which are about work, which were taken back, on which days, and by whom."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workers.eindkomst.reports import (
    Days,
    Employer,
    Report,
    UnreadablePeriod,
    employers,
    income_type,
    not_reversed,
    paid_days,
    told_cvr_number,
)

JANUARY = Days(date(2022, 1, 1), date(2022, 1, 31))
FEBRUARY = Days(date(2022, 2, 1), date(2022, 2, 28))


def report(own_id="r-1", days=JANUARY, *, se="87654321", kind="I", of_type=0, marked=False, reporter=None, cvr=None):
    return Report(se, own_id, days, kind, of_type, marked, reporter, cvr)


def reversal(own_id="t-1", days=JANUARY, **more):
    return report(own_id, days, kind="T", **more)


# The days


@pytest.mark.parametrize(
    ("start", "end", "duration", "first", "last"),
    [
        ("2022-01-01", "2022-01-31", None, "2022-01-01", "2022-01-31"),
        ("2022-01-31", "2022-01-31", None, "2022-01-31", "2022-01-31"),
        ("2022-01-01Z", "2022-01-31+01:00", None, "2022-01-01", "2022-01-31"),
        ("2022-01-01", None, "P1M", "2022-01-01", "2022-01-31"),
        ("2022-01-01", None, "P30D", "2022-01-01", "2022-01-30"),
        ("2022-01-31", None, "P1M", "2022-01-31", "2022-02-27"),
        ("2022-01-01", None, "P1D", "2022-01-01", "2022-01-01"),
        ("2022-01-01", None, "P1DT1S", "2022-01-01", "2022-01-02"),
        ("2022-01-01", None, "PT8H", "2022-01-01", "2022-01-01"),
        ("2022-01-01", None, "PT24H", "2022-01-01", "2022-01-01"),
        ("2022-01-01", None, "P0D", "2022-01-01", "2022-01-01"),
        ("2020-02-29", None, "P1Y", "2020-02-29", "2021-02-27"),
        ("2022-01-01", None, "P1Y2M3DT4H5M6.7S", "2022-01-01", "2023-03-04"),
        (None, "2022-01-31", "P1M", "2022-01-01", "2022-01-31"),
        (None, "2022-01-31", "P31D", "2022-01-01", "2022-01-31"),
        (None, "2022-01-31", "PT8H", "2022-01-31", "2022-01-31"),
        (None, "2022-01-31", "P1DT1H", "2022-01-30", "2022-01-31"),
        (None, "2022-01-31", "P0D", "2022-01-31", "2022-01-31"),
        (None, "2022-03-30", "P1M", "2022-02-28", "2022-03-30"),
        ("9999-12-01", None, "P1M", "9999-12-01", "9999-12-31"),
        (None, "9999-12-31", "P1M", "9999-12-01", "9999-12-31"),
        (None, "9999-12-31", "PT1H", "9999-12-31", "9999-12-31"),
        ("2022-02-15", None, None, "2022-02-01", "2022-02-28"),
        (None, "2024-02-15", None, "2024-02-01", "2024-02-29"),
        ("9999-12-31", None, None, "9999-12-01", "9999-12-31"),
        ("0001-01-01", "9999-12-31", None, "0001-01-01", "9999-12-31"),
    ],
)
def test_days_are_told_by_two_of_start_end_and_duration_or_by_the_month_of_one_date(start, end, duration, first, last):
    assert paid_days(start, end, duration) == Days(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("start", "end", "duration"),
    [
        (None, None, None),
        (None, None, "P1M"),
        ("2022-02-01", "2022-01-31", None),
        ("", "2022-01-31", None),
        ("2022-02-30", None, None),
        ("2022-13-01", "2022-12-31", None),
        ("0000-01-01", None, None),
        ("-2022-01-01", None, None),
        ("12022-01-01", None, None),
        ("20220101", None, None),
        ("2022-W01-1", None, None),
        ("2022-01-01T00:00:00", None, None),
        ("٢٠٢٢-01-01", None, None),
        ("2022-01-01", None, "-P1M"),
        ("2022-01-01", None, "P"),
        ("2022-01-01", None, "P1MT"),
        ("2022-01-01", None, "1M"),
        ("2022-01-01", None, "P1W"),
        ("2022-01-01", None, ""),
        ("2022-01-01", None, "P9000Y"),
        ("9999-12-02", None, "P1M"),
        ("9999-12-31", None, "PT25H"),
        ("2022-01-01", None, "P9999999Y"),
        ("2022-01-01", None, "PT999999999H"),
        (None, "2022-01-31", "P9000Y"),
    ],
)
def test_days_that_cannot_be_told_are_refused(start, end, duration):
    with pytest.raises(UnreadablePeriod) as caught:
        paid_days(start, end, duration)
    assert str(caught.value) == ""


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(1, 4000))
def test_so_many_days_from_a_start_and_up_to_an_end_are_the_same_days(first, count):
    last = first + timedelta(days=count - 1)
    assert paid_days(first.isoformat(), None, f"P{count}D") == Days(first, last)
    assert paid_days(None, last.isoformat(), f"P{count}D") == Days(first, last)


# The type of income


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("00", 0), ("1", 1), ("01", 1), ("29", 29), ("029", 29), ("999999999", 999999999)],
)
def test_a_type_of_income_is_a_number_however_it_is_written(text, number):
    assert income_type(text) == number


@pytest.mark.parametrize("text", ["", "A", "-1", "+1", "1.0", "1 1", "١", "²", "1234567890"])
def test_what_is_no_number_is_no_type_of_income(text):
    assert income_type(text) is None


# Reversals


@pytest.mark.parametrize(
    ("reports", "left"),
    [
        ([report()], [report()]),
        # By the register's own mark.
        ([report(marked=True)], []),
        ([report("a", marked=True), report("b")], [report("b")]),
        # By id, whatever period or type the reversal names.
        ([report(), reversal("r-1")], []),
        ([report(), reversal("r-1", FEBRUARY)], []),
        ([report("a"), report("b"), reversal("b")], [report("a")]),
        ([report("a"), report("b"), reversal("b"), reversal("b")], [report("a")]),
        ([report("a", se="11111111"), reversal("a", FEBRUARY)], [report("a", se="11111111")]),
        # By period, when no report has the id.
        ([report(), reversal()], []),
        ([report(), reversal(days=FEBRUARY)], [report()]),
        ([report(), reversal(se="11111111")], [report()]),
        ([report(), reversal(of_type=3)], [report()]),
        ([report("a"), report("b"), reversal()], [report("b")]),
        ([report("a"), report("b"), reversal("t-1"), reversal("t-2"), reversal("t-3")], []),
        # What a reversal has told by its id it does not tell again by period.
        ([report("a"), report("b"), reversal("a")], [report("b")]),
        # A reversal tells of a report that is marked again, and takes away nothing else.
        ([report("a", marked=True), report("b"), reversal()], [report("b")]),
        ([report("a", marked=True), report("b"), reversal("t-1"), reversal("t-2")], []),
        ([report("a", marked=True), report("b"), reversal("a")], [report("b")]),
        # The one without a CVR number of its own goes first.
        ([report("a", cvr="12345678"), report("b"), reversal()], [report("a", cvr="12345678")]),
        ([reversal()], []),
    ],
)
def test_a_report_that_was_taken_back_is_gone_and_no_other(reports, left):
    assert not_reversed(reports) == left
    assert not_reversed(reports[::-1]) == left


DAYS = st.sampled_from([JANUARY, FEBRUARY, Days(date(2022, 1, 1), date(2022, 2, 28))])
REPORTS = st.builds(
    Report,
    st.sampled_from(["11111111", "22222222"]),
    st.sampled_from("abcdef"),
    DAYS,
    st.sampled_from("IIIT"),
    st.sampled_from([0, 0, 0, 3, 4]),
    st.booleans(),
    st.sampled_from([None, "11111111", "99999999"]),
    st.sampled_from([None, "33333333", "44444444"]),
)


@given(st.data(), st.lists(REPORTS, max_size=12))
def test_the_order_of_reports_never_matters(data, reports):
    shuffled = data.draw(st.permutations(reports))
    assert Counter(not_reversed(shuffled)) == Counter(not_reversed(reports))
    assert employers(not_reversed(shuffled)) == employers(not_reversed(reports))


@given(st.lists(REPORTS, max_size=12), REPORTS, st.booleans())
def test_a_reversal_takes_away_exactly_its_report(others, one, by_id):
    """Whatever else there is: a report and its reversal are as if neither had come."""
    one = replace(one, own_id="one", kind="I", marked=False)
    back = replace(one, own_id="one" if by_id else "back", kind="T")
    # By period alone, which of two reports of the same period is meant cannot be told: there is one.
    same = [
        other
        for other in others
        if (other.se_number, other.days, other.income_type) == (one.se_number, one.days, one.income_type)
    ]
    assume(by_id or not same)
    assert not_reversed([*others, one, back]) == not_reversed(others)


@given(st.lists(REPORTS, max_size=12))
def test_as_many_reports_go_as_were_taken_back_and_never_more(reports):
    reports = [replace(one, own_id=f"{index}", marked=False) for index, one in enumerate(reports)]
    subjects = [
        Counter((one.se_number, one.days, one.income_type) for one in reports if one.kind == kind) for kind in "IT"
    ]
    assert len(not_reversed(reports)) == (subjects[0] - subjects[1]).total()


# The employer


@pytest.mark.parametrize(
    ("reporter", "cvr", "told"),
    [
        (None, "12345678", "12345678"),
        ("87654321", "12345678", "12345678"),
        ("99999999", "12345678", None),
        (None, None, None),
        (None, "", None),
        (None, "1234567", "01234567"),
        (None, "00000000", None),
        (None, "123456789", None),
        (None, "DK123456", None),
        (None, "١٢٣٤٥٦٧٨", None),
        ("", "12345678", "12345678"),
    ],
)
def test_a_cvr_number_is_the_companys_unless_a_bureau_has_sent_the_report(reporter, cvr, told):
    assert told_cvr_number(report(reporter=reporter, cvr=cvr)) == told


def test_leading_zeros_that_were_lost_make_no_other_company():
    assert told_cvr_number(report(se="00123456", reporter="123456", cvr="7654321")) == "07654321"


def by(*reports):
    found = employers(reports)
    return [found[one] for one in reports]


def test_an_employer_is_known_by_its_cvr_number_and_else_by_its_se_number():
    assert by(report(cvr="12345678")) == [Employer("12345678", has_cvr_number=True)]
    assert by(report()) == [Employer("87654321", has_cvr_number=False)]


def test_two_employers_with_one_bureau_stay_two_and_the_bureau_is_none():
    through_bureau = {"reporter": "99999999", "cvr": "99999990"}
    assert by(report(se="11111111", **through_bureau), report(se="22222222", **through_bureau)) == [
        Employer("11111111", has_cvr_number=False),
        Employer("22222222", has_cvr_number=False),
    ]


def test_a_company_that_changes_to_a_bureau_stays_one_employer():
    own, through_bureau = report("a", cvr="12345678"), report("b", FEBRUARY, reporter="99999999", cvr="99999990")
    assert by(own, through_bureau) == [Employer("12345678", has_cvr_number=True)] * 2


def test_a_company_with_two_se_numbers_is_one_employer():
    assert len(set(by(report(se="11111111", cvr="12345678"), report(se="22222222", cvr="12345678")))) == 1


def test_of_two_cvr_numbers_neither_is_taken_for_a_report_that_tells_none():
    first, second, none = report("a", cvr="11111111"), report("b", cvr="22222222"), report("c")
    assert [employer.number for employer in by(first, second, none)] == ["11111111", "22222222", "87654321"]


def test_a_reports_repr_shows_nothing_of_the_citizen():
    assert "87654321" not in repr(report())
