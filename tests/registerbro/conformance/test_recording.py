"""Recordings: written whole and clean, or not at all; read by the adapter as the answer was."""

import json
import re
from datetime import date
from types import SimpleNamespace

import pytest

from domain.cpr import Cpr
from registerbro.conformance.calls import Exchanged
from registerbro.conformance.expectations import Asked, Expected, Mark, Operation, Result
from registerbro.conformance.json_shape import expected, shape
from registerbro.conformance.recording import NotAnonymous, NotRecorded, Recording, Replay, record, replay, write
from registerbro.upstreams.errors import BadRequest
from registerbro.upstreams.messages import Answer, Question
from registerbro.upstreams.observation import Observed
from registerbro.upstreams.pipeline import Exchange
from registerbro.upstreams.wire_types import IsoDate, Name, WireModel

ASKED = Cpr("0102031234")
TODAY = date(2026, 11, 30)
BODY = {
    "civilRegistrationIdentifier": "0102031234",
    "navn": "Åse Hansen",
    "start": "2020-01-31",
    "type": "FGU",
    "andet": "ring til Åse på 12345678",
}
HEADERS = {
    "Accept": "application/json",
    "Authorization": "Bearer very-secret",
    "x-civilRegistrationIdentifier": "0102031234",
}


class Wire(WireModel):
    civilRegistrationIdentifier: str  # noqa: N815 - as it is sent
    navn: Name
    start: IsoDate
    type: str


def operation(contract, read=lambda answer: answer.model(Wire)):
    async def call(asked):
        return await asked.upstream.ask(Exchange(lambda _: Question("GET", "/v1/x", HEADERS), read))

    return Operation("x", call, contract, shape)


CONTRACT = expected(Wire, Mark.PUBLISHED, codes={"type": {"FGU"}})


@pytest.fixture
def settings():
    return SimpleNamespace()


def exchanged(body=None, headers=HEADERS, status=200, path="/v1/x"):
    seen = Observed(f"http://x{path}", Question("GET", path, headers))
    seen.receive_head(status, [])
    seen.receive(Answer(status, "application/json", "utf-8", json.dumps(body or BODY).encode()))
    return Exchanged(seen)


@pytest.fixture
def recorded(settings):
    async def recorded(contract=CONTRACT, body=None, result=Result.DATA, **more):
        asked = Asked(Replay(exchanged().seen.answer), settings, ASKED, "id", TODAY)
        return await record("udb", operation(contract, **more), exchanged(body), asked, result)

    return recorded


async def test_a_recording_holds_the_form_of_the_exchange_and_nothing_of_it(recorded):
    text = await recorded()
    assert [one for one in ("0102031234", "Hansen", "12345678", "2020-01-31", "very-secret") if one in text] == []
    document = json.loads(text)
    body = json.loads(document["answer"]["body"])
    assert (body.keys(), body["type"]) == (BODY.keys(), "FGU")
    assert body["civilRegistrationIdentifier"] == document["cpr"]
    assert re.fullmatch(r"[a-z]{4} [a-z]{3} [A-Z][a-z]{2} [a-z]{2} \d{8}", body["andet"])
    assert document["question"] == {
        "method": "GET", "path": "/v1/x", "headers": {"Accept": "application/json"}, "body": None,
    }  # fmt: skip


async def test_the_adapter_reads_a_recording_as_it_read_the_answer(recorded, settings):
    one = Recording.read(await recorded())
    found = await replay(one, operation(CONTRACT), settings, TODAY)
    assert (found.type, found.civilRegistrationIdentifier) == ("FGU", one.cpr.digits)


async def test_when_the_contract_calls_a_name_a_code_nothing_is_recorded(recorded):
    careless = Expected("", fields=(Expected("navn", keeps=re.compile(".*")), Expected("cvr", keeps=re.compile(".*"))))
    with pytest.raises(NotAnonymous, match=r"a number of the exchange, at answer\.body\.cvr"):
        await recorded(careless, BODY | {"navn": "x", "cvr": "10150817"})
    with pytest.raises(NotAnonymous) as caught:
        await recorded(careless)
    assert "navn" in str(caught.value)
    assert "Hansen" not in str(caught.value)
    assert {one.kind for one in caught.value.found} == {"a text of the exchange", "a word of the exchange"}


async def test_what_the_adapter_does_not_read_any_more_is_not_recorded(recorded):
    def read(answer):
        if b"Hansen" in answer.body:
            return answer.model(Wire)
        raise BadRequest("only Hansen will do")

    with pytest.raises(NotRecorded, match="the adapter does not read it"):
        await recorded(read=read)
    assert json.loads(await recorded(read=read, result=Result.NOTHING))["format"] == 1


async def test_what_is_read_as_no_data_is_not_recorded_as_data(recorded):
    def read(answer):
        return answer.model(Wire) if b"Hansen" in answer.body else None

    with pytest.raises(NotRecorded, match="the adapter reads no data of it, and read data"):
        await recorded(read=read)


async def test_two_recordings_of_one_exchange_have_nothing_in_common(recorded):
    first, second = [json.loads(json.loads(await recorded())["answer"]["body"]) for _ in range(2)]
    assert first["navn"] != second["navn"]
    assert first["civilRegistrationIdentifier"] != second["civilRegistrationIdentifier"]


def test_a_file_is_written_whole_in_place_of_the_former(tmp_path):
    for text in ("first", "second"):
        assert write(tmp_path, "udb", "x", text) == tmp_path / "udb-x.json"
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("udb-x.json", "second")]


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="format 1"):
        Recording.read('{"format": 2}')


async def test_an_id_in_the_path_is_of_nobody_either(settings):
    asked = Asked(Replay(exchanged().seen.answer), settings, ASKED, "id", TODAY)
    theirs = "4B1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f"
    text = await record("udb", operation(CONTRACT), exchanged(path=f"/v1/x/{theirs}/y"), asked, Result.DATA)
    path = json.loads(text)["question"]["path"]
    assert re.fullmatch(r"/v1/x/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/y", path, re.IGNORECASE)
    assert theirs.lower() not in text.lower()
