"""What is read of a contact group and of an absence: Danish days, and each item by itself."""

from datetime import date

import pytest

from domain.overview import LeftOut
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.messages import validated
from tests.workers.visitering.conftest import ABSENCE, GROUP, status
from workers.visitering.wire import AlleFravaer, Status


def group(**own):
    (item,) = validated(Status, status(GROUP | own)).kontaktgrupper
    return item


def absences(*items):
    return validated(AlleFravaer, {"fravaer": [*items]}).fravaer


def test_moments_become_danish_days():
    one = group(Starttidspunkt="2023-03-12T23:30:00Z", Sluttidspunkt="2023-07-01T21:59:59Z")
    assert (one.starttidspunkt, one.sluttidspunkt) == (date(2023, 3, 13), date(2023, 7, 1))
    (absence,) = absences(ABSENCE | {"startDato": "2023-03-06T00:00:00", "slutDato": "2023-03-10"})
    assert (absence.start_dato, absence.slut_dato) == (date(2023, 3, 6), date(2023, 3, 10))


@pytest.mark.parametrize("end", [{}, {"Sluttidspunkt": None, "slutDato": None}])
def test_an_open_end_stays_open(end):
    assert group(**end).sluttidspunkt is None
    (absence,) = absences({name: value for name, value in ABSENCE.items() if name != "slutDato"} | end)
    assert absence.slut_dato is None


@pytest.mark.parametrize(
    ("own", "kind"),
    [
        ({"KontaktgruppeType": "12"}, "KontaktgruppeType"),
        ({"KontaktgruppeType": -1}, "KontaktgruppeType"),
        ({"KontaktgruppeType": 10_000}, "KontaktgruppeType"),
        ({"KontaktgruppeType": True}, "KontaktgruppeType"),
        ({"Starttidspunkt": "i går"}, "Starttidspunkt"),
        ({"Starttidspunkt": None}, "Starttidspunkt"),
        ({"Sluttidspunkt": "2023-02-29T00:00:00Z"}, "Sluttidspunkt"),
        ({"Sluttidspunkt": "2021-02-28T12:00:00Z"}, "kontaktgruppe"),
    ],
)
def test_a_contact_group_that_cannot_be_read_is_left_out_and_named_beside_one_that_can(own, kind):
    one, two = validated(Status, status(GROUP, GROUP | own)).kontaktgrupper
    assert (one.kontaktgruppe_type, two) == (12, LeftOut(kind, "kontaktgruppe 2"))
    with pytest.raises(InvalidResponse, match="kontaktgrupper"):
        group(**own)


@pytest.mark.parametrize(
    ("own", "kind"),
    [
        ({"fravaerIdentifier": None}, "fravaerIdentifier"),
        ({"fravaerIdentifier": "a/b"}, "fravaerIdentifier"),
        ({"startDato": "2023-3-6"}, "startDato"),
        ({"slutDato": 1}, "slutDato"),
        ({"slutDato": "2023-03-05T12:00:00+01:00"}, "fravaer"),
    ],
)
def test_an_absence_that_cannot_be_read_is_left_out_and_named_beside_one_that_can(own, kind):
    one, two = absences(ABSENCE, ABSENCE | own)
    assert (one.fravaer_type, two) == (10, LeftOut(kind, "fravaer 2"))
    with pytest.raises(InvalidResponse, match="fravaer"):
        absences(ABSENCE | own)


@pytest.mark.parametrize("kind", [99, "FERIE", None, [], {"kode": 10}, True])
def test_any_type_of_an_absence_is_read(kind):
    (absence,) = absences(ABSENCE | {"fravaerType": kind})
    assert absence.fravaer_type == kind


@pytest.mark.parametrize("body", [{}, {"kontaktgrupper": None, "fravaer": None}, {"kontaktgrupper": {}, "fravaer": ""}])
def test_an_answer_without_its_list_is_none_of_the_contract(body):
    for model in (Status, AlleFravaer):
        with pytest.raises(InvalidResponse):
            validated(model, body)
