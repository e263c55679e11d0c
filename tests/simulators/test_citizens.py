"""The constructed citizens: none can be a real person, and between them they have what every rule needs."""

from datetime import date

import pytest

from simulators import citizens
from simulators.citizens import CITIZENS, COMPANIES, Wages
from workers.domain.cpr import Cpr
from workers.domain.target_group import in_target_group

TODAY = date(2026, 11, 23)
EVERYBODY = pytest.mark.parametrize("citizen", CITIZENS, ids=lambda citizen: citizen.name)


def is_in_target_group(citizen, today=TODAY):
    groups, order = citizen.contact_groups, citizen.education_order
    born = Cpr.parse(citizen.cpr).birth_date
    return in_target_group(born=born, contact_groups=groups, education_order=order, today=today)


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
    assert all(wages.start <= wages.end for wages in citizen.wages)
    items = [*(citizen.udb or ()), *(citizen.ydelse or ())]
    assert all(item["startdato"] <= item.get("slutdato", "9999") for item in items)


def test_there_are_as_many_citizens_as_are_needed_and_nobody_twice():
    assert len(citizens.BY_CPR) == len({citizen.name for citizen in CITIZENS}) == len(CITIZENS) >= 12
    assert citizens.STRANGER not in citizens.BY_CPR
    assert Cpr.parse(citizens.STRANGER)


def test_some_are_outside_the_target_group_each_for_a_reason_of_its_own():
    outside = [citizen for citizen in CITIZENS if not is_in_target_group(citizen)]
    # Those whom DFDG alone knows are there for its own pages, which are for everyone.
    assert [citizen for citizen in outside if citizen.known_to != ("dfdg",)] == [
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
    ordinary = {(item["kompetence"], item["status"]) for item in items if item["type"] == "UDDANNELSE"}
    special = {(item["type"], item["status"]) for item in items if item["type"] != "UDDANNELSE"}
    statuses = ("IGANGVAERENDE", "AFBRUDT", "GENNEMFOERT")
    assert ordinary > {(k, s) for k in ("ERHVERVSKOMPETENCEGIVENDE", "KOMPETENCEGIVENDE") for s in statuses}
    assert ("INGEN", "GENNEMFOERT") in ordinary
    assert special == {(kind, status) for kind in ("FGU", "STU") for status in statuses}


def test_every_type_of_benefit_is_there():
    assert len({item["ydelsestype"] for item in citizens.BENEFIT_TYPES.ydelse}) == 10


def test_somebody_has_no_end_date_in_each_register_that_may_lack_one():
    assert any("slutdato" not in item for citizen in CITIZENS for item in citizen.ydelse or ())
    finished = [item for citizen in CITIZENS for item in citizen.udb or () if item["status"] != "IGANGVAERENDE"]
    assert any("slutdato" not in item for item in finished)


@pytest.mark.parametrize("register", ["udb", "su", "eindkomst", "ydelse"])
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
    shown = [*COMPANIES.values(), *(name for item in items for name in (item["navn"], item["institution"]["navn"]))]
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
