"""What is an offer, a time and a meeting, what is none, and that one odd item refuses no other."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter

from registerbro.meetings.model import Time
from registerbro.meetings.wire import (
    Indkaldelser,
    Moedetilbud,
    Moedetilbudssvar,
    Reservation,
    Tider,
    codes_of,
    meeting_with,
)
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.item_reading import readable
from registerbro.upstreams.messages import Answer, validated

OFFER = {"id": "4b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f", "SamtaleType": 7, "MoedeGruppeType": 1, "samtaleform": [1]}
TIME = {"starttidspunkt": "2023-03-15T09:00:00+01:00", "sluttidspunkt": "2023-03-15T09:45:00+01:00"}
MEETING = {"indkaldelseId": "0D9F3C52-6a0e-4f7e-8c0b-1a2b3c4d5e6f", "starttidspunkt": "2023-03-15T09:00:00"}


def offers(*items):
    return readable(validated(Moedetilbudssvar, {"MoedetilbudSamling": {"Moedetilbud": list(items)}}).offers)


def times(*items):
    return readable(validated(Tider, {"Tider": list(items)}).tider)


@pytest.mark.parametrize(
    ("of", "place"),
    [
        ({"sted": " Jobcenter Ærø "}, "Jobcenter Ærø"),
        ({"sted": "Jobcenter Ærø", "samtaleform": [8]}, "Jobcenter Ærø"),
        ({"samtaleform": [8]}, "Digitalt møde"),
        ({"samtaleform": [1, "8"], "sted": "  "}, "Digitalt møde"),
        ({"samtaleform": [1], "sted": None}, "Oplyses af jobcenteret"),
        ({"samtaleform": []}, "Oplyses af jobcenteret"),
        ({"samtaleform": {"8": True}}, "Oplyses af jobcenteret"),
        ({"samtaleform": [[8], {"kode": 8}, 8.5, True, None]}, "Oplyses af jobcenteret"),
    ],
)
def test_the_place_is_the_text_or_told_by_the_form_or_told_later(of, place):
    (offer,) = offers(OFFER | of)
    assert offer.place == place
    (meeting,) = readable(validated(Indkaldelser, {"indkaldelser": [MEETING | of]}).indkaldelser)
    assert meeting.place == place


@pytest.mark.parametrize(
    ("kind", "deadline", "is_for"),
    [
        (7, "7-2023-03-17", True), ("7", "7-2023-03-17", True), ("JOB_A", "JOB_A-2023-03-17", True),
        (7, "17-2023-03-17", False), (17, "7-2023-03-17", False), (7, "", False), (2023, "7-2023-03-17", False),
    ],
)  # fmt: skip
def test_an_offer_is_for_the_deadlines_of_its_type(kind, deadline, is_for):
    assert validated(Moedetilbud, OFFER | {"SamtaleType": kind}).is_for(deadline) is is_for


@pytest.mark.parametrize("odd", [{}, {"id": "x"}, {"id": 7}, {"SamtaleType": None}, {"sted": 7}, 5, None, []])
def test_an_offer_that_cannot_be_read_is_left_out_and_refuses_no_other(odd):
    item = OFFER | odd if isinstance(odd, dict) and odd else odd
    (only,) = offers(OFFER, item)
    assert only.id == OFFER["id"]
    with pytest.raises(InvalidResponse):
        offers(item)


@pytest.mark.parametrize("body", [{}, {"MoedetilbudSamling": None}, {"MoedetilbudSamling": {}},
                                  {"MoedetilbudSamling": {"Moedetilbud": []}, "andet": 1},
                                  {"civilRegistrationIdentifier": "6102991234"}])  # fmt: skip
def test_without_the_list_there_is_no_offer(body):
    assert validated(Moedetilbudssvar, body).offers == ()


@pytest.mark.parametrize("body", [{"Tider": []}, {"tilbud": [OFFER]}, {"MoedetilbudSamling": None, "x": 1}, [], "x"])
def test_another_answer_is_never_no_offers(body):
    with pytest.raises(InvalidResponse):
        validated(Moedetilbudssvar, body)


@pytest.mark.parametrize(
    "odd",
    [
        {"starttidspunkt": text}
        for text in ("2023-02-29T09:00:00+01:00", "9999-12-31T23:59:59-14:00", "soon", 1678867200, None)
    ]
    + [{"starttidspunkt": "2023-03-15T09:45:00+01:00"}, {"sluttidspunkt": "2023-03-15T09:45:00.5+01:00"}],
)
def test_a_time_that_cannot_be_read_or_held_by_an_id_is_left_out(odd):
    (only,) = times(TIME, TIME | odd)
    assert only.starttidspunkt == datetime(2023, 3, 15, 8, tzinfo=UTC)
    with pytest.raises(InvalidResponse):
        times(TIME | odd)


def test_times_are_a_list():
    assert times() == []
    for body in ({}, {"Tider": None}, {"Tider": {}}):
        with pytest.raises(InvalidResponse):
            validated(Tider, body)


def test_a_reservation_is_sent_in_danish_time():
    time = Time(OFFER["id"], datetime(2023, 7, 15, 8, tzinfo=UTC), datetime(2023, 7, 15, 8, 45, tzinfo=UTC))
    assert json.loads(Reservation.of(time).model_dump_json()) == {
        "MoedetilbudId": OFFER["id"],
        "starttidspunkt": "2023-07-15T10:00:00+02:00",
        "sluttidspunkt": "2023-07-15T10:45:00+02:00",
    }


def test_a_meeting_is_known_again_by_its_id_in_any_spelling():
    meetings = TypeAdapter(Indkaldelser).validate_python({"indkaldelser": [MEETING, MEETING | {"indkaldelseId": 5}]})
    found = meeting_with(["a", MEETING["indkaldelseId"].lower()], meetings.indkaldelser)
    assert found is not None
    assert found.starttidspunkt == datetime(2023, 3, 15, 8, tzinfo=UTC)
    assert meeting_with(["a"], meetings.indkaldelser) is None


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ('{"fejl": [{"kode": "4770"}, {"kode": 4769}]}', {"4770", "4769"}),
        ('{"fejl": [{"kode": "4770"}, {"tekst": "Ukendt fejl"}]}', {"4770", ""}),
        ('{"fejl": "OPTAGET"}', set()),
        ("{", set()),
        ("", set()),
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "application/problem+json"])
def test_the_codes_of_an_answer_are_those_of_its_body(body, codes, content_type):
    assert codes_of(Answer(400, content_type, "utf-8", body.encode())) == codes


def test_a_page_for_people_holds_no_code():
    assert codes_of(Answer(503, "text/html", "utf-8", b'{"kode": "4770"}')) == set()
