"""The default rules: those of the release note and of the published law; and whom no table knows."""

from dataclasses import replace
from datetime import date

import pytest

from domain.dated_tables import Row, Table
from domain.rules import DEFAULT_RULES, ContactGroup
from domain.target_group import Qualifying, rule_of

REFORM = date(2025, 7, 1)
TODAY = date(2026, 11, 30)


@pytest.mark.parametrize(
    ("kind", "before", "since"),
    [
        ("UDDANNELSESHJAELP", "Uddannelseshjælp", "Kontanthjælp"),
        ("OVERGANGSYDELSE", "Selvforsørgelses- og hjemrejseydelse eller overgangsydelse", "Kontanthjælp"),
        ("KONTANTHJAELP", "Kontanthjælp", "Kontanthjælp"),
        ("DAGPENGE", "Arbejdsløshedsdagpenge", "Arbejdsløshedsdagpenge"),
    ],
)
def test_the_benefits_of_chapter_4_are_kontanthjaelp_since_the_reform(kind, before, since):
    labels = DEFAULT_RULES.benefits
    assert [labels.at(kind, day) for day in (date(2024, 2, 1), date(2025, 6, 30), REFORM, TODAY)] == [
        before, before, since, since,
    ]  # fmt: skip


def test_income_types_are_pay_for_work_or_not_and_the_others_are_unknown():
    types = DEFAULT_RULES.income_types
    assert [number for number in range(100) if types.at(number, TODAY)] == [0, 3, 8, 9]
    no_work = [number for number in range(100) if types.at(number, TODAY) is False]
    assert no_work == [1, 2, 4, 5, 6, 7, 10, 11, 20, 24, 26, 28, 29]


def test_the_contact_groups_of_the_release_note_have_names():
    named = {row.key: row.value.name for row in DEFAULT_RULES.contact_groups.on(TODAY)}
    assert named == {
        1: "Dagpengemodtagere", 7: "Fleksjobvisiteret", 12: "Modtager af uddannelseshjælp",
        28: "Uddannelsespålæg - Overgangsydelsesmodtager efter LAB",
    }  # fmt: skip
    assert [row.key for row in DEFAULT_RULES.contact_groups.rows if row.value.closes_cv] == [7]


def test_a_contact_group_is_known_by_its_name_or_by_the_target_group_on_the_day():
    rules = replace(
        DEFAULT_RULES,
        contact_groups=Table([Row(12, ContactGroup("Modtager af uddannelseshjælp"), last=date(2026, 12, 31))]),
        target_group=Table([
            rule_of(Qualifying(12), last=date(2026, 12, 31)), rule_of(Qualifying(40), first=date(2027, 1, 1)),
        ], endless=True),
    )  # fmt: skip
    groups = frozenset({12, 40, 99})
    assert rules.unknown_contact_groups(groups, date(2026, 12, 31)) == (40, 99)
    assert rules.unknown_contact_groups(groups, date(2027, 1, 1)) == (12, 99)
