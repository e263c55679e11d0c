"""How the registers behind DFDG are asked and read, by their own clients and over a socket where that can matter."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError
from structlog.testing import capture_logs

from config.settings import UpstreamSettings
from domain.cpr import Cpr
from domain.overview import SuAttempts, UnknownValue
from redis_admission.model import Override, State
from registerbro.refresh.unknown_values import known_only, normalised
from registerbro.upstreams import dfdg_protocol as protocol
from registerbro.upstreams.dfdg_protocol import read, same_person, write_about
from registerbro.upstreams.errors import (
    BadRequest,
    CallFailed,
    CircuitOpen,
    ConnectionLost,
    InvalidResponse,
    NotAuthorised,
    NotFound,
    NotThisCitizen,
    RateLimited,
    RequestIdUsed,
    TooLong,
    UpstreamTimeout,
    UpstreamUnavailable,
    WrongPerson,
)
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.messages import Answer, validated
from registerbro.upstreams.pipeline import Upstream
from registerbro.upstreams.wire_types import IsoDate, Many, Name, WireModel
from tests.registerbro.upstreams.conftest import hang, reset
from tests.support import ProcessAdmission
from workers.su import client as su_client
from workers.udb import client as udb_client
from workers.ydelse import client as ydelse_client

OWN = "6102991234"
OWN_WITH_HYPHEN = "610299-1234"
OTHER = "6203991234"
CPR = Cpr.parse(OWN)
ORDINARY = Cpr.parse("0101385000")
"""A number whose day is one, of somebody who is not born yet."""


class Thing(WireModel):
    """As small an answer as there can be."""

    ting: Name


def a_json_answer(body: object, status: int = 200) -> Answer:
    return Answer(status, "application/json", "utf-8", json.dumps(body).encode())


def errors(*codes: object) -> dict[str, object]:
    return {"fejl": [{"kode": code, "tekst": "Unknown cpr"} for code in codes]}


# --- The clients, over a socket ---------------------------------------------------------------------------------------


@dataclass
class Register:
    """A register as a real server, and the upstream that leads to it.

    Its answers are statuses with JSON bodies; the last one is given for ever.
    """

    answers: list[tuple[int, object]] = field(default_factory=list)
    calls: list[web.Request] = field(default_factory=list)
    upstream: Upstream = field(init=False)
    breaker: ProcessAdmission = field(init=False)

    def will_answer(self, *answers: tuple[int, object]) -> None:
        self.answers = list(answers)

    async def handle(self, request: web.Request) -> web.Response:
        # The body can be read as long as the call is under way, and is kept for later.
        await request.read()
        self.calls.append(request)
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(body):
            broken: web.Response = await body(request)
            return broken
        if body is None:
            return web.Response(status=status)
        return web.json_response(body, status=status)


async def _at_once(_: float) -> None:
    """Waits for a retry without waiting."""


@pytest.fixture
async def register() -> AsyncIterator[Register]:
    served = Register()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", served.handle)
    settings = UpstreamSettings()
    async with TestServer(app) as server, HttpClient(str(server.make_url("")).rstrip("/"), settings) as http:
        served.breaker = ProcessAdmission("tested")
        served.upstream = Upstream("tested", settings, http, served.breaker, NoTrail(), sleep=_at_once)
        yield served


def events(number: str = OWN) -> dict[str, object]:
    return {
        "civilRegistrationIdentifier": number,
        "haendelser": [
            {
                "haendelsestype": "OPTAGELSE",
                "dato": "2015-08-10",
                "uddannelse": {"navn": "Htx", "type": "UDDANNELSE", "kompetence": "KOMPETENCEGIVENDE"},
                "institution": {"navn": "NEXT Uddannelse"},
            }
        ],
    }


def su_data(number: str = OWN) -> dict[str, object]:
    return {
        "civilRegistrationIdentifier": number,
        "forloeb": [
            {
                "uddannelsestype": "UNGDOMSUDDANNELSE",
                "uddannelse": "Hf",
                "startdato": "2019-08-01",
                "annulleret": False,
            }
        ],
    }


def ydelser(number: str = OWN) -> dict[str, object]:
    return {
        "ydelser": {
            "ydelse": [
                {
                    "civilRegistrationIdentifier": number,
                    "kyYdelsesIdentifier": "b1a7",
                    "startdato": "2021-03-01",
                    "slutdato": "2021-09-30",
                    "ydelsestype": "UDDANNELSESHJAELP",
                    "samtidigJob": True,
                }
            ]
        }
    }


@dataclass(frozen=True)
class Spoken:
    """One of the registers: its client, its path, an answer of its own, and what the client makes of that."""

    fetch: Callable[[Upstream, Cpr], Any]
    path: str
    body: Callable[..., dict[str, object]]
    found: Callable[[Any], object]


UDB = Spoken(
    udb_client.fetch, "/v1/UDBhaendelser", events, lambda answer: answer.haendelser[0].uddannelse.navn == "Htx"
)
SU = Spoken(su_client.fetch, "/v1/su-forloeb", su_data, lambda answer: answer.forloeb[0].uddannelse == "Hf")
YDELSE = Spoken(
    ydelse_client.fetch,
    "/v1/ydelse",
    ydelser,
    lambda answer: answer.ydelser.ydelse[0].slutdato == date(2021, 9, 30),
)

each_register = pytest.mark.parametrize("spoken", [UDB, SU, YDELSE], ids=["udb", "su", "ydelse"])


@each_register
async def test_a_client_gives_what_its_register_answers(register: Register, spoken: Spoken) -> None:
    register.will_answer((200, spoken.body()))
    assert spoken.found(await spoken.fetch(register.upstream, CPR))


@each_register
async def test_the_number_is_sent_in_a_header_and_never_in_the_url(register: Register, spoken: Spoken) -> None:
    register.will_answer((200, spoken.body()))
    register.upstream.path = spoken.path
    await spoken.fetch(register.upstream, Cpr.parse(OWN_WITH_HYPHEN))
    (call,) = register.calls
    assert (call.method, call.raw_path) == ("GET", spoken.path)
    assert call.headers["x-civilRegistrationIdentifier"] == OWN
    assert call.headers["Accept"] == "application/json"
    assert 0 < len(call.headers["x-requestId"]) <= 46


@each_register
@pytest.mark.parametrize("status", [400, 404, 500])
async def test_an_unknown_person_is_no_data_and_no_error(register: Register, spoken: Spoken, status: int) -> None:
    register.will_answer((status, errors("1010")))
    assert await spoken.fetch(register.upstream, CPR) is None
    assert len(register.calls) == 1


async def test_unknown_persons_never_open_the_breaker(register: Register) -> None:
    register.will_answer((500, errors("1010")))
    for _ in range(20):
        assert await udb_client.fetch(register.upstream, CPR) is None
    assert register.breaker.state is State.CLOSED


async def test_citizens_who_are_not_ours_never_open_the_breaker_and_alarm_nobody(register: Register) -> None:
    register.will_answer((500, errors("4922")))
    with capture_logs() as lines:
        for _ in range(20):
            with pytest.raises(NotThisCitizen):
                await udb_client.fetch(register.upstream, CPR)
    assert register.breaker.state is State.CLOSED
    assert {(line["log_level"], line["outcome"]) for line in lines} == {("warning", "not_this_citizen")}


@each_register
async def test_another_persons_answer_cuts_the_register_off_at_once(register: Register, spoken: Spoken) -> None:
    register.will_answer((200, spoken.body(OTHER)))
    with pytest.raises(WrongPerson):
        await spoken.fetch(register.upstream, CPR)
    with pytest.raises(CircuitOpen):
        await spoken.fetch(register.upstream, CPR)
    assert register.breaker.state is Override.FORCED_OPEN
    assert len(register.calls) == 1


@each_register
@pytest.mark.parametrize(
    ("answer", "error", "calls"),
    [
        ((500, errors("1011")), NotAuthorised, 1),
        ((400, errors("1012")), NotAuthorised, 1),
        ((400, errors("4922")), NotThisCitizen, 1),
        ((500, errors("4711")), UpstreamUnavailable, 3),
        ((412, {}), RequestIdUsed, 2),
        ((200, errors("4711")), InvalidResponse, 2),
        ((200, {}), InvalidResponse, 2),
    ],
    ids=str,
)
async def test_a_refusal_is_repeated_as_often_as_its_meaning_allows(
    register: Register, spoken: Spoken, answer: tuple[int, object], error: type[CallFailed], calls: int
) -> None:
    register.will_answer(answer)
    with pytest.raises(error) as raised:
        await spoken.fetch(register.upstream, CPR)
    assert type(raised.value) is error
    assert len(register.calls) == calls


async def test_an_answer_after_an_internal_error_is_taken_and_asked_for_anew(register: Register) -> None:
    register.will_answer((500, errors("8111")), (200, events()))
    assert await udb_client.fetch(register.upstream, CPR) is not None
    assert len({call.headers["x-requestId"] for call in register.calls}) == 2


# --- Writes, over a socket --------------------------------------------------------------------------------------------


EMPTY: Any = None
"""An answer without a body."""
REFUSALS = frozenset({"8066", "8067"})


async def write(register: Register, cpr: Cpr = CPR) -> str | None:
    return await write_about(register.upstream, "POST", "/v1/ting", cpr, {"a": 1}, refusals=REFUSALS)


async def test_a_write_goes_out_with_its_body_a_request_id_and_the_number_in_a_header_alone(register: Register) -> None:
    register.will_answer((200, EMPTY))
    assert await write(register) is None
    (call,) = register.calls
    assert (call.method, call.raw_path, call.headers["Content-Type"]) == ("POST", "/v1/ting", "application/json")
    assert (call.headers["x-civilRegistrationIdentifier"], await call.read()) == (OWN, b'{"a": 1}')
    assert 0 < len(call.headers["x-requestId"]) <= 46


async def test_a_write_without_values_has_no_body(register: Register) -> None:
    register.will_answer((204, EMPTY))
    assert await write_about(register.upstream, "DELETE", "/v1/ting", CPR) is None
    (call,) = register.calls
    assert (call.method, await call.read(), "Content-Type" in call.headers) == ("DELETE", b"", False)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_every_2xx_is_a_receipt_also_with_an_identifier_in_it(register: Register, status: int) -> None:
    body = EMPTY if status == 204 else {"CreatedItemIdentifier": "b1a7"}
    register.will_answer((status, body))
    assert await write(register) is None
    assert len(register.calls) == 1


@pytest.mark.parametrize("status", [200, 400, 404, 500])
@pytest.mark.parametrize("code", ["8066", "8067", "1010", "4405"])
async def test_a_refusal_of_the_person_is_its_code_and_no_error(register: Register, status: int, code: str) -> None:
    register.will_answer((status, errors(code)))
    assert await write(register) == code
    assert len(register.calls) == 1


@pytest.mark.parametrize("code", ["1001", "1014"])
async def test_a_replacement_number_is_refused_for_its_pattern_and_another_number_by_a_defect(
    register: Register, code: str
) -> None:
    register.will_answer((400, errors(code)))
    assert await write(register) == code
    with pytest.raises(BadRequest):
        await write(register, ORDINARY)


@pytest.mark.parametrize(
    ("answer", "error", "calls"),
    [
        ((500, errors("1011")), NotAuthorised, 1),
        ((400, errors("4922")), NotThisCitizen, 1),
        ((400, errors("8066", "1011")), NotAuthorised, 1),
        ((400, errors("8066", "4711")), BadRequest, 1),
        ((400, {}), BadRequest, 1),
        ((500, {}), UpstreamUnavailable, 3),
        ((200, errors("4711")), InvalidResponse, 2),
        ((302, EMPTY), InvalidResponse, 2),
        ((404, EMPTY), NotFound, 1),
    ],
    ids=str,
)
async def test_a_write_that_fails_is_the_error_that_its_answer_means(
    register: Register, answer: tuple[int, object], error: type[CallFailed], calls: int
) -> None:
    register.will_answer(answer)
    with pytest.raises(error) as raised:
        await write(register)
    assert type(raised.value) is error
    assert len(register.calls) == calls


async def test_a_receipt_about_another_person_cuts_the_register_off(register: Register) -> None:
    register.will_answer((200, {"civilRegistrationIdentifier": OTHER}))
    with pytest.raises(WrongPerson):
        await write(register)
    assert register.breaker.state is Override.FORCED_OPEN


async def test_a_request_id_that_was_seen_is_followed_by_a_new_one_which_decides(register: Register) -> None:
    register.will_answer((412, EMPTY), (200, EMPTY))
    assert await write(register) is None
    register.will_answer((412, EMPTY), (400, errors("8067")))
    assert await write(register) == "8067"
    ids = [call.headers["x-requestId"] for call in register.calls]
    assert len(set(ids)) == 4


async def test_what_is_refused_under_two_request_ids_is_there_already(register: Register) -> None:
    register.will_answer((412, EMPTY))
    assert await write(register) is None
    assert len({call.headers["x-requestId"] for call in register.calls}) == len(register.calls) == 2


async def test_a_write_whose_answer_was_lost_keeps_its_request_id_and_is_asked_again_by_a_new_one_when_that_is_known(
    register: Register,
) -> None:
    register.will_answer((500, EMPTY), (500, EMPTY), (412, EMPTY), (400, errors("8067")))
    assert await write(register) == "8067"
    ids = [call.headers["x-requestId"] for call in register.calls]
    assert (len(ids), len(set(ids[:3])), len(set(ids))) == (4, 1, 2)


async def test_a_write_that_is_received_and_fails_each_time_is_not_there(register: Register) -> None:
    register.will_answer((503, EMPTY), (412, EMPTY), (503, EMPTY), (412, EMPTY))
    with pytest.raises(UpstreamUnavailable, match="HTTP 503"):
        await write(register)
    ids = [call.headers["x-requestId"] for call in register.calls]
    assert (ids[0], ids[2]) == (ids[1], ids[3])
    assert len(set(ids)) == 2


@dataclass(frozen=True)
class Row:
    """A row of the table of answers: what comes, its error, the calls that are made, and what follows from it."""

    answer: tuple[int, object]
    error: type[CallFailed] | None
    calls: int = 1
    opens: bool = False
    alarms: bool = False


def coded(code: object, status: int = 500) -> tuple[int, object]:
    return status, errors(code)


TABLE = {
    **{f"HTTP {status}": Row((status, {}), UpstreamUnavailable, 3, opens=True) for status in (500, 502, 503, 504)},
    "reset": Row((0, reset), ConnectionLost, 3, opens=True),
    "no answer in time": Row((0, hang), UpstreamTimeout, 3, opens=True),
    "HTTP 429": Row((429, {}), RateLimited, 3),
    **{f"HTTP {status}": Row((status, {}), NotAuthorised, alarms=True) for status in (401, 403)},
    **{
        f"code {code}": Row(coded(code), NotAuthorised, alarms=True)
        for code in (1011, 1012, 1013, 1100, 1101, 4575, 8232, 8233)
    },
    "code 4922": Row(coded(4922), NotThisCitizen),
    "HTTP 412": Row((412, {}), RequestIdUsed, 2),
    **{
        f"code {code} and HTTP {status}": Row(coded(code, status), None)
        for code in (1010, 4404, 4405, 60007, 3, 4367)
        for status in (200, 400, 404, 500)
    },
    **{f"code {code} of a replacement number": Row(coded(code, 400), None) for code in (1001, 1014)},
    **{f"HTTP {status}": Row((status, {}), BadRequest, alarms=True) for status in (400, 422, 405, 418)},
    "not of the contract": Row((200, {"ting": None}), InvalidResponse, 2, opens=True),
    "longer than MAX_BODY": Row((200, {"ting": "x" * (2 * 1024**2)}), TooLong),
    "about another person": Row((200, events(OTHER)), WrongPerson, opens=True, alarms=True),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
async def test_the_table_of_answers_holds_row_by_row(register: Register, row: Row) -> None:
    register.will_answer(row.answer)
    register.upstream._settings = UpstreamSettings(attempt_timeout=timedelta(seconds=0.2 if row.answer[0] == 0 else 4))
    with capture_logs() as lines:
        if row.error is None:
            assert await udb_client.fetch(register.upstream, CPR) is None
        else:
            with pytest.raises(row.error) as raised:
                await udb_client.fetch(register.upstream, CPR)
            assert type(raised.value) is row.error
        assert len(register.calls) == row.calls
        assert any(line["event"] == "upstream_alarm" for line in lines) is row.alarms
        for _ in range(20):
            with suppress(CallFailed, CircuitOpen):
                await udb_client.fetch(register.upstream, CPR)
    assert (register.breaker.state is not State.CLOSED) is row.opens


@pytest.mark.parametrize("code", [1001, 1014])
async def test_of_an_ordinary_number_the_same_codes_are_our_defect(register: Register, code: int) -> None:
    register.will_answer(coded(code, 400))
    with pytest.raises(BadRequest), capture_logs() as lines:
        await udb_client.fetch(register.upstream, ORDINARY)
    assert [line["event"] for line in lines] == ["upstream_alarm"]
    assert len(register.calls) == 1


# --- What an answer means ---------------------------------------------------------------------------------------------


NO_DATA = ["1010", "4404", "4405", "60007", "3", "4367"]
NOT_OF_THE_PATTERN = ["1001", "1014"]
MEANINGS = [
    *((code, NotAuthorised) for code in ("1011", "1012", "1013", "1100", "1101", "4575", "8232", "8233")),
    *((code, BadRequest) for code in NOT_OF_THE_PATTERN),
    ("4922", NotThisCitizen),
    ("8111", UpstreamUnavailable),
]
EVERY_STATUS = [200, 204, 301, 400, 401, 403, 404, 412, 422, 429, 500, 502, 503, 504]

FORMS: dict[str, Callable[..., object]] = {
    "fejl": lambda *codes: {"fejl": [{"kode": code, "tekst": "x"} for code in codes]},
    "Fejl": lambda *codes: {"Fejl": [{"Kode": code} for code in codes]},
    "errors": lambda *codes: {"errors": [{"code": code, "message": "x"} for code in codes], "traceId": "t"},
    "a list under code": lambda *codes: {"errorCode": list(codes), "title": "x"},
    "FaultDetails": lambda *codes: {"fault": {"FaultDetails": [{"ErrorCode": code} for code in codes]}},
    "error": lambda *codes: {"error": {"details": [{"reason": {"code": code}} for code in codes]}},
}
"""Where an answer may have its codes, whatever its status."""
ONE_CODE: dict[str, Callable[[object], object]] = {
    **FORMS,
    "errorCode": lambda code: {"errorCode": code, "message": "x"},
    "ErrorCode": lambda code: {"ErrorCode": code},
    "error_code": lambda code: {"error_code": code},
    "Error-Code": lambda code: {"error": {"Error-Code": code}},
    "code": lambda code: {"code": code, "message": "x"},
    "kode": lambda code: {"kode": code},
    "an object": lambda code: {"fejl": {"kode": code}},
    "with the person": lambda code: {"civilRegistrationIdentifier": OWN, "fejl": [{"kode": code}]},
    "beside a text": lambda code: {"error": "Not Found", "code": code},
    "beside texts": lambda code: {"errors": ["x", "y"], "code": code},
    "beside no data": lambda code: {"fejl": [{"kode": code}], "ting": None},
}
IN_A_REFUSAL: dict[str, Callable[[object], object]] = {
    "below anything": lambda code: {"svar": {"x": [{"y": {"code": code}}]}},
    "in a list": lambda code: [{"kode": code}],
    "in lists": lambda code: [[[{"errorCode": code}]]],
}
"""Where only the body of a refusal may have them."""


def either(code: str) -> tuple[object, object]:
    """A code as a text and as a number."""
    return code, int(code)


@pytest.mark.parametrize(("code", "error"), MEANINGS)
@pytest.mark.parametrize("status", EVERY_STATUS)
def test_a_code_decides_over_the_status(code: str, error: type[CallFailed], status: int) -> None:
    for spelled in either(code):
        with pytest.raises(CallFailed) as raised:
            read(a_json_answer(errors(spelled), status), ORDINARY, Thing)
        assert (type(raised.value), str(raised.value)) == (error, f"DFDG code {code}")


@pytest.mark.parametrize("code", NO_DATA)
@pytest.mark.parametrize("status", EVERY_STATUS)
def test_no_data_is_no_data_whatever_the_status(code: str, status: int) -> None:
    for spelled in either(code):
        assert read(a_json_answer(errors(spelled), status), ORDINARY, Thing) is None


@pytest.mark.parametrize("status", [200, 400, 404, 500])
@pytest.mark.parametrize("form", ONE_CODE.values(), ids=ONE_CODE)
def test_a_code_is_found_wherever_it_stands(form: Callable[[object], object], status: int) -> None:
    for spelled in either("4404"):
        assert read(a_json_answer(form(spelled), status), CPR, Thing) is None
    for spelled in either("1100"):
        with pytest.raises(NotAuthorised, match="1100"):
            read(a_json_answer(form(spelled), status), CPR, Thing)


@pytest.mark.parametrize("form", IN_A_REFUSAL.values(), ids=IN_A_REFUSAL)
def test_in_a_refusal_whatever_is_called_a_code_is_one(form: Callable[[object], object]) -> None:
    assert read(a_json_answer(form("1010"), 404), CPR, Thing) is None
    with pytest.raises(NotAuthorised, match="1100"):
        read(a_json_answer(form(1100), 404), CPR, Thing)
    with pytest.raises(InvalidResponse):
        read(a_json_answer(form("1010"), 200), CPR, Thing)


def soap_fault(*codes: str, person: str = "", kind: str = "text/xml", status: int = 500) -> Answer:
    details = "".join(
        f"<FaultDetails><ErrorCode> {code} </ErrorCode><Message>x</Message></FaultDetails>" for code in codes
    )
    body = (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        f'<faultcode>s:Server</faultcode>{person}<detail xmlns="http://service.bm.dk/xml/schemas/2011/01/12/">{details}'
        "</detail></s:Fault></s:Body></s:Envelope>"
    )
    return Answer(status, kind, "utf-8", body.encode())


@pytest.mark.parametrize("kind", ["text/xml", "application/xml", "application/soap+xml"])
@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_code_is_found_in_a_soap_fault(kind: str, status: int) -> None:
    for code in NO_DATA:
        assert read(soap_fault(code, kind=kind, status=status), ORDINARY, Thing) is None
    for code, error in MEANINGS:
        with pytest.raises(CallFailed) as raised:
            read(soap_fault("1010", code, kind=kind, status=status), ORDINARY, Thing)
        assert type(raised.value) is error
    assert read(soap_fault("1014", kind=kind, status=status), CPR, Thing) is None


@pytest.mark.parametrize(
    "answer",
    [
        soap_fault(),
        soap_fault(""),
        soap_fault("1010", "4711"),
        soap_fault("1010<a/>"),
        Answer(500, "text/xml", "utf-8", b"<a><ErrorCode>1010</ErrorCode>"),
        Answer(500, "text/xml", "utf-8", b"<ErrorCode>1010</ErrorCode>" + b" " * 70_000),
        Answer(500, "text/xml", "utf-8", b"<!DOCTYPE a [<!ENTITY b '1010'>]><ErrorCode>&b;</ErrorCode>"),
        Answer(500, "text/xml", "utf-8", b"<ErrorCode>&b;</ErrorCode>"),
        Answer(500, "text/xml", "utf-8", b"<a>" * 2_000 + b"<ErrorCode>1010</ErrorCode>" + b"</a>" * 2_000),
        Answer(500, "text/xml", "utf-8", "<ErrorCode>1010</ErrorCode>".encode("utf-16")),
        Answer(500, "text/xml", "utf-8", b""),
        Answer(500, "text/html", "utf-8", b"<ErrorCode>1010</ErrorCode>"),
    ],
    ids=lambda answer: answer.body[:40].decode(errors="replace"),
)
def test_xml_without_a_code_that_we_know_alone_is_what_its_status_says(answer: Answer) -> None:
    with pytest.raises(UpstreamUnavailable, match="HTTP 500"):
        read(answer, CPR, Thing)


@pytest.mark.parametrize("name", ["civilRegistrationIdentifier", "PersonCivilRegistrationIdentifier"])
def test_a_soap_fault_about_another_person_is_another_persons(name: str) -> None:
    with pytest.raises(WrongPerson):
        read(soap_fault("1010", person=f"<{name}>{OTHER}</{name}>"), CPR, Thing)
    assert read(soap_fault("1010", person=f"<{name}>{OWN_WITH_HYPHEN}</{name}>"), CPR, Thing) is None


def test_xml_with_status_200_is_no_answer() -> None:
    with pytest.raises(InvalidResponse):
        read(soap_fault("1010", status=200), CPR, Thing)


def test_a_code_deep_within_a_refusal_is_found_and_below_any_depth_the_status_decides() -> None:
    for depth, found in ((100, True), (100_000, False)):
        body = b'{"a":' * depth + b'{"errorCode":1100}' + b"}" * depth
        with pytest.raises(NotAuthorised if found else UpstreamUnavailable):
            read(Answer(500, "application/json", "utf-8", body), CPR, Thing)


@pytest.mark.parametrize("code", NOT_OF_THE_PATTERN)
@pytest.mark.parametrize("status", EVERY_STATUS)
def test_a_replacement_number_is_refused_for_being_one_and_so_there_are_no_data(code: str, status: int) -> None:
    answer = a_json_answer(errors(code), status)
    assert read(answer, CPR, Thing) is None
    with pytest.raises(BadRequest) as raised:
        read(answer, ORDINARY, Thing)
    assert raised.value.alarm


@pytest.mark.parametrize(
    ("digits", "replaces"), [("3101385000", False), ("6101385000", True), ("9101385000", True), ("0112385000", False)]
)
def test_a_replacement_number_has_a_day_of_61_to_91(digits: str, replaces: bool) -> None:
    assert Cpr.parse(digits).is_replacement is replaces


ANOTHER = 4711
"""A code that is in no table."""


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    ("codes", "error"),
    [
        (("1010", "1011"), NotAuthorised),
        (("1010", "1001"), BadRequest),
        (("1010", "4922"), NotThisCitizen),
        (("8111", "4922"), NotThisCitizen),
        (("8111", "1010"), UpstreamUnavailable),
        (("4922", "1014"), BadRequest),
        (("4922", "8233"), NotAuthorised),
        (("1001", "1013", "4922"), NotAuthorised),
        (("1014", ANOTHER), BadRequest),
        (("1010", "4404", ANOTHER), None),
        (("1010", ""), None),
        (("3", "03"), None),
        (("3", " 3"), None),
        (("3", 3.5), None),
        (("3", True), None),
        (("3", "0"), None),
        (("3", OWN), None),
    ],
    ids=str,
)
@pytest.mark.parametrize(("status", "by_itself"), [(200, InvalidResponse), (400, BadRequest), (404, NotFound)])
def test_of_several_codes_the_gravest_decides_in_whatever_order(
    form: Callable[..., object],
    codes: tuple[object, ...],
    error: type[CallFailed] | None,
    status: int,
    by_itself: type[CallFailed],
) -> None:
    for in_order in permutations(codes):
        with pytest.raises(CallFailed) as raised:
            read(a_json_answer(form(*in_order), status), ORDINARY, Thing)
        assert type(raised.value) is (error or by_itself)
        assert OWN not in str(raised.value)


def test_of_a_replacement_number_what_else_is_wrong_decides_all_the_same() -> None:
    assert read(a_json_answer(errors("1001", "1010", "1014"), 400), CPR, Thing) is None
    for other, error in (("1100", NotAuthorised), ("4922", NotThisCitizen), ("4711", BadRequest)):
        with pytest.raises(CallFailed) as raised:
            read(a_json_answer(errors("1001", other), 400), CPR, Thing)
        assert type(raised.value) is error


@pytest.mark.parametrize(
    "body",
    [
        {"fejl": [{"kode": "1010"}, {"tekst": "Unknown cpr"}]},
        {"fejl": [{"kode": "1010"}], "errors": [{"message": "x"}]},
        {"code": "1010", "errors": {"felt": ["mangler"]}},
        {"code": "1010", "fejl": {"tekst": "x"}},
        {"fejl": [{"kode": "1010"}, {"kode": None}]},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize(("status", "error"), [(200, InvalidResponse), (400, BadRequest), (503, UpstreamUnavailable)])
def test_an_error_without_a_code_beside_one_is_a_failure(body: object, status: int, error: type[CallFailed]) -> None:
    with pytest.raises(CallFailed) as raised:
        read(a_json_answer(body, status), CPR, Thing)
    assert type(raised.value) is error


def test_the_unknown_person_said_twice_is_still_no_data() -> None:
    assert read(a_json_answer(errors("1010", "1010", 4404), 404), CPR, Thing) is None


class Group(WireModel):
    """A thing of the contract that has a code."""

    kode: int


class Groups(WireModel):
    """An answer whose fields may all be missing, which makes an error look like no data to whom it is just a model."""

    person: str | None = Field(default=None, alias="civilRegistrationIdentifier")
    grupper: Many[Group] = ()
    code: str | None = Field(default=None, alias="Kode")


@pytest.mark.parametrize("code", [3, 1010, 1100, 4711])
def test_a_code_of_the_data_is_none_of_an_error(code: int) -> None:
    assert read(a_json_answer({"grupper": [{"kode": code}]}), CPR, Groups) == Groups(grupper=(Group(kode=code),))
    found = read(a_json_answer({"grupper": [], "code": code, "kode": code}), CPR, Groups)
    assert found is not None
    assert found.grupper == ()
    assert read(a_json_answer({"ting": "Bord", "code": code}), CPR, Thing) == Thing(ting="Bord")
    assert read(a_json_answer({"ting": "Bord", "andet": {"code": code}}), CPR, Thing) == Thing(ting="Bord")


@pytest.mark.parametrize(("status", "error"), [(200, InvalidResponse), (404, NotFound), (500, UpstreamUnavailable)])
@pytest.mark.parametrize(
    "body",
    [
        {"grupper": [{"kode": 3}], "fejl": [{"kode": "1010"}]},
        {"grupper": [{"kode": 3}], "errorCode": 1010},
        {"grupper": [{"kode": 3}], "errors": [{"message": "x"}]},
        {"Kode": "x", "error": {"code": 1010}},
    ],
    ids=json.dumps,
)
def test_no_data_beside_data_is_neither(body: object, status: int, error: type[CallFailed]) -> None:
    with pytest.raises(CallFailed) as raised:
        read(a_json_answer(body, status), CPR, Groups)
    assert type(raised.value) is error


@pytest.mark.parametrize("status", [404, 500, 503])
def test_the_codes_of_data_do_not_make_a_refusal_no_data(status: int) -> None:
    with pytest.raises(CallFailed):
        read(a_json_answer({"grupper": [{"kode": 3}]}, status), CPR, Groups)


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"grupper": [{"kode": 3}]}},
        {"svar": [{"kode": 1010}]},
        [{"kode": 3}],
    ],
    ids=json.dumps,
)
def test_data_in_a_wrapping_that_the_contract_does_not_have_are_not_no_data(body: object) -> None:
    with pytest.raises(InvalidResponse):
        read(a_json_answer(body), CPR, Thing)


@pytest.mark.parametrize(
    "body",
    [
        {"code": 1100, "message": "x"},
        {"errorCode": "1100"},
        {"fejl": [{"kode": 1100}]},
        {"civilRegistrationIdentifier": OWN, "code": "1100"},
        {"grupper": None, "code": "1100"},
        {"grupper": [], "errorCode": "1100"},
    ],
    ids=json.dumps,
)
def test_an_error_is_no_empty_answer_though_every_field_may_be_missing(body: object) -> None:
    with pytest.raises(NotAuthorised):
        read(a_json_answer(body), CPR, Groups)


@pytest.mark.parametrize(
    "body", [{"fejl": ["x"]}, {"error": "x"}, {"errors": {"x": 1}}, {"code": 0}, {"errorCode": "x"}], ids=json.dumps
)
def test_an_error_that_we_do_not_know_is_no_empty_answer_either(body: object) -> None:
    with pytest.raises(InvalidResponse):
        read(a_json_answer(body), CPR, Groups)


@pytest.mark.parametrize(
    "beside",
    [{"fejl": []}, {"fejl": None}, {"errors": {}}, {"errorCode": 0}, {"errorCode": "0"}, {"errorCode": None},
     {"errorCode": ""}, {"code": None}, {"code": 200}, {"error": False}],
    ids=json.dumps,
)  # fmt: skip
def test_no_error_beside_the_data_is_none(beside: dict[str, object]) -> None:
    assert read(a_json_answer({"ting": "Bord", **beside}), CPR, Thing) == Thing(ting="Bord")


def test_a_problem_is_read_as_any_other_refusal() -> None:
    problem = "application/problem+json"
    assert read(Answer(404, problem, "utf-8", b'{"status": 404, "errorCode": 4404}'), CPR, Thing) is None
    with pytest.raises(WrongPerson):
        read(Answer(404, problem, "utf-8", json.dumps({"civilRegistrationIdentifier": OTHER}).encode()), CPR, Thing)
    with pytest.raises(InvalidResponse):
        read(Answer(200, problem, "utf-8", b'{"ting": "Bord"}'), CPR, Thing)


STATUSES = [
    (204, InvalidResponse),
    (301, InvalidResponse),
    (400, BadRequest),
    (401, NotAuthorised),
    (403, NotAuthorised),
    (404, NotFound),
    (422, BadRequest),
    (429, RateLimited),
    (500, UpstreamUnavailable),
    (502, UpstreamUnavailable),
    (503, UpstreamUnavailable),
    (504, UpstreamUnavailable),
]


@pytest.mark.parametrize(("status", "error"), STATUSES)
@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"fejl": []},
        {"fejl": None},
        {"fejl": "1010"},
        {"fejl": ["1010"]},
        {"fejl": [["1010"]]},
        {"kode": {"nummer": "1010"}},
        {"status": 1010, "kodetekst": "1010"},
        {"fejl": [{"kode": "1010"}, {"tekst": "Unknown cpr"}]},
        errors("4711"),
        errors(" 1010"),
        errors(""),
    ],
    ids=json.dumps,
)
def test_without_a_code_that_we_know_the_status_decides(status: int, error: type[CallFailed], body: object) -> None:
    with pytest.raises(CallFailed) as raised:
        read(a_json_answer(body, status), CPR, Thing)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, "text/html", "utf-8", b"<h1>1010</h1>"),
        Answer(404, "text/plain", "utf-8", json.dumps(errors("1010")).encode()),
        Answer(404, "application/json", "iso-8859-1", json.dumps(errors("1010")).encode()),
        Answer(404, "application/json", "utf-8", b""),
        Answer(404, "application/json", "utf-8", b"\xff"),
        Answer(404, "application/json", "utf-8", json.dumps(errors("1010")).encode()[:-1]),
        Answer(404, "application/json", "utf-8", b'{"fejl": [{"kode": "1011", "kode": "1010"}]}'),
    ],
)
def test_a_body_that_is_not_of_the_form_never_makes_a_person_unknown(answer: Answer) -> None:
    with pytest.raises(NotFound):
        read(answer, CPR, Thing)


@pytest.mark.parametrize(
    "body",
    [
        {**errors("1010"), "ting": "Bord"},
        {**errors("4711"), "ting": "Bord"},
        {"ting": None},
        {"ting": 1},
        {},
        [],
        None,
        "Bord",
    ],
    ids=json.dumps,
)
def test_an_answer_with_status_200_is_data_of_the_contract_or_invalid(body: object) -> None:
    with pytest.raises(InvalidResponse):
        read(a_json_answer(body), CPR, Thing)


def test_an_empty_list_of_errors_beside_the_data_says_that_there_are_none() -> None:
    assert read(a_json_answer({"ting": "Bord", "fejl": []}), CPR, Thing) == Thing(ting="Bord")


@pytest.mark.parametrize(("code", "error"), [("1011", NotAuthorised), ("4711", UpstreamUnavailable)])
def test_the_time_that_the_upstream_asks_for_is_passed_on(code: str, error: type[CallFailed]) -> None:
    wait = timedelta(seconds=7)
    answer = Answer(503, "application/json", "utf-8", json.dumps(errors(code)).encode(), retry_after=wait)
    with pytest.raises(error) as raised:
        read(answer, CPR, Thing)
    assert raised.value.retry_after == wait


# --- About whom (R7) --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500, 503])
@pytest.mark.parametrize("body", [errors("1010"), errors("1012"), errors("4711"), {"ting": "Bord"}], ids=json.dumps)
def test_another_persons_number_outweighs_whatever_else_an_answer_says(status: int, body: dict[str, object]) -> None:
    with pytest.raises(WrongPerson):
        read(a_json_answer({**body, "andet": [{"civilRegistrationIdentifier": OTHER}]}, status), CPR, Thing)


@pytest.mark.parametrize("number", [OWN, OWN_WITH_HYPHEN])
@pytest.mark.parametrize("name", ["civilRegistrationIdentifier", "CivilRegistrationIdentifier"])
def test_the_asked_person_is_the_same_in_either_spelling(number: str, name: str) -> None:
    same_person(CPR, json.dumps({name: number, "a": [{"b": {name: number}}]}).encode())


def test_an_answer_without_any_number_is_about_nobody_else() -> None:
    same_person(CPR, b'{"ting": "civilRegistrationIdentifier", "liste": ["6203991234"]}')


@pytest.mark.parametrize("number", [OTHER, "620399-1234"])
@pytest.mark.parametrize(
    "body",
    [
        '{"civilRegistrationIdentifier": "%s"}',
        '{"CIVILREGISTRATIONIDENTIFIER": "%s"}',
        '{"civilregistrationidentifier": "%s"}',
        '[[[{"a": {"b": [{"civilRegistrationIdentifier": "%s"}]}}]]]',
        '{"civilRegistration\\u0049dentifier": "%s"}',
        '{"civilRegistrationIdentifier": "%s", "civilRegistrationIdentifier": "6102991234"}',
        '{"civilRegistrationIdentifier": "6102991234", "civilRegistrationIdentifier": "%s"}',
        '{"a": {"civilRegistrationIdentifier": "%s"}, "a": {"civilRegistrationIdentifier": "6102991234"}}',
        '{"civilRegistrationIdentifier": "%s", "a": {"civilRegistrationIdentifier": null}}',
    ],
)
def test_another_persons_number_is_found_wherever_it_hides(body: str, number: str) -> None:
    with pytest.raises(WrongPerson):
        same_person(CPR, (body % number).encode())


@pytest.mark.parametrize(
    "value", [None, 6102991234, True, "", "0000000000", "9999999999", " 6102991234", "610299 1234", [OWN], {"nr": OWN}]
)
def test_what_is_no_cpr_number_is_an_invalid_answer(value: object) -> None:
    with pytest.raises(InvalidResponse):
        same_person(CPR, json.dumps({"civilRegistrationIdentifier": value}).encode())


@pytest.mark.parametrize(
    "body",
    [
        b'{"civilRegistrationIdentifier": "6102991234", "civilRegistrationIdentifier": "6102991234"}',
        b'{"uddannelsesforloeb": [{}], "uddannelsesforloeb": []}',
        b'[{"a": {"slutdato": "2020-01-01", "slutdato": null}}]',
    ],
)
def test_an_object_that_names_a_field_twice_is_an_invalid_answer(body: bytes) -> None:
    with pytest.raises(InvalidResponse):
        same_person(CPR, body)


@pytest.mark.parametrize("depth", [1_000, 1_000_000])
def test_no_depth_of_nesting_is_a_crash(depth: int) -> None:
    deep = b'{"a":' * depth + b'{"civilRegistrationIdentifier":"6203991234"}' + b"}" * depth
    with pytest.raises((InvalidResponse, WrongPerson)):
        same_person(CPR, deep)
    with pytest.raises(InvalidResponse):
        read(Answer(200, "application/json", "utf-8", deep), CPR, Thing)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("nested", ['{"fejl":%s}', '{"errors":[%s]}', '{"Error":{"detail":%s}}'])
def test_errors_within_errors_are_each_looked_at_once(status: int, nested: str) -> None:
    body = "{}"
    for _ in range(60):
        body = nested % body
    # By every other way than once it would not come to an end.
    with pytest.raises(BadRequest if status == 400 else InvalidResponse):
        read(Answer(status, "application/json", "utf-8", body.encode()), CPR, Thing)


def test_an_answer_of_more_lists_than_any_history_has_is_not_of_the_contract() -> None:
    with pytest.raises(InvalidResponse, match="more than 50000 lists and objects"):
        Answer(200, "application/json", "utf-8", b'{"a":[' + b"[]," * 50_000 + b"[]]}").json()


def test_an_answer_of_too_many_values_is_too_long_and_a_refusal_all_the_same() -> None:
    many = b'{"a":[' + b"0," * 100_000 + b"0]}"
    with pytest.raises(TooLong):
        read(Answer(200, "application/json", "utf-8", many), CPR, Thing)
    with pytest.raises(UpstreamUnavailable):
        read(Answer(503, "application/json", "utf-8", many), CPR, Thing)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


def around(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """`inner` somewhere within other values."""
    within_list = st.tuples(st.lists(ANY_JSON), inner, st.lists(ANY_JSON)).map(lambda t: [*t[0], t[1], *t[2]])
    within_object = st.tuples(st.dictionaries(st.text(), ANY_JSON), st.text(), inner).map(lambda t: t[0] | {t[1]: t[2]})
    return within_list | within_object


def an_answer_about(number: str) -> st.SearchStrategy[object]:
    return st.recursive(st.just({"civilRegistrationIdentifier": number}), around, max_leaves=8)


@given(an_answer_about(OTHER))
def test_another_persons_number_is_found_at_any_place(values: object) -> None:
    with pytest.raises(WrongPerson):
        same_person(CPR, json.dumps(values).encode())


@given(an_answer_about(OWN))
def test_the_asked_persons_number_is_right_at_any_place(values: object) -> None:
    same_person(CPR, json.dumps(values).encode())


@pytest.mark.parametrize(
    "answer",
    [
        a_json_answer({"civilRegistrationIdentifier": OTHER, "ting": "Bord"}),
        a_json_answer({"civilRegistrationIdentifier": OWN + "7", "ting": "Bord"}),
        a_json_answer({"civilRegistrationIdentifier": OWN, OWN: OTHER}),
        a_json_answer({"civilRegistrationIdentifier": OWN, "ting": [OWN]}),
        a_json_answer({"fejl": [{"kode": OWN, "tekst": f"Unknown cpr {OWN}"}]}, 400),
        a_json_answer({"fejl": [{"kode": "1012", "tekst": f"Unknown cpr {OWN}"}]}, 400),
        Answer(200, "application/json", "utf-8", f'{{"civilRegistrationIdentifier": "{OWN}"'.encode()),
        Answer(200, "application/json", "utf-8", f'{{"a": "{OWN}", "a": "{OWN}"}}'.encode()),
    ],
)
def test_no_error_holds_anything_of_the_citizen(answer: Answer) -> None:
    with pytest.raises(CallFailed) as raised:
        read(answer, CPR, Thing)
    error: BaseException | None = raised.value
    while error is not None:
        told = f"{error!r} {error} {vars(error)}"
        assert OWN not in told
        assert OTHER not in told
        error = error.__cause__ or error.__context__


# --- The words of the contracts ---------------------------------------------------------------------------------------

ISO_DATE = TypeAdapter(IsoDate)
NAME = TypeAdapter(Name)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2023-03-13", date(2023, 3, 13)),
        ("2024-02-29", date(2024, 2, 29)),
        ("0001-01-01", date.min),
        ("9999-12-31", date.max),
    ],
)
def test_a_date_is_year_month_day(text: str, day: date) -> None:
    assert ISO_DATE.validate_python(text) == day


@pytest.mark.parametrize(
    "value",
    [
        None,
        1678662000,
        1678662000.0,
        True,
        "",
        "1678662000",
        "20230313",
        "2023-W11-1",
        "2023-072",
        "2023-3-13",
        "13-03-2023",
        "2023-02-29",
        "0000-01-01",
        "10000-01-01",
        "-001-01-01",
        "2023-03-13T00:00:00",
        "2023-03-13Z",
        " 2023-03-13",
        "２０２３-０３-１３",
        ["2023-03-13"],
    ],
)
def test_nothing_else_is_a_date(value: object) -> None:
    with pytest.raises(ValidationError):
        ISO_DATE.validate_python(value)


@given(st.dates())
def test_every_day_of_the_calendar_is_a_date(day: date) -> None:
    assert ISO_DATE.validate_python(day.isoformat()) == day


@pytest.mark.parametrize(
    ("text", "name"),
    [("Htx", "Htx"), ("  Htx\n", "Htx"), ("æøå <script>", "æøå <script>"), ("x" * 300 + " ", "x" * 300)],
)
def test_a_name_is_stripped(text: str, name: str) -> None:
    assert NAME.validate_python(text) == name


@pytest.mark.parametrize("value", [None, 7, "", " \t\n\u00a0", "x" * 301, ["Htx"]])
def test_a_name_says_something_and_is_at_most_300_characters(value: object) -> None:
    with pytest.raises(ValidationError):
        NAME.validate_python(value)


def test_a_model_shows_nothing_of_what_it_holds() -> None:
    assert repr(Thing(ting="Bord")) == "Thing()"
    assert str(Thing(ting="Bord")) == ""


def test_fields_beyond_the_contract_are_ignored() -> None:
    assert read(a_json_answer({"ting": "Bord", "farve": "blå"}), CPR, Thing) == Thing(ting="Bord")


@pytest.mark.parametrize("value", ["abc", {"a": 1}, None, 3])
def test_many_is_a_list_alone(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Many[Thing]).validate_python(value)


# --- What the contract does not know ----------------------------------------------------------------------------------


class Coloured(WireModel):
    farve: str
    form: str | None = None


VOCABULARY = {"farve": {"RØD", "BLÅ"}, "form": {"RUND"}}


def test_of_many_items_that_are_wrong_the_first_is_told() -> None:
    class Told(WireModel):
        items: Many[Name]

    with pytest.raises(InvalidResponse) as caught:
        validated(Told, {"items": ["good", 1, 2, 3, 4]})
    assert str(caught.value) == "not of the contract: items.1 (string_type)"


def test_items_with_unknown_values_are_left_out_and_each_value_is_named() -> None:
    red, round_blue = Coloured(farve="RØD"), Coloured(farve="BLÅ", form="RUND")
    strange = Coloured(farve="LILLA", form="SKÆV")
    assert known_only([red, strange, round_blue], VOCABULARY) == (
        [red, round_blue],
        (UnknownValue("farve", "LILLA"), UnknownValue("form", "SKÆV")),
    )


def test_the_same_item_again_is_the_same_item() -> None:
    known, unknown = known_only([Coloured(farve="RØD"), Coloured(farve="GUL")] * 2, VOCABULARY)
    assert len(known) == len(unknown) == 1


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("", ""),
        ("LILLA", "LILLA"),
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 40),
        ("123456789", "123456789"),
        (OWN, "?"),
        (OWN_WITH_HYPHEN, "?"),
        (f"LILLA {OWN}", "?"),
        ("x" * 35 + OWN, "?"),
        ("61 02 99 12 34", "?"),
    ],
)
def test_a_named_value_is_short_and_holds_no_cpr_number(value: str, named: str) -> None:
    assert known_only([Coloured(farve=value)], VOCABULARY)[1] == (UnknownValue("farve", named),)


UNKNOWN = (UnknownValue("farve", "LILLA"),)


def test_an_answer_of_which_only_unknown_values_are_left_is_not_no_data() -> None:
    with pytest.raises(InvalidResponse, match="farve 'LILLA'"):
        normalised({"a": [], "b": []}, UNKNOWN)


def test_unknown_values_do_not_fail_the_rest() -> None:
    sections = {"a": [], "b": [SuAttempts(count=1)]}
    assert normalised(sections, UNKNOWN).sections == sections
    assert normalised(sections, UNKNOWN).unknown == UNKNOWN


def test_nothing_at_all_is_no_data() -> None:
    assert normalised({"a": [], "b": []}, ()).sections == {"a": [], "b": []}


def test_every_code_of_the_gateway_has_one_meaning() -> None:
    assert set(NO_DATA) == protocol.NO_DATA
    assert dict(protocol.ERRORS) == dict(MEANINGS)
    assert not protocol.NO_DATA & protocol.ERRORS.keys()
    assert set(NOT_OF_THE_PATTERN) == protocol.NOT_OF_THE_PATTERN
