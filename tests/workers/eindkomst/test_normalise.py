"""Reports become periods of employment: pay for work, nothing that was taken back, merged by R3, newest first by R2."""

import time
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import EindkomstSettings
from domain.dated_tables import Row, Table
from domain.overview import LeftOut, UnknownValue
from domain.rules import DEFAULT_RULES
from registerbro.upstreams.errors import InvalidResponse
from tests.workers.eindkomst.answers import BLOWN_UP_SECONDS, CPR, about, answer, company, wages
from tests.workers.eindkomst.answers import report as report_element
from workers.eindkomst.normalise import employer_numbers, employers_of, normalise
from workers.eindkomst.reports import Days, Report, Reports
from workers.eindkomst.wire import read

NAMES = {"12345678": "Bageren ApS", "22222222": "Æblegården & Søn"}
SU = 1
HOLIDAY_PAY = 7


def report(start="2022-01-01", end="2022-01-31", *, cvr="12345678", se="87654321", kind="I", income=0, own_id="r-1"):
    days = Days(date.fromisoformat(start), date.fromisoformat(end))
    return Report(se, own_id, days, kind, income, reporters_cvr_number=cvr)


def of(*reports, left_out=()):
    return Reports(reports, left_out)


def shown(*reports, names=NAMES):
    items = normalise(of(*reports), names).sections["employments"]
    return [(item.employer, item.start.isoformat(), item.end.isoformat()) for item in items]


def periods(*reports):
    return [(start, end) for _, start, end in shown(*reports)]


JOB = ("Bageren ApS", "2022-01-01", "2022-01-31")


@pytest.mark.parametrize("income", [0, 3, 8, 9])
def test_a_report_of_pay_for_work_is_a_job(income):
    assert shown(report(income=income)) == [JOB]


def test_nothing_reported_is_no_data():
    assert normalise(of(), NAMES).sections == {"employments": []}


@pytest.mark.parametrize("income", [SU, 2, 4, 5, 6, HOLIDAY_PAY, 10, 11, 20, 24, 26, 28, 29])
def test_a_citizen_with_other_income_alone_has_no_jobs_and_no_failure(income):
    normalised = normalise(of(report(income=income), report(income=income, kind="T")), NAMES)
    assert normalised.sections == {"employments": []}
    assert normalised.unknown == ()


def test_a_type_of_income_that_nobody_has_told_us_of_is_no_job_and_is_named():
    normalised = normalise(of(report(income=77), report(income=77), report()), NAMES)
    assert [item.employer for item in normalised.sections["employments"]] == ["Bageren ApS"]
    assert normalised.unknown == (UnknownValue("indkomsttype", "77"),) * 2
    assert normalise(of(report(income=77)), NAMES).sections == {"employments": []}


def test_a_report_has_the_meaning_that_its_type_had_on_its_own_days():
    rows = [Row(5, True, last=date(2021, 12, 31)), Row(5, False, first=date(2022, 1, 1), last=date(2026, 12, 31))]
    rules = replace(DEFAULT_RULES, income_types=Table(rows))
    old, new, later = (report(f"{year}-03-01", f"{year}-03-31", income=5) for year in (2021, 2023, 2027))
    normalised = normalise(of(old, new, later), NAMES, rules=rules)
    assert [(item.start, item.end) for item in normalised.sections["employments"]] == [(old.days.first, old.days.last)]
    assert normalised.unknown == (UnknownValue("indkomsttype", "5"),)


def test_what_could_not_be_read_is_told_on():
    assert normalise(of(report(), left_out=(LeftOut("period", "report 2"),)), NAMES).left_out == (
        LeftOut("period", "report 2"),
    )


@pytest.mark.parametrize("others", [[], [report(income=SU)], [report(), report(kind="T")]])
def test_a_report_that_could_not_be_read_and_no_job_beside_it_is_a_failure_and_never_no_data(others):
    with pytest.raises(InvalidResponse):
        normalise(of(*others, left_out=(LeftOut("period", "report 2"),)), NAMES)


def test_a_month_that_was_taken_back_is_a_gap():
    months = [
        report("2022-01-01", "2022-01-31", own_id="a"),
        report("2022-02-01", "2022-02-28", own_id="b"),
        report("2022-03-01", "2022-03-31", own_id="c"),
        report("2022-04-01", "2022-04-30", own_id="d"),
    ]
    back = [report(kind="T", own_id="b"), report("2022-03-01", "2022-03-31", kind="T", own_id="x")]
    assert periods(*months, *back) == [("2022-04-01", "2022-04-30"), ("2022-01-01", "2022-01-31")]


# R3


@pytest.mark.parametrize(
    ("ends", "starts", "merges"),
    [
        ("2022-01-31", "2022-03-01", True),
        ("2022-01-31", "2022-03-02", False),
        ("2022-01-30", "2022-02-28", True),
        ("2022-01-30", "2022-03-01", False),
        ("2022-05-31", "2022-06-01", True),
        ("2022-05-31", "2022-05-01", True),
    ],
)
def test_a_gap_of_more_than_a_month_starts_a_new_period(ends, starts, merges):
    first, second = ("2021-12-01", ends), (starts, "2022-08-31")
    one = [("2021-12-01", "2022-08-31")]
    assert periods(report(*first), report(*second)) == (one if merges else [second, first])


def test_of_overlapping_periods_the_later_end_is_kept():
    assert periods(report("2022-01-01", "2022-12-31"), report("2022-02-01", "2022-02-28")) == [
        ("2022-01-01", "2022-12-31")
    ]


def test_different_employers_never_merge():
    assert len(shown(report(), report(cvr="22222222"))) == 2


def test_an_employer_is_its_cvr_number_whichever_of_its_se_numbers_reports():
    february = report("2022-02-01", "2022-02-28", se="11111111")
    assert shown(report(), february) == [("Bageren ApS", "2022-01-01", "2022-02-28")]


def test_the_end_is_the_last_that_was_reported_and_never_open():
    assert periods(report("2022-01-01", "9999-12-31")) == [("2022-01-01", "9999-12-31")]


# R2


def test_the_newest_comes_first():
    assert shown(
        report("2019-01-01", "2019-12-31", cvr="22222222"),
        report("2021-01-01", "2021-12-31", cvr="12345678"),
        report("2020-12-01", "2021-12-31", cvr="22222222"),
        report("2021-01-01", "2021-12-31", cvr="33333333"),
    ) == [
        ("Bageren ApS", "2021-01-01", "2021-12-31"),
        ("Virksomhed med CVR-nr. 33333333", "2021-01-01", "2021-12-31"),
        ("Æblegården & Søn", "2020-12-01", "2021-12-31"),
        ("Æblegården & Søn", "2019-01-01", "2019-12-31"),
    ]


@pytest.mark.parametrize(
    ("cvr", "names", "name"),
    [
        ("12345678", NAMES, "Bageren ApS"),
        ("12345678", {}, "Virksomhed med CVR-nr. 12345678"),
        (None, {}, "Virksomhed med SE-nr. 87654321"),
        ("12345678", {"12345678": "<script>alert(1)</script>"}, "<script>alert(1)</script>"),
    ],
)
def test_an_employer_is_shown_by_name_and_else_by_number(cvr, names, name):
    ((employer, *_),) = shown(report(cvr=cvr), names=names)
    assert employer == name


def test_a_company_whose_number_is_once_its_se_and_once_its_cvr_number_is_one_employer():
    same = report("2022-02-01", "2022-02-28", se="12345678", cvr=None)
    assert shown(report(), same, names={}) == [("Virksomhed med CVR-nr. 12345678", "2022-01-01", "2022-02-28")]


def test_only_the_numbers_of_employers_that_are_shown_are_looked_up():
    reports = [
        report(),
        report(cvr=None, se="66666666"),
        report(cvr="22222222", se="22222222", income=SU),
        report("2021-01-01", "2021-01-31", cvr="33333333", se="33333333"),
        report("2021-01-01", "2021-01-31", cvr="33333333", se="33333333", kind="T"),
    ]
    assert employer_numbers(employers_of(of(*reports))) == {"12345678", "66666666"}


# Whatever comes

DAYS = st.dates(date(2020, 1, 1), date(2020, 6, 30))
REPORTS = st.builds(
    lambda se, own_id, days, *rest: Report(se, own_id, Days(min(days), max(days)), *rest),
    st.sampled_from(["11111111", "22222222"]),
    st.sampled_from("abcdef"),
    st.tuples(DAYS, DAYS),
    st.sampled_from("IIIT"),
    st.sampled_from([0, 0, 0, 6, 99]),
    st.booleans(),
    st.sampled_from([None, "99999999"]),
    st.sampled_from([None, "11111111", "33333333"]),
)


@given(st.data(), st.lists(REPORTS, max_size=12))
def test_the_order_of_the_reports_changes_nothing(data, reports):
    shuffled = data.draw(st.permutations(reports))
    assert normalise(of(*shuffled), NAMES) == normalise(of(*reports), NAMES)
    assert employer_numbers(employers_of(of(*shuffled))) == employer_numbers(employers_of(of(*reports)))


@given(st.lists(REPORTS, max_size=12), st.lists(REPORTS, max_size=12), st.sampled_from([SU, HOLIDAY_PAY, 29, 77]))
def test_adding_an_ignored_type_changes_nothing(reports, more, income):
    ignored = [replace(one, income_type=income) for one in more]
    assert normalise(of(*ignored, *reports), NAMES).sections == normalise(of(*reports), NAMES).sections


@given(st.lists(REPORTS, max_size=12))
def test_every_day_that_is_shown_lies_between_days_that_were_reported_and_none_is_lost(reports):
    jobs = [one for one in reports if (one.kind, one.income_type, one.marked) == ("I", 0, False)]
    shown = [(item.start, item.end) for item in normalise(of(*jobs), NAMES).sections["employments"]]
    assert {start for start, _ in shown} <= {job.days.first for job in jobs}
    assert {end for _, end in shown} <= {job.days.last for job in jobs}
    assert all(any(start <= job.days.first and job.days.last <= end for start, end in shown) for job in jobs)


def test_forty_jobs_over_fifteen_years_do_not_take_ever_longer():
    months = [
        (f"{year}-{month:02}-01", f"{year}-{month:02}-28") for year in range(2008, 2023) for month in range(1, 13)
    ]
    body = about(
        *(
            company(
                *(report_element(wages(), start=start, end=end, own_id=start) for start, end in months),
                se=f"{10000000 + job}",
            )
            for job in range(40)
        )
    ).replace(b">12345678<", b"><")
    began = time.process_time()
    reports = read(answer(body), CPR, EindkomstSettings())
    normalised = normalise(reports, {})
    took = time.process_time() - began
    print(f"7,200 reports were read and normalised in {took:.2f} s of processor time")
    assert took < BLOWN_UP_SECONDS
    assert (len(reports.read), len(normalised.sections["employments"])) == (7200, 40)
