"""Contact groups and absence: what is kept of each, in what order, and that none is hidden for what it is not."""

from dataclasses import replace
from datetime import date
from itertools import permutations

import pytest

from domain.dated_tables import Row, Table
from domain.overview import CalendarEntry, ContactGroupPeriod, EntryKind, LeftOut, Normalised, UnknownValue
from domain.rules import DEFAULT_RULES, ContactGroup
from domain.target_group import Qualifying, rule_of
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.messages import validated
from tests.workers.visitering.conftest import ABSENCE, GROUP, status
from workers.visitering import normalise as module
from workers.visitering.wire import AlleFravaer, Status

TODAY = date(2023, 3, 13)
NOTHING = {"contact_groups": [], "absences": []}
UNREADABLE = GROUP | {"KontaktgruppeType": "7"}


def normalise(groups=None, absences=None, today=TODAY, rules=DEFAULT_RULES):
    return module.normalise(
        None if groups is None else validated(Status, status(*groups)),
        None if absences is None else validated(AlleFravaer, {"fravaer": [*absences]}),
        today,
        rules,
    )


def group(number, start, end=None):
    return {"KontaktgruppeType": number, "Starttidspunkt": start, "Sluttidspunkt": end}


def absences_of(*items):
    return normalise(absences=items).sections["absences"]


@pytest.mark.parametrize("nothing", [{}, {"groups": [], "absences": []}], ids=["unknown person", "nothing"])
def test_no_data_leaves_both_sections_empty(nothing):
    assert normalise(**nothing) == Normalised(NOTHING)


def test_an_absence_is_an_entry_of_the_calendar():
    assert absences_of(ABSENCE) == [
        CalendarEntry(
            id=ABSENCE["fravaerIdentifier"], kind=EntryKind.ABSENCE, title="Ferie", start=date(2023, 3, 6),
            end=date(2023, 3, 10), held=False, text=None,
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (1, "Uddannelse"),
        (2, "Midlertidigt arbejde"),
        (3, "Borgerligt ombud"),
        (4, "Barsel i højst 14 dage"),
        (8, "Barsel"),
        (9, "Friperiode"),
        (10, "Ferie"),
        (11, "Sygdom"),
    ],
)
def test_a_published_type_has_its_danish_name(kind, title):
    result = normalise(absences=[ABSENCE | {"fravaerType": kind}])
    assert [one.title for one in result.sections["absences"]] == [title]
    assert result.unknown == ()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (5, "5"), (12, "12"), ("10", "10"), (10.0, "10.0"), (True, "True"), (None, "missing"), ([10], "?"),
        ({"kode": 10}, "?"), (6102991234, "?"), ("x" * 99, "x" * 40),
    ],
)  # fmt: skip
def test_a_type_that_the_list_does_not_have_is_shown_as_absence_and_named(kind, told):
    result = normalise(absences=[ABSENCE | {"fravaerType": kind}])
    assert [one.title for one in result.sections["absences"]] == ["Fravær"]
    assert result.unknown == (UnknownValue("fravaerType", told),)


def test_absences_are_in_one_order_however_they_come_and_an_open_one_stays_open():
    items = [
        ABSENCE | {"fravaerIdentifier": "a"},
        ABSENCE | {"fravaerIdentifier": "b", "slutDato": None},
        ABSENCE | {"fravaerIdentifier": "c", "startDato": "2023-01-01T00:00:00+01:00"},
    ]
    for order in permutations(items):
        assert [(one.id, one.end) for one in absences_of(*order)] == [
            ("c", date(2023, 3, 10)), ("a", date(2023, 3, 10)), ("b", None),
        ]  # fmt: skip


def test_an_absence_that_cannot_be_read_is_left_out_and_named():
    result = normalise(absences=[ABSENCE, ABSENCE | {"startDato": "?"}])
    assert len(result.sections["absences"]) == 1
    assert result.left_out == (LeftOut("startDato", "fravaer 2"),)


def test_contact_groups_are_kept_with_their_days_each_once():
    groups = [group(12, "2023-03-13T00:00:00+01:00"), group(7, "2020-01-01T00:00:00+01:00", "2023-03-12T12:00:00Z")]
    for order in permutations([*groups, groups[0]]):
        assert normalise(order).sections["contact_groups"] == [
            ContactGroupPeriod(group=7, start=date(2020, 1, 1), end=date(2023, 3, 12)),
            ContactGroupPeriod(group=12, start=date(2023, 3, 13), end=None),
        ]


def test_a_contact_group_that_no_table_knows_on_its_day_is_kept_and_named():
    rows = [Row(12, ContactGroup("Modtager af uddannelseshjælp"), last=date(2026, 12, 31))]
    rules = replace(
        DEFAULT_RULES, contact_groups=Table(rows), target_group=Table([rule_of(Qualifying(28))], endless=True)
    )
    groups = [
        group(12, "2023-03-13T00:00:00+01:00"),
        group(12, "2020-01-01T00:00:00+01:00", "2020-12-31T12:00:00+01:00"),
        group(40, "2023-03-13T00:00:00+01:00", "2023-03-14T12:00:00+01:00"),
    ]

    def named_on(today):
        result = normalise(groups, today=today, rules=rules)
        assert len(result.sections["contact_groups"]) == 3
        return sorted(one.value for one in result.unknown if one.field == "kontaktgruppe")

    assert named_on(date(2026, 12, 31)) == ["40"]
    assert named_on(date(2027, 1, 1)) == ["12", "40"]


def test_beside_an_open_contact_group_one_that_cannot_be_read_is_left_out_and_named():
    result = normalise([GROUP, UNREADABLE])
    assert [one.group for one in result.sections["contact_groups"]] == [12]
    assert result.left_out == (LeftOut("KontaktgruppeType", "kontaktgruppe 2"),)


@pytest.mark.parametrize(
    "other",
    [
        group(7, "2020-01-01T00:00:00+01:00", "2023-03-12T12:00:00+01:00"),
        group(7, "2023-03-14T00:00:00+01:00"),
    ],
)
def test_it_is_a_failure_when_no_other_is_open(other):
    with pytest.raises(InvalidResponse, match="no contact group is open beside one that cannot be read"):
        normalise([other, UNREADABLE], [ABSENCE])
