"""Reports become periods of employment: only wages, nothing that was taken back, merged by R3, newest first by R2."""

import time
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.eindkomst.answers import BLOWN_UP_SECONDS, CPR, about, answer, company, period, wages
from workers.domain.overview import UnknownValue
from workers.eindkomst.normalise import employer_numbers, normalise
from workers.eindkomst.wire import Report, read
from workers.resilience.errors import InvalidResponse

NAMES = {"12345678": "Bageren ApS", "22222222": "Æblegården & Søn"}
SU = "01"


def report(start="2022-01-01", end="2022-01-31", *, cvr="12345678", se="87654321", kind="I", income="00", form="11000"):
    return Report(se, cvr, date.fromisoformat(start), date.fromisoformat(end), form, kind, income)


def shown(*reports, names=NAMES):
    items = normalise(reports, names).sections["employments"]
    return [(item.employer, item.start.isoformat(), item.end.isoformat()) for item in items]


def periods(*reports):
    return [(start, end) for _, start, end in shown(*reports)]


JOB = ("Bageren ApS", "2022-01-01", "2022-01-31")


def test_a_report_of_wages_is_a_job():
    assert shown(report()) == [JOB]


def test_nothing_reported_is_no_data():
    assert normalise((), NAMES).sections == {"employments": []}


@pytest.mark.parametrize("income", ["01", "02", "03", "04", "05", "06", "07", "08", "09"])
def test_any_other_income_is_no_job_and_nothing_strange(income):
    normalised = normalise([report(income=income), report(income=income, kind="X")], NAMES)
    assert normalised.sections == {"employments": []}
    assert normalised.unknown == ()


@pytest.mark.parametrize("form", ["16000", "16001", "11001", ""])
def test_another_form_is_no_job(form):
    assert shown(report(form=form)) == []
    assert shown(report(form=form, kind=None, income=None, cvr=None), report()) == [JOB]


# Values that the contract does not know


@pytest.mark.parametrize(
    ("strange", "unknown"),
    [
        (report(income="10"), UnknownValue("indkomsttype", "10")),
        (report(income="0"), UnknownValue("indkomsttype", "0")),
        (report(income="6102991234"), UnknownValue("indkomsttype", "?")),
        (report(kind="X"), UnknownValue("indberetningsart", "X")),
        (report(kind="i"), UnknownValue("indberetningsart", "i")),
        (report(kind="en tekst"), UnknownValue("indberetningsart", "?")),
    ],
)
def test_a_value_that_is_not_known_leaves_its_report_out_and_is_named_once(strange, unknown):
    normalised = normalise([strange, report(cvr="22222222", se="22222222"), strange], NAMES)
    assert [item.employer for item in normalised.sections["employments"]] == ["Æblegården & Søn"]
    assert normalised.unknown == (unknown,)


@pytest.mark.parametrize("strange", [report(income="10"), report(kind="X")])
def test_reports_that_were_all_left_out_are_a_failure_and_never_no_data(strange):
    with pytest.raises(InvalidResponse):
        normalise([strange, report(income=SU)], NAMES)


# Reversals


def test_a_reversal_takes_away_the_report_of_the_same_company_and_period():
    assert shown(report(), report(kind="T")) == []


@pytest.mark.parametrize(
    "other",
    [
        report(kind="T", se="11111111"),
        report(kind="T", start="2022-01-02"),
        report(kind="T", end="2022-01-30"),
        report(kind="T", income=SU),
        report(kind="T", form="16000"),
    ],
)
def test_a_reversal_of_something_else_takes_nothing_away(other):
    assert shown(report(), other) == [JOB]


@pytest.mark.parametrize(
    ("reported", "taken_back", "left"), [(2, 1, [JOB]), (2, 2, []), (1, 2, []), (3, 2, [JOB]), (0, 1, [])]
)
def test_each_reversal_takes_away_one_report_and_no_more(reported, taken_back, left):
    assert shown(*[report(kind="T")] * taken_back, *[report()] * reported) == left


def test_a_month_that_was_taken_back_is_a_gap():
    months = [
        report("2022-01-01", "2022-01-31"),
        report("2022-02-01", "2022-02-28"),
        report("2022-03-01", "2022-03-31"),
        report("2022-04-01", "2022-04-30"),
    ]
    back = [report("2022-02-01", "2022-02-28", kind="T"), report("2022-03-01", "2022-03-31", kind="T")]
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
        report(cvr=None),
        report(cvr="22222222", income=SU),
        report("2021-01-01", "2021-01-31", cvr="33333333"),
        report("2021-01-01", "2021-01-31", cvr="33333333", kind="T"),
        report(cvr="44444444", kind="X"),
        report(cvr="55555555", form="16000"),
    ]
    assert employer_numbers(reports) == {"12345678"}


# Whatever comes

DAYS = st.dates(date(2020, 1, 1), date(2020, 6, 30))
REPORTS = st.builds(
    lambda days, *rest: Report(rest[0], rest[1], min(days), max(days), *rest[2:]),
    st.tuples(DAYS, DAYS),
    st.sampled_from(["11111111", "22222222"]),
    st.sampled_from(["11111111", "33333333", None]),
    st.sampled_from(["11000", "16000"]),
    st.sampled_from(["I", "I", "I", "T", "X", None]),
    st.sampled_from(["00", "00", "00", "06", "99", None]),
)
ANYTHING = st.builds(
    Report, st.text(), st.none() | st.text(), st.dates(), st.dates(), st.text(), st.text(), st.none() | st.text()
).filter(lambda report: report.start <= report.end)


def outcome_of(reports):
    try:
        return normalise(reports, NAMES)
    except InvalidResponse as error:
        return str(error)


@given(st.data(), st.lists(REPORTS, max_size=12))
def test_the_order_of_the_reports_changes_nothing(data, reports):
    shuffled = data.draw(st.permutations(reports))
    assert outcome_of(shuffled) == outcome_of(reports)
    assert employer_numbers(shuffled) == employer_numbers(reports)


@given(st.lists(REPORTS | ANYTHING, max_size=8), st.dictionaries(st.text(), st.text()))
def test_nothing_but_an_invalid_response_is_ever_raised(reports, names):
    with suppress(InvalidResponse):
        normalise(reports, names)


@given(st.lists(REPORTS, max_size=12))
def test_every_day_that_is_shown_lies_between_days_that_were_reported_and_none_is_lost(reports):
    jobs = [report for report in reports if (report.form, report.kind, report.income_type) == ("11000", "I", "00")]
    shown = [(item.start, item.end) for item in normalise(jobs, NAMES).sections["employments"]]
    assert {start for start, _ in shown} <= {job.start for job in jobs}
    assert {end for _, end in shown} <= {job.end for job in jobs}
    assert all(any(start <= job.start and job.end <= end for start, end in shown) for job in jobs)


def test_forty_jobs_over_fifteen_years_do_not_take_ever_longer():
    months = [
        (f"{year}-{month:02}-01", f"{year}-{month:02}-28") for year in range(2008, 2023) for month in range(1, 13)
    ]
    body = about(
        *(
            company(*(period(wages(cvr=f"{10000000 + job}"), start=start, end=end) for start, end in months))
            for job in range(40)
        )
    )
    began = time.process_time()
    reports = read(answer(body), CPR)
    normalised = normalise(reports, {})
    took = time.process_time() - began
    print(f"7,200 reports were read and normalised in {took:.2f} s of processor time")
    assert took < BLOWN_UP_SECONDS
    assert (len(reports), len(normalised.sections["employments"])) == (7200, 40)
