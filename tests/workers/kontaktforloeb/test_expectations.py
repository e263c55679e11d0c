"""What Kontaktforloeb is expected to answer: which parts are published, and what decides the others."""

import pytest

from domain.cpr import Cpr
from registerbro.conformance.comparison import compare
from registerbro.conformance.expectations import Asked, Evidence, Mark, Verdict
from registerbro.conformance.json_shape import node
from registerbro.meetings.model import Time
from tests.expectations import marks_of
from tests.workers.dfdg_gateway.service import asking
from tests.workers.kontaktforloeb.conftest import DEADLINE, DEADLINES_PATH, MEETING, MEETINGS_PATH, STATUS
from workers.kontaktforloeb.expectations import OPERATIONS

MEETINGS, DEADLINES, OFFERS, TIMES = OPERATIONS
OFFER = {"id": "4b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f", "SamtaleType": 7, "MoedeGruppeType": 1, "samtaleform": [8]}
TIME = {"starttidspunkt": "2023-03-15T09:00:00+01:00", "sluttidspunkt": "2023-03-15T09:45:00+01:00"}
CPR = Cpr("6102991234")
WHOLE = MEETING | {
    "sluttidspunkt": "2023-03-08T10:00:00+01:00", "varighed": 60, "samtaleform": [8], "sted": "Jobcenter",
    "afholdt": True, "aftaletekst": "<p>Aftalt</p>",
}  # fmt: skip


def seen(operation, body):
    root = node("", body)
    return Evidence(200, None, "", compare(operation.expected, root, CPR), None, root)


def verdicts(operation, body):
    """The verdicts on what is assumed between the address and the error's body."""
    return [one.decide(seen(operation, body)) for one in operation.assumptions[1:-1]]


def problems(operation, body):
    return [path for path, one in seen(operation, body).fields.items() if one.is_wrong or one.mark is None]


def test_of_a_meeting_its_type_alone_has_a_published_name():
    marks = marks_of(MEETINGS.expected)
    assert [path for path, mark in marks.items() if mark is Mark.PUBLISHED] == ["indkaldelser[].SamtaleType"]
    assert set(marks.values()) == {Mark.PUBLISHED, Mark.ASSUMED}


def test_the_answer_with_the_deadlines_is_published():
    assert set(marks_of(DEADLINES.expected).values()) == {Mark.PUBLISHED}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (MEETINGS, {"indkaldelser": [WHOLE, MEETING]}),
        (MEETINGS, {"indkaldelser": []}),
        (DEADLINES, STATUS),
        (DEADLINES, {"KanSelvbooke": False, "StraksbookingPaakraevet": False}),
    ],
)
def test_an_answer_of_the_contract_has_nothing_wrong_and_nothing_unknown(operation, body):
    assert problems(operation, body) == []


def test_a_code_that_is_no_number_is_of_another_form():
    assert problems(MEETINGS, {"indkaldelser": [MEETING | {"SamtaleType": "JOB"}]}) == ["indkaldelser[].SamtaleType"]


@pytest.mark.parametrize(
    ("body", "verdict", "told"),
    [
        ({"indkaldelser": [MEETING]}, Verdict.HOLDS, ""),
        ({"indkaldelser": []}, Verdict.NOT_SEEN, ""),
        ({"moeder": [MEETING]}, Verdict.FAILS, "indkaldelser[]"),
        ({"indkaldelser": [MEETING | {"varighed": "PT1H"}]}, Verdict.FAILS, "indkaldelser[].varighed"),
        ({"indkaldelser": [MEETING | {"SamtaleType": "JOB"}]}, Verdict.HOLDS, ""),
        ({"indkaldelser": [{"SamtaleType": 7}]}, Verdict.FAILS,
         "indkaldelser[].indkaldelseId, indkaldelser[].starttidspunkt"),
    ],
)  # fmt: skip
def test_the_names_of_a_meetings_parts_are_decided_by_those_that_were_seen(body, verdict, told):
    assert verdicts(MEETINGS, body) == [(verdict, told)]


@pytest.mark.parametrize(
    ("items", "verdict", "told"),
    [
        ([], Verdict.NOT_SEEN, ""),
        ([DEADLINE], Verdict.HOLDS, ""),
        ([DEADLINE, DEADLINE | {"FriststatusType": 4}], Verdict.FAILS, "Frister.Frist[].FriststatusType: 4"),
    ],
)
def test_the_statuses_of_deadlines_are_decided_by_those_that_were_seen(items, verdict, told):
    assert verdicts(DEADLINES, STATUS | {"Frister": {"Frist": items}}) == [(verdict, told)]


async def test_each_operation_asks_at_its_own_path(service, make_settings):
    settings = make_settings(KONTAKTFORLOEB__DEADLINES_PATH="/v9/Borgerstatus")
    service.answers["/v9/Borgerstatus"] = service.answers.pop(DEADLINES_PATH)
    async with asking(service, MEETINGS_PATH) as upstream:
        for operation in (MEETINGS, DEADLINES):
            assert await operation.call(Asked(upstream, settings, CPR, "id", None)) is not None
    assert [path for _, path, _ in service.asked] == [MEETINGS_PATH, "/v9/Borgerstatus"]


def test_of_an_offer_all_but_its_forms_and_its_place_has_a_published_name():
    marks = marks_of(OFFERS.expected)
    offer = "MoedetilbudSamling.Moedetilbud[]"
    assert sorted(path for path, mark in marks.items() if mark is Mark.ASSUMED) == [
        f"{offer}.samtaleform[]", f"{offer}.sted"
    ]  # fmt: skip
    assert set(marks_of(TIMES.expected).values()) == {Mark.ASSUMED}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (OFFERS, {"MoedetilbudSamling": {"Moedetilbud": [OFFER, OFFER | {"sted": "Jobcenter"}]}}),
        (OFFERS, {"MoedetilbudSamling": {}}),
        (OFFERS, {}),
        (TIMES, {"Tider": [TIME, TIME | {"CaseWorkerIdentifier": "X"}]}),
        (TIMES, {"Tider": []}),
    ],
)
def test_an_answer_about_what_can_be_booked_has_nothing_wrong_and_nothing_unknown(operation, body):
    assert problems(operation, body) == []


@pytest.mark.parametrize(
    ("offer", "verdict", "told"),
    [
        ({}, Verdict.NOT_SEEN, ""),
        ({"sted": "Jobcenter"}, Verdict.HOLDS, ""),
        ({"sted": 7}, Verdict.FAILS, "MoedetilbudSamling.Moedetilbud[].sted"),
        ({"samtaleform": ["x"]}, Verdict.FAILS, "MoedetilbudSamling.Moedetilbud[].samtaleform[]"),
    ],
)
def test_the_names_of_an_offers_parts_are_decided_by_those_that_were_seen(offer, verdict, told):
    body = {"MoedetilbudSamling": {"Moedetilbud": [OFFER | offer]}}
    assert verdicts(OFFERS, body) == [(verdict, told)]


async def test_the_times_are_those_of_the_first_offer_and_without_one_of_an_offer_that_nobody_has(
    service, make_settings
):
    settings = make_settings(KONTAKTFORLOEB__BOOKING_PATH="/v9/Book")
    service.answers = {
        "/v9/Book/Moedetilbud": (200, {"MoedetilbudSamling": {"Moedetilbud": [OFFER]}}),
        f"/v9/Book/Moedetilbud/{OFFER['id']}/Tider": (200, {"Tider": [TIME]}),
        "/v9/Book/Moedetilbud/00000000-0000-4000-8000-000000000000/Tider": (400, {"kode": 90036}),
    }
    async with asking(service, MEETINGS_PATH) as upstream:
        asked = Asked(upstream, settings, CPR, "id", None)
        (offer,), (time,) = await OFFERS.call(asked), await TIMES.call(asked)
        assert (offer.id, Time.parse(time.id).offer) == (OFFER["id"], OFFER["id"])
        for no_offers in ((200, {}), (400, {"kode": 4770}), (503, {}), (404, {"kode": 1010})):
            service.answers["/v9/Book/Moedetilbud"] = no_offers
            assert await TIMES.call(asked) is None
        service.answers["/v9/Book/Moedetilbud"] = (400, {"kode": 4770})
        assert await OFFERS.call(asked) is None
    assert {method for method, _, _ in service.asked} == {"GET"}


def test_nothing_is_booked():
    assert [one.name for one in OPERATIONS if one.writes] == []
