"""Each answer to a call of a booking means one thing, and a write is told by its status alone where it has no code."""

import json
from datetime import UTC, datetime

import pytest

from domain.cpr import Cpr
from registerbro.meetings import errors
from registerbro.meetings.calls import BookingCalls
from registerbro.meetings.model import Meeting, Time
from registerbro.upstreams.errors import (
    BadRequest,
    CallFailed,
    InvalidResponse,
    NotAuthorised,
    NotFound,
    NotThisCitizen,
    UpstreamUnavailable,
    WrongPerson,
)
from registerbro.upstreams.messages import Answer

CITIZEN, OTHER = Cpr("6102991234"), "6203991234"
OFFER = "ab710606-4256-4c8e-9d51-5a7106064256"
"""An id with digits in it that look like a CPR number, by chance."""
TIME = Time(OFFER, datetime(2023, 3, 15, 8, tzinfo=UTC), datetime(2023, 3, 15, 8, 45, tzinfo=UTC))
MEETING = "0d9f3c52-6a0e-4f7e-8c0b-1a2b3c4d5e6f"
READS, WRITES = ("offers", "times"), ("reserve", "book")
GOOD = {"offers": {}, "times": {"Tider": []}, "meetings": {"indkaldelser": []}}


class Answering:
    """An upstream that answers each question alike, and keeps the last."""

    path = "/v2/Indkaldelse"

    def __init__(self, status, body, content_type="application/json"):
        text = body if isinstance(body, str) else json.dumps(body)
        self._answer = Answer(status, content_type, "utf-8", text.encode())

    async def ask(self, exchange):
        self.question, self.is_write = exchange.question("a-request"), exchange.is_write
        return exchange.read(self._answer)


ARGUMENTS = {
    "offers": (),
    "times": (OFFER, "Nørregade 1"),
    "meetings": (),
    "reserve": (MEETING, TIME),
    "book": (MEETING,),
}


async def call(name, status=200, body="", **more):
    upstream = Answering(status, body, **more)
    return upstream, await getattr(BookingCalls(upstream, "/v1/Book/", CITIZEN), name)(*ARGUMENTS[name])


def coded(*codes):
    return {"fejl": [{"kode": code} for code in codes]}


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("offers", "GET", "/v1/Book/Moedetilbud"),
        ("times", "GET", f"/v1/Book/Moedetilbud/{OFFER}/Tider"),
        ("meetings", "GET", "/v2/Indkaldelse"),
        ("reserve", "POST", f"/v1/Book/Booking/{MEETING}/action/reserver"),
        ("book", "POST", f"/v1/Book/Booking/{MEETING}"),
    ],
)
async def test_each_call_is_at_its_path_with_the_number_in_a_header(name, method, path):
    upstream, _ = await call(name, body=GOOD.get(name, ""))
    question = upstream.question
    assert (question.method, question.path, upstream.is_write) == (method, path, method == "POST")
    assert question.headers["x-civilRegistrationIdentifier"] == CITIZEN.digits
    assert (question.body is not None) is (name == "reserve")
    assert CITIZEN.digits not in question.path + str(question.body)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("name", WRITES)
async def test_any_2xx_is_a_receipt(name, status):
    for body in ("", {}, {"civilRegistrationIdentifier": CITIZEN.digits}):
        assert (await call(name, status, body))[1] is None


@pytest.mark.parametrize("name", [*READS, "meetings"])
@pytest.mark.parametrize("code", ["1010", "4404"])
async def test_a_person_whom_the_register_does_not_know_has_nothing(name, code):
    assert list((await call(name, 404, coded(code)))[1]) == []


REFUSED = [
    *((name, 400, coded("4770"), errors.NoFreeTimes) for name in (*READS, *WRITES)),
    *((name, 400, coded(code), errors.UnknownTime) for name in (*READS, *WRITES) for code in ("4768", "90036")),
    *((name, 400, coded(code), errors.UnknownTime) for name in WRITES
      for code in ("8107", "4783", "90002", "4792", "90004", "1010")),
    *((name, 200, coded("4768", "90036"), errors.UnknownTime) for name in (*READS, *WRITES)),
    *(("reserve", 409, body, errors.TimeTaken) for body in ("", {}, "<html>", {"fejl": "OPTAGET"}, coded(""))),
    ("book", 409, "", errors.AlreadyBooked),
    ("reserve", 422, "", errors.IdempotencyKeyReused),
    ("book", 422, "", errors.IdempotencyKeyReused),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status", "body", "refusal"), REFUSED)
async def test_a_refusal_is_told_as_itself(name, status, body, refusal):
    with pytest.raises(errors.BookingRefused) as told:
        await call(name, status, body)
    assert type(told.value) is refusal


FAILED = [
    *((name, status, coded(code), UpstreamUnavailable) for name in (*READS, *WRITES) for code in ("4769", "9018")
      for status in (200, 400, 409, 500)),
    *((name, status, coded(code), InvalidResponse) for name in (*READS, *WRITES) for code in ("9303", "9329")
      for status in (200, 400, 422)),
    *((name, 400, coded("4770", code), CallFailed) for name in (*READS, *WRITES)
      for code in ("4769", "9329", "1011", "77", "")),
    *((name, 409, coded("77"), BadRequest) for name in WRITES),
    *((name, 409, "", BadRequest) for name in READS),
    *((name, 404, "", NotFound) for name in (*READS, *WRITES)),
    *((name, 400, coded("4575"), NotAuthorised) for name in (*READS, *WRITES)),
    *((name, 409, coded("4922"), NotThisCitizen) for name in WRITES),
    *((name, 400, coded("90036", "4575"), NotAuthorised) for name in (*READS, *WRITES)),
    *((name, 200, "<html>", InvalidResponse) for name in (*READS, *WRITES)),
    *((name, 200, "", InvalidResponse) for name in READS),
    ("meetings", 200, {"moeder": []}, InvalidResponse),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status", "body", "failure"), FAILED)
async def test_a_failure_is_never_told_as_a_refusal_or_as_nothing(name, status, body, failure):
    with pytest.raises(failure):
        await call(name, status, body)


@pytest.mark.parametrize("status", [200, 400, 409, 422, 500])
@pytest.mark.parametrize("name", [*READS, *WRITES, "meetings"])
async def test_another_person_in_any_answer_is_told_first(name, status):
    for body in ({"x": {"civilRegistrationIdentifier": OTHER}}, coded("4770") | {"CivilRegistrationIdentifier": OTHER}):
        with pytest.raises(WrongPerson):
            await call(name, status, GOOD.get(name, {}) | body)


@pytest.mark.parametrize("name", [*READS, "meetings"])
async def test_an_id_of_another_person_in_a_question_of_ours_means_that_people_are_mixed_up(name):
    for codes in (("8107",), ("8107", "4770"), ("8107", "4575")):
        with pytest.raises(WrongPerson):
            await call(name, 400, coded(*codes))


async def test_what_cannot_be_read_is_named_by_kind_and_place_alone(capsys):
    good = {"starttidspunkt": "2023-03-15T09:00:00+01:00", "sluttidspunkt": "2023-03-15T09:45:00+01:00"}
    _, times = await call("times", 200, {"Tider": [good, good | {"sluttidspunkt": "Rosinenbrot"}]})
    assert times == [Meeting(TIME.id, TIME.start, TIME.end, "Nørregade 1")]
    written = capsys.readouterr().out
    assert "sluttidspunkt: Tid 2" in written
    assert "Rosinenbrot" not in written
