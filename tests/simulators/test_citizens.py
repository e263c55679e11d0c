"""The constructed citizens: none can be a real person, and between them they have what every rule needs."""

from datetime import date

import pytest

from domain.cpr import Cpr
from domain.rules import DEFAULT_RULES
from domain.target_group import in_target_group
from simulators import citizens
from simulators.citizens import CITIZENS
from simulators.companies import COMPANIES
from simulators.register_data import DFDG_SERVICES, Wages

TODAY = date(2026, 11, 23)
EVERYBODY = pytest.mark.parametrize("citizen", citizens.BY_CPR.values(), ids=lambda citizen: citizen.name)


def is_in_target_group(citizen, today=TODAY):
    groups, order = citizen.contact_groups, citizen.education_order
    born = Cpr.parse(citizen.cpr).birth_date
    return in_target_group(
        DEFAULT_RULES.target_group, born=born, contact_groups=groups, education_order=order, today=today
    )


@EVERYBODY
def test_no_constructed_citizen_can_be_a_real_person(citizen):
    assert 61 <= int(citizen.cpr[:2]) <= 91
    assert Cpr.parse(citizen.cpr)


@EVERYBODY
def test_each_says_what_it_is_there_for(citizen):
    assert citizen.about
    assert "\n" not in citizen.about


@EVERYBODY
def test_each_is_of_an_age_to_be_in_the_registers(citizen):
    assert 1996 <= Cpr.parse(citizen.cpr).birth_date.year <= 2008


@EVERYBODY
def test_no_period_ends_before_it_starts(citizen):
    assert all(wages.start <= wages.end for wages in citizen.wages if wages.start and wages.end)
    assert all(item["startdato"] <= item.get("slutdato", "9999") for item in citizen.ydelse or ())
    begun = {}
    for event in citizen.udb or ():
        course = event["institution"]["nummer"], event["uddannelse"]["kode"]
        assert begun.setdefault(course, event.get("dato", "9999")) <= event.get("dato", "9999")


def test_there_are_as_many_citizens_as_are_needed_and_nobody_twice():
    assert len(citizens.BY_CPR) == len({citizen.name for citizen in citizens.BY_CPR.values()})
    assert len({citizen.cpr for citizen in CITIZENS}) == len(CITIZENS) >= 20
    assert citizens.STRANGER not in citizens.BY_CPR
    assert Cpr.parse(citizens.STRANGER)


def test_some_are_outside_the_target_group_each_for_a_reason_of_its_own():
    outside = [citizen for citizen in CITIZENS if not is_in_target_group(citizen)]
    # Those whom DFDG's services alone know are there for its own pages, which are for everyone.
    assert [citizen for citizen in outside if not citizen.known_to or set(citizen.known_to) - {*DFDG_SERVICES}] == [
        citizens.OUTSIDE,
        citizens.YOUNG_WITHOUT_ORDER,
        citizens.TURNS_25,
    ]


def test_contact_group_1_is_there_with_and_without_an_order_and_on_both_sides_of_25():
    day_before = date(2026, 11, 22)
    assert is_in_target_group(citizens.TURNS_25, day_before)
    assert is_in_target_group(citizens.NEARLY_25, date(2026, 11, 24))
    assert not is_in_target_group(citizens.NEARLY_25, date(2026, 11, 25))
    assert is_in_target_group(citizens.YOUNG_WITH_ORDER)


def test_every_contact_group_of_the_rule_is_there():
    assert {1, 12, 28} <= {group for citizen in CITIZENS for group in citizen.contact_groups}


def test_every_type_competence_and_status_of_an_education_is_there():
    items = [item for citizen in CITIZENS for item in citizen.udb or ()]
    said = {
        (item["uddannelse"]["type"], item["uddannelse"].get("kompetence"), item["haendelsestype"]) for item in items
    }
    ordinary = {(kompetence, kind) for of, kompetence, kind in said if of == "UDDANNELSE"}
    special = {(of, kind) for of, _, kind in said if of != "UDDANNELSE" and kind != "FARE_FOR_AFBRUD"}
    statuses = ("OPTAGELSE", "AFBRUD", "FULDFOERELSE")
    assert ordinary > {(k, s) for k in ("ERHVERVSKOMPETENCEGIVENDE", "KOMPETENCEGIVENDE") for s in statuses}
    assert ("INGEN", "FULDFOERELSE") in ordinary
    assert special == {(kind, status) for kind in ("FGU", "STU") for status in statuses}


def test_a_course_is_told_in_every_way_that_events_can():
    kinds = [event["haendelsestype"] for event in citizens.FGU_CHANGES.udb]
    assert kinds == ["OPTAGELSE", "OPTAGELSE", "OPTAGELSE", "FARE_FOR_AFBRUD"]
    assert len({(e["institution"]["nummer"], e["uddannelse"]["kode"]) for e in citizens.FGU_CHANGES.udb}) == 1
    assert [event.get("aarsag") for event in citizens.NEVER_MET.udb].count("Ej mødt") == 1
    hf = [event["haendelsestype"] for event in citizens.NEVER_MET.udb if event["uddannelse"]["navn"] == "Hf"]
    assert hf == ["OPTAGELSE", "AFBRUD", "FULDFOERELSE"]


def test_no_two_events_of_a_citizen_have_one_id():
    for citizen in CITIZENS:
        ids = [event["haendelsesIdentifier"] for event in citizen.udb or ()]
        assert len(set(ids)) == len(ids)


def test_every_type_of_benefit_is_there():
    assert len({item["ydelsestype"] for item in citizens.BENEFIT_TYPES.ydelse}) == 10


def test_benefits_are_there_that_say_less_than_we_would_like():
    items = citizens.BENEFITS_UNTOLD.ydelse
    told = {(item.get("ydelsestype") is not None, item.get("kontaktgruppeType") is not None) for item in items}
    assert told == {(False, True), (False, False), (True, False)}
    assert {type(item.get("kontaktgruppeType")) for item in items} == {int, str, type(None)}
    assert {item.get("samtidigJob", "missing") for item in items} == {True, False, None, "missing"}
    starts = {item["startdato"] for item in items}
    assert max(starts) > "2090"
    assert "2024-02-30" in starts


def test_somebody_has_no_end_date_in_each_register_that_may_lack_one():
    assert any("slutdato" not in item for citizen in CITIZENS for item in citizen.ydelse or ())
    finished = [item for citizen in CITIZENS for item in citizen.udb or () if item["haendelsestype"] != "OPTAGELSE"]
    assert any("dato" not in item for item in finished)


@pytest.mark.parametrize("register", ["udb", "su", "eindkomst", "ydelse", *DFDG_SERVICES])
def test_each_register_knows_somebody_of_whom_it_holds_nothing(register):
    assert register not in citizens.EMPTY.known_to
    assert getattr(citizens.EMPTY, "wages" if register == "eindkomst" else register) == ()


def test_incomes_that_are_no_jobs_are_there():
    assert {wages.income_type for wages in citizens.NOT_JOBS.wages} == {"01", "04", "06", "07"}


def test_a_report_is_taken_back_whole_and_another_only_once_of_twice():
    assert [wages.kind for wages in citizens.EXAMPLE.wages].count("T") == 1
    twice = [wages for wages in citizens.RAW_REPORTS.wages if wages.cvr == "44444444"]
    assert [wages.kind for wages in twice] == ["I", "I", "T"]


def test_there_is_a_history_of_forty_jobs():
    assert len({wages.cvr for wages in citizens.LONG_HISTORY.wages}) == 40


def test_names_try_what_a_page_must_withstand():
    items = [item for citizen in CITIZENS for item in citizen.udb or ()]
    employers = [company.name for company in COMPANIES.values() if company.name]
    shown = [
        *employers,
        *{name for item in items for name in (item["uddannelse"]["navn"], item["institution"]["navn"])},
    ]
    assert sum("<script>" in name for name in shown) == 2
    assert all(any(letter in name for name in shown) for letter in "æøåÆØÅ")


def test_an_employer_is_not_known_to_cvr():
    assert any(wages.cvr not in COMPANIES for wages in citizens.STRANGE_NAMES.wages)


def test_a_company_may_report_under_several_se_numbers_and_leave_out_its_cvr_number():
    numbers = [(wages.se_number, wages.cvr) for wages in citizens.RAW_REPORTS.wages]
    assert numbers[-3:] == [("66666666", "66666666"), ("66666674", "66666666"), ("88888888", None)]


def test_a_report_without_any_number_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="SE number"):
        _ = Wages(None, TODAY, TODAY).se_number


def test_a_report_without_any_day_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="a start or an end"):
        _ = Wages("11111111", None, None).tax_month


def test_two_employers_have_one_bureau_which_is_neither():
    wages = citizens.TWO_EMPLOYERS_ONE_BUREAU.wages
    (bureau,) = {report.reporter for report in wages}
    assert len({report.se_number for report in wages} - {bureau}) == 2


def test_reports_are_taken_back_in_each_of_three_ways():
    def of(number):
        return [report for report in citizens.REVERSED.wages if report.cvr == number]

    (marked,) = of("70000003")
    assert marked.reversed_later
    told, taken = of("70000004")
    assert (told.own_id, told.kind, taken.kind) == (taken.own_id, "I", "T")
    assert (told.start, told.end) != (taken.start, taken.end)
    told, taken = of("70000005")
    assert (told.own_id, taken.own_id, taken.kind) == (None, None, "T")
    assert (told.start, told.end, told.income_type) == (taken.start, taken.end, taken.income_type)
    first, second, taken, later = of("70000006")
    assert first.own_id == taken.own_id != second.own_id
    assert later.tax_month > f"{later.end:%Y%m}"


def test_holiday_pay_alone_is_no_work():
    assert {wages.income_type for wages in citizens.HOLIDAY_PAY.wages} == {"05", "07"}


def test_there_are_300_reports_each_but_once():
    assert len(set(citizens.MANY_REPORTS.wages)) == 300
    assert len({wages.cvr for wages in citizens.MANY_REPORTS.wages}) == 10


def test_one_of_forty_reports_says_nothing_and_the_others_are_of_other_employers():
    (unreadable,) = [wages for wages in citizens.ONE_UNREADABLE.wages if not wages.forms]
    assert len({wages.cvr for wages in citizens.ONE_UNREADABLE.wages} - {unreadable.cvr}) == 39


def test_periods_are_told_in_every_way_but_by_both_days():
    told = {(bool(wages.start), bool(wages.end), bool(wages.duration)) for wages in citizens.PERIODS.wages}
    assert told == {
        (True, False, False),
        (False, True, False),
        (True, False, True),
        (False, True, True),
    }


def test_whoever_changed_number_is_on_no_list_and_answered_by_a_number_of_nobody():
    assert citizens.CPR_CHANGER not in CITIZENS
    assert citizens.BY_CPR[citizens.CPR_CHANGER.cpr] is citizens.CPR_CHANGER
    assert citizens.CPR_CHANGER.answered_as not in citizens.BY_CPR
    assert Cpr.parse(citizens.CPR_CHANGER.answered_as)


def test_an_employer_is_a_person_and_another_is_dissolved():
    (proprietor,) = {wages.cvr for wages in citizens.SOLE_PROPRIETOR.wages}
    assert COMPANIES[proprietor].form == 10
    assert {COMPANIES[wages.cvr].status for wages in citizens.CVR_DOCUMENTS.wages} > {"NORMAL"}


@EVERYBODY
def test_cvr_knows_every_employer_but_the_one_that_is_there_for_that(citizen):
    assert {wages.cvr for wages in citizen.wages} - {None, "99999999"} <= COMPANIES.keys()
