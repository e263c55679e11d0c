"""eIndkomst over a real socket: one call for the whole history, or every piece of it, and never one with holes."""

import asyncio
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from registerbro.upstreams.errors import (
    BadRequest,
    CircuitOpen,
    InvalidResponse,
    NotAuthorised,
    RequestIdUsed,
    TooLong,
    UpstreamTimeout,
    UpstreamUnavailable,
    WrongPerson,
)
from tests.workers.eindkomst.answers import (
    CPR,
    OTHER_CPR,
    about,
    company,
    error,
    outcome,
    person,
    persons,
    report,
    response,
    wages,
)
from tests.workers.eindkomst.conftest import xml
from workers.eindkomst.client import PIECES_AT_A_TIME, EindkomstClient, Months
from workers.eindkomst.reports import Reports

TODAY = date(2023, 3, 13)
TOO_MUCH = response(outcome(error("410")))


@pytest.fixture
async def client(make_upstream, eindkomst_settings):
    return EindkomstClient(make_upstream("eindkomst", eindkomst_settings), eindkomst_settings, lambda: TODAY)


def text(received, name):
    return etree.fromstring(received.body).findtext(f".//{{*}}{name}")


def months(received):
    return text(received, "SoegeAarMaanedFraKode"), text(received, "SoegeAarMaanedTilKode")


def transaction_ids(server):
    return [text(received, "TransaktionIdentifikator") for received in server.received]


def january_of(year):
    return company(report(wages(), start=f"{year}-01-01", end=f"{year}-01-31"))


def starts(reports):
    return [one.days.first for one in reports.read]


def answering(*bodies):
    """Each in turn, and the last one for ever."""
    left = list(bodies)

    async def respond(_):
        return xml(left.pop(0) if len(left) > 1 else left[0])

    return respond


HISTORY = Months.between(date(2008, 1, 1), TODAY)


def length(first, last):
    return Months.between(date(int(first[:4]), int(first[4:]), 1), date(int(last[:4]), int(last[4:]), 1)).count


def at_most(count, answer_for_months, refusal=TOO_MUCH):
    """Refuses more than so many months as too much, and else gives what `answer_for_months` makes of them."""

    async def respond(received):
        first, last = months(received)
        return xml(answer_for_months(first, last) if length(first, last) <= count else refusal)

    return respond


def every_month(first, last):
    """A report for each of the months, as yyyymm."""
    firsts = [f"{year}-{month:02}" for year in range(2008, 2024) for month in range(1, 13)]
    asked = [month for month in firsts if first <= month.replace("-", "") <= last]
    return about(company(*(report(wages(), start=f"{m}-01", end=f"{m}-28", own_id=m) for m in asked)))


async def test_the_whole_history_is_asked_for_in_one_call(server, client):
    server.respond = answering(about(january_of(2022)))
    reports = await client.fetch(CPR)
    (received,) = server.received
    assert starts(reports) == [date(2022, 1, 1)]
    assert months(received) == ("200801", "202303")
    assert text(received, "PersonCivilRegistrationIdentifier") == CPR.digits


async def test_a_call_is_as_the_service_wants_it(server, client):
    server.respond = answering(about())
    await client.fetch(CPR)
    (received,) = server.received
    assert (received.method, received.path) == ("POST", "/")
    assert received.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert received.headers["SOAPAction"] == '"getIndkomstOplysningPersonHent"'
    assert transaction_ids(server) == [received.headers["x-requestId"]]
    assert CPR.digits not in str(received.headers)


async def test_a_transaction_id_that_was_used_is_replaced_by_a_new_one(server, client):
    server.respond = answering(response(outcome(error("500"))), about())
    assert await client.fetch(CPR) == Reports()
    assert len(set(transaction_ids(server))) == 2


async def test_transaction_ids_that_were_used_leave_the_breaker_closed(server, client):
    server.respond = answering(response(outcome(error("500"))))
    for _ in range(6):
        with pytest.raises(RequestIdUsed):
            await client.fetch(CPR)
    server.respond = answering(about())
    assert await client.fetch(CPR) == Reports()


@pytest.mark.parametrize("count", [1, 2, 11, 12, 91, 92, 182])
@pytest.mark.parametrize("refusal", [TOO_MUCH, b" " * 20_001], ids=["refused", "too long"])
async def test_too_much_is_asked_for_in_pieces_and_every_month_once(
    server, make_upstream, eindkomst_settings, count, refusal
):
    small = eindkomst_settings.model_copy(update={"max_body": 20_000 if refusal != TOO_MUCH else 10**7})
    server.respond = at_most(
        count, every_month if refusal == TOO_MUCH else lambda first, _: about(january_of(first[:4])), refusal
    )
    reports = await EindkomstClient(make_upstream("eindkomst", small), small, lambda: TODAY).fetch(CPR)
    assert months(server.received[0]) == ("200801", "202303")
    answered = sorted(one for one in map(months, server.received) if length(*one) <= count)
    assert [length(*one) for one in answered][:-1] == [length(*answered[0])] * (len(answered) - 1)
    assert sum(length(*one) for one in answered) == HISTORY.count
    assert len({first for first, _ in answered}) == len(answered)
    if refusal == TOO_MUCH:
        assert len(set(starts(reports))) == len(reports.read) == HISTORY.count
    # A register that gives little at once refuses few questions.
    assert len(server.received) - len(answered) <= 8
    assert len(set(transaction_ids(server))) == len(server.received)


async def test_a_piece_with_more_in_it_than_the_first_is_halved_further(server, client):
    async def respond(received):
        first, last = months(received)
        dense = last >= "201501" and length(first, last) > 3
        return xml(TOO_MUCH if dense or length(first, last) > 60 else every_month(first, last))

    server.respond = respond
    reports = await client.fetch(CPR)
    assert sorted(starts(reports)) == sorted(set(starts(reports)))
    assert len(reports.read) == HISTORY.count


async def test_only_a_few_pieces_are_asked_for_at_a_time(server, client):
    under_way, most = 0, 0
    respond_at_once = at_most(12, every_month)

    async def respond(received):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return await respond_at_once(received)

    server.respond = respond
    await client.fetch(CPR)
    assert most == PIECES_AT_A_TIME


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (response(outcome(error("2000"))), UpstreamUnavailable),
        (response(outcome(error("300"))), NotAuthorised),
        (response(outcome(), persons(person(cpr=OTHER_CPR))), WrongPerson),
        (b"<x/>", InvalidResponse),
    ],
)
async def test_one_piece_that_fails_fails_them_all(server, client, body, kind):
    server.respond = at_most(12, lambda first, last: body if first <= "201503" <= last else every_month(first, last))
    with pytest.raises(kind):
        await client.fetch(CPR)


async def test_a_single_month_that_is_too_much_is_a_refusal_that_somebody_must_see_to(server, client):
    server.respond = answering(TOO_MUCH)
    with pytest.raises(BadRequest) as caught:
        await client.fetch(CPR)
    assert type(caught.value) is BadRequest
    assert caught.value.alarm
    assert [length(*months(received)) for received in server.received] == [183, 92, 46, 23, 12, 6, 3, 2, 1]


async def test_a_single_month_that_is_too_long_is_a_failure(server, make_upstream, eindkomst_settings):
    small = eindkomst_settings.model_copy(update={"max_body": 1000})
    server.respond = answering(b" " * 1001)
    with pytest.raises(TooLong):
        await EindkomstClient(make_upstream("eindkomst", small), small, lambda: TODAY).fetch(CPR)
    assert len(server.received) == 9


async def test_what_was_left_out_of_any_piece_is_told(server, client):
    odd = report(wages(kind="X"))
    server.respond = at_most(96, lambda first, _: about(company(odd), january_of(first[:4])))
    assert len((await client.fetch(CPR)).left_out) == 2


@pytest.mark.parametrize(
    ("body", "kind", "calls"),
    [
        (response(outcome(error("2000"))), UpstreamUnavailable, 3),
        (response(outcome(error("300"))), NotAuthorised, 1),
        (response(outcome(error("999"))), BadRequest, 1),
        (b"<x/>", InvalidResponse, 2),
        (response(outcome(), persons(person(cpr=OTHER_CPR))), WrongPerson, 1),
    ],
)
async def test_a_failure_is_repeated_as_often_as_it_may_be(server, client, body, kind, calls):
    server.respond = answering(body)
    with pytest.raises(kind):
        await client.fetch(CPR)
    assert len(server.received) == calls


async def test_after_another_persons_answer_nobody_is_asked_about(server, client):
    server.respond = answering(response(outcome(), persons(person(cpr=OTHER_CPR))))
    with pytest.raises(WrongPerson):
        await client.fetch(CPR)
    server.respond = answering(about())
    with pytest.raises(CircuitOpen):
        await client.fetch(CPR)
    assert len(server.received) == 1


async def test_all_pieces_together_take_no_longer_than_one_fetch_may(server, make_upstream, eindkomst_settings):
    short = eindkomst_settings.model_validate(
        {**eindkomst_settings.model_dump(), "attempt_timeout": "PT0.5S", "total_timeout": "PT0.5S"}
    )
    calls_at_once = asyncio.Event()

    async def respond(received):
        if months(received) == ("200801", "202303"):
            return xml(TOO_MUCH)
        calls_at_once.set()
        return await asyncio.Event().wait()

    server.respond = respond
    with pytest.raises(UpstreamTimeout):
        await EindkomstClient(make_upstream("eindkomst", short), short, lambda: TODAY).fetch(CPR)
    assert calls_at_once.is_set()
    assert len(server.received) <= 1 + 1


async def test_a_fetch_that_is_cancelled_leaves_no_call_under_way(server, client):
    begun = asyncio.Event()
    refuse = at_most(12, every_month)

    async def respond(received):
        if len(server.received) > 7:
            begun.set()
            await asyncio.Event().wait()
        return await refuse(received)

    server.respond = respond
    fetch = asyncio.create_task(client.fetch(CPR))
    await begun.wait()
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch


@pytest.mark.parametrize(
    ("first", "last", "count"),
    [
        (date(2022, 3, 1), date(2022, 3, 31), 1),
        (date(2022, 3, 31), date(2022, 4, 1), 2),
        (date(2021, 12, 15), date(2023, 1, 1), 14),
        (date(2008, 1, 1), date(2023, 3, 13), 183),
    ],
)
def test_months_are_counted_with_both_ends(first, last, count):
    months = Months.between(first, last)
    assert months.count == count
    assert months.days == (first.replace(day=1), last.replace(day=1))


@given(st.integers(24000, 24300), st.integers(0, 300), st.integers(1, 300))
def test_pieces_are_the_same_months_each_once(first, more, count):
    whole = Months(first, first + more)
    for pieces in (whole.pieces(count), whole.halves()):
        assert [month for piece in pieces for month in range(piece.first, piece.last + 1)] == list(
            range(whole.first, whole.last + 1)
        )
    assert len(whole.halves()) == min(2, whole.count)
