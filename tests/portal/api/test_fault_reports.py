"""Fault reports over HTTP: kept before they are confirmed, told apart from one another, and only their author's."""

import asyncio
import json
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from portal.api.middleware import LONGEST_BODY_BYTES
from registerbro.fault_reports import model
from tests.portal.conftest import OTHER, problem

CASES = json.loads((Path(__file__).parents[2] / "domain" / "fault_report_cases.json").read_text("utf-8"))["cases"]
PROBLEMS = {
    "empty": "fault-report-empty",
    "too_long": "fault-report-too-long",
    "control_character": "fault-report-invalid-characters",
    "unpaired_surrogate": "fault-report-invalid-characters",
}


async def hand_in(client, text="Kalenderen er tom.", key=None, token=None, **more):
    # By hand, since half of a surrogate pair is no valid UTF-8, but valid in JSON.
    body = json.dumps({"text": text, **more}).encode()
    headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Content-Type": "application/json"}
    return await client.post("/v1/fault-reports", token, content=body, headers=headers)


def _written(text):
    if isinstance(text, str):
        return text
    return text.get("prefix", "") + text["repeat"] * text["times"] + text.get("suffix", "")


async def test_a_report_is_taken_and_its_author_can_ask_after_it(client):
    taken = await hand_in(client, page="/moedebooking", error_code="4769")
    assert (taken.status_code, taken.json()["status"]) == (202, "accepted")
    assert set(taken.json()) == {"id", "status", "accepted_at"}
    seen = await client.get(taken.headers["location"])
    assert seen.json() == {**taken.json(), "case": None}


async def test_a_second_click_gives_the_first_answer(client, services):
    answers = await asyncio.gather(*(hand_in(client, key="one") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert len(await services.outbox.records(model.State)) == 1


async def test_the_same_key_for_another_text_is_refused(client):
    await hand_in(client, key="one")
    assert problem(await hand_in(client, "Noget andet.", key="one")) == (422, "idempotency-key-reused")


async def test_two_citizens_may_use_the_same_key(client, signer):
    first = await hand_in(client, key="one")
    second = await hand_in(client, "Noget andet.", key="one", token=signer.token(OTHER))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_the_shared_cases_come_to_the_same_verdicts(client, case):
    answer = await hand_in(client, _written(case["text"]))
    if case["verdict"] == "ok":
        assert answer.status_code == 202
    elif len(answer.request.content) > LONGEST_BODY_BYTES:
        assert problem(answer) == (413, "body-too-large")
    else:
        assert problem(answer) == (422, PROBLEMS[case["verdict"]])


async def test_a_text_that_is_too_long_is_told_by_how_much(client):
    answer = await hand_in(client, "😀" * 251)
    assert problem(answer) == (422, "fault-report-too-long")
    assert {name: answer.json()[name] for name in ("length", "limit", "excess")} == {
        "length": 502, "limit": 500, "excess": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"text": 1}', b'{"text": null}', b'{"page": "/x"}', b'{"text": "x", "more": 1}', b"\xff"],
)
async def test_what_is_no_report_is_refused_without_repeating_it(client, body):
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = await client.post("/v1/fault-reports", content=body, headers=headers)
    assert problem(answer)[0] == 422


async def test_a_report_without_a_key_is_refused_naming_it(client):
    answer = await client.post("/v1/fault-reports", json={"text": "hej"})
    assert problem(answer) == (422, "invalid-request")
    assert "idempotency-key" in answer.json()["detail"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_16_kib_is_refused(client, chunked):
    async def parts():
        for _ in range(20):
            yield b" " * 1024

    body = parts() if chunked else b" " * 16_385
    answer = await client.post("/v1/fault-reports", content=body, headers={"Idempotency-Key": "k"})
    assert problem(answer) == (413, "body-too-large")


@pytest.mark.parametrize(
    "report_id",
    ["4b50267d-169c-453f-a703-0c6ea8154301", "nothing", "0192F0C1-7A3E-4C8E-9D51-5A3B2C1D0E9F", "..%2f..", "x" * 90],
)
async def test_somebody_elses_report_is_as_one_that_is_not_there(client, signer, report_id):
    taken = await hand_in(client)
    other = signer.token(OTHER)
    theirs = await client.get(taken.headers["location"], other)
    none = await client.get(f"/v1/fault-reports/{report_id}", other)
    assert problem(theirs) == problem(none) == (404, "not-found")
    assert theirs.text == none.text
    varying = {"date", "traceparent"}
    assert {name for name in theirs.headers if name not in varying} == {
        name for name in none.headers if name not in varying
    }


async def test_the_eleventh_report_of_an_hour_has_to_wait(client):
    answers = [await hand_in(client, f"Nummer {n}.") for n in range(11)]
    assert [answer.status_code for answer in answers[:10]] == [202] * 10
    assert problem(answers[10]) == (429, "rate-limited")
    assert 1 <= int(answers[10].headers["retry-after"]) <= 3600


@pytest.mark.xdist_group("processes")
async def test_without_the_ledger_reports_are_refused_and_not_confirmed(client, redis_servers):
    redis_servers["ledger"].stop()
    try:
        answer = await hand_in(client)
    finally:
        redis_servers["ledger"].start()
    assert problem(answer) == (503, "reports-not-possible")


async def test_operators_see_what_needs_a_person_and_send_it_anew(client, signer, services):
    box = services.outbox
    taken = (await hand_in(client, "Kun til jer.")).json()
    sending = await box.begin_delivery(taken["id"], timedelta(seconds=30))
    await box.reject(sending, "bad_request", b"no")
    listed = await client.get("/v1/fault-reports", signer.token(None, scope="ops:read"))
    (found,) = listed.json()["reports"]
    assert (found["id"], found["status"], found["reason"]) == (taken["id"], "rejected", "bad_request")
    assert "Kun til jer" not in listed.text
    nothing = await client.get("/v1/fault-reports?status=gave_up", signer.token(None, scope="ops:read"))
    assert nothing.json() == {"reports": []}
    writes = signer.token(None, scope="ops:write")
    again = await client.post(f"/v1/fault-reports/{taken['id']}/replay", writes)
    assert (again.status_code, again.json()["status"]) == (202, "accepted")
    assert problem(await client.post(f"/v1/fault-reports/{uuid.uuid4()}/replay", writes)) == (404, "not-found")


async def test_operators_see_what_the_vendor_may_have_and_that_they_are_to_decide(client, signer, services):
    box, reads = services.outbox, signer.token(None, scope="ops:read")
    taken = (await hand_in(client)).json()
    await box.leave_unknown(await box.begin_delivery(taken["id"], timedelta(seconds=30)), "timeout")
    (found,) = (await client.get("/v1/fault-reports", reads)).json()["reports"]
    assert (found["status"], found["unknown_outcomes"], found["needs_decision"]) == ("unknown_outcome", 1, False)
    assert found["attempts"][0]["outcome"] == "unknown_outcome: timeout"
    assert (await client.get(f"/v1/fault-reports/{taken['id']}")).json()["status"] == "unknown_outcome"
    again = await client.post(f"/v1/fault-reports/{taken['id']}/replay", signer.token(None, scope="ops:write"))
    assert again.status_code == 202
    await box.leave_unknown(await box.begin_delivery(taken["id"], timedelta(seconds=30)), "timeout")
    (found,) = (await client.get("/v1/fault-reports?status=unknown_outcome", reads)).json()["reports"]
    assert (found["unknown_outcomes"], found["needs_decision"], found["due_at"]) == (2, True, None)


@pytest.fixture
async def of_unknown_outcome(client, services):
    """The id of a report that the vendor may have."""
    taken = (await hand_in(client)).json()
    await services.outbox.leave_unknown(
        await services.outbox.begin_delivery(taken["id"], timedelta(seconds=30)), "timeout"
    )
    return taken["id"]


async def test_operators_settle_what_the_vendor_has_and_its_author_sees_the_case(
    client, signer, of_unknown_outcome, audit_dir
):
    path, writes = f"/v1/fault-reports/{of_unknown_outcome}/settle", signer.token(None, scope="ops:write")
    answer = await client.post(path, writes, json={"case": " FM-2023-000123 ", "reason": "they have found it"})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["status"], told["case"], told["needs_decision"]) == ("delivered", "FM-2023-000123", False)
    assert (await client.get(f"/v1/fault-reports/{of_unknown_outcome}")).json()["case"] == "FM-2023-000123"
    lines = [json.loads(line) for file in audit_dir.glob("*.jsonl") for line in file.read_text().splitlines()]
    (action,) = [line for line in lines if line["event"] == "action"]
    assert (action["action"], action["target"], action["reason"]) == (
        "settle_report", of_unknown_outcome, "they have found it",
    )  # fmt: skip
    assert problem(await client.post(path, writes, json={})) == (409, "wrong-state")


@pytest.mark.parametrize(
    "body",
    [
        {"case": "6102991234"},
        {"case": "x" * 101},
        {"case": "a\nb"},
        {"reason": "a\u202eb"},
        {"reason": "x" * 501},
        {"by": "me"},
    ],
)
async def test_a_settlement_of_odd_texts_is_refused_and_repeats_none(client, signer, of_unknown_outcome, body):
    path, writes = f"/v1/fault-reports/{of_unknown_outcome}/settle", signer.token(None, scope="ops:write")
    answer = await client.post(path, writes, json=body)
    assert problem(answer) == (422, "invalid-request")
    assert "6102991234" not in answer.text
    assert (await client.get(f"/v1/fault-reports/{of_unknown_outcome}")).json()["status"] == "unknown_outcome"


async def test_what_is_there_not_cannot_be_settled(client, signer):
    writes = signer.token(None, scope="ops:write")
    for unknown in (uuid.uuid4(), "x"):
        assert problem(await client.post(f"/v1/fault-reports/{unknown}/settle", writes, json={})) == (404, "not-found")


async def test_a_report_may_be_about_an_offer_or_a_meeting(client, services):
    about = {"meeting_offer": str(uuid.uuid4()), "meeting": str(uuid.uuid4())}
    taken = await hand_in(client, **about)
    content, _ = await services.outbox.contents(taken.json()["id"])
    assert {"meeting_offer": content.meeting_offer, "meeting": content.meeting} == about
    assert problem(await hand_in(client, "Et andet.", meeting="frist-1")) == (422, "invalid-request")


async def test_a_delivered_report_is_not_sent_again(client, signer, services):
    box = services.outbox
    taken = (await hand_in(client)).json()
    await box.deliver(await box.begin_delivery(taken["id"], timedelta(seconds=30)), "FM-2023-000123")
    answer = await client.post(f"/v1/fault-reports/{taken['id']}/replay", signer.token(None, scope="ops:write"))
    assert problem(answer) == (409, "wrong-state")
    assert (await client.get(f"/v1/fault-reports/{taken['id']}")).json()["case"] == "FM-2023-000123"
