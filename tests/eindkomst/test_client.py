"""eIndkomst over a real socket: one call for the whole history, or every year of it, and never a history with holes."""

import asyncio
from datetime import date

import pytest
from lxml import etree

from tests.eindkomst.answers import (
    CPR,
    OTHER_CPR,
    about,
    company,
    error,
    outcome,
    period,
    person,
    persons,
    response,
    wages,
)
from tests.eindkomst.conftest import xml
from workers.eindkomst.client import YEARS_AT_A_TIME, EindkomstClient, Months
from workers.eindkomst.wire import TransactionIdUsed
from workers.resilience.errors import (
    BadRequest,
    CircuitOpen,
    InvalidResponse,
    NotAuthorised,
    UpstreamTimeout,
    UpstreamUnavailable,
    WrongPerson,
)

TODAY = date(2023, 3, 13)
TOO_MUCH = response(outcome(error("410")))


@pytest.fixture
def client(make_upstream, eindkomst_settings):
    return EindkomstClient(make_upstream("eindkomst", eindkomst_settings), eindkomst_settings, lambda: TODAY)


def text(received, name):
    return etree.fromstring(received.body).findtext(f".//{{*}}{name}")


def months(received):
    return text(received, "SoegeAarMaanedFraKode"), text(received, "SoegeAarMaanedTilKode")


def transaction_ids(server):
    return [text(received, "TransaktionIdentifikator") for received in server.received]


def january_of(year):
    return company(period(wages(), start=f"{year}-01-01", end=f"{year}-01-31"))


def answering(*bodies):
    """Each in turn, and the last one for ever."""
    left = list(bodies)

    async def respond(_):
        return xml(left.pop(0) if len(left) > 1 else left[0])

    return respond


def by_year(answer_for_year):
    """Refuses more than a year as too much, and else gives what `answer_for_year` makes of the year."""

    async def respond(received):
        first, last = months(received)
        return xml(answer_for_year(int(first[:4])) if first[:4] == last[:4] else TOO_MUCH)

    return respond


async def test_the_whole_history_is_asked_for_in_one_call(server, client):
    server.respond = answering(about(january_of(2022)))
    (report,) = await client.fetch(CPR)
    (received,) = server.received
    assert report.start == date(2022, 1, 1)
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
    assert await client.fetch(CPR) == ()
    assert len(set(transaction_ids(server))) == 2


async def test_transaction_ids_that_were_used_leave_the_breaker_closed(server, client):
    server.respond = answering(response(outcome(error("500"))))
    for _ in range(6):
        with pytest.raises(TransactionIdUsed):
            await client.fetch(CPR)
    server.respond = answering(about())
    assert await client.fetch(CPR) == ()


async def test_too_much_is_asked_for_again_year_by_year(server, client):
    server.respond = by_year(lambda year: about(january_of(year)))
    reports = await client.fetch(CPR)
    assert sorted(report.start.year for report in reports) == list(range(2008, 2024))
    assert months(server.received[0]) == ("200801", "202303")
    assert sorted(map(months, server.received[1:])) == [
        *((f"{year}01", f"{year}12") for year in range(2008, 2023)),
        ("202301", "202303"),
    ]
    assert len(set(transaction_ids(server))) == 17


async def test_an_answer_that_is_too_long_is_asked_for_again_year_by_year(server, client, eindkomst_settings):
    async def respond(received):
        first, last = months(received)
        too_long = b" " * (eindkomst_settings.max_body + 1)
        return xml(about(january_of(first[:4])) if first[:4] == last[:4] else too_long)

    server.respond = respond
    assert {report.start.year for report in await client.fetch(CPR)} == set(range(2008, 2024))


async def test_only_a_few_years_are_asked_for_at_a_time(server, client):
    under_way, most = 0, 0
    refuse = by_year(lambda year: about())

    async def respond(received):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return await refuse(received)

    server.respond = respond
    await client.fetch(CPR)
    assert most == YEARS_AT_A_TIME


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (response(outcome(error("2000"))), UpstreamUnavailable),
        (response(outcome(error("300"))), NotAuthorised),
        (response(outcome(), persons(person(cpr=OTHER_CPR))), WrongPerson),
        (b"<x/>", InvalidResponse),
    ],
)
async def test_one_year_that_fails_fails_them_all(server, client, body, kind):
    server.respond = by_year(lambda year: body if year == 2015 else about(january_of(year)))
    with pytest.raises(kind):
        await client.fetch(CPR)


async def test_a_single_year_that_is_too_much_is_a_refusal_that_somebody_must_see_to(server, client):
    server.respond = answering(TOO_MUCH)
    with pytest.raises(BadRequest) as caught:
        await client.fetch(CPR)
    assert type(caught.value) is BadRequest
    assert caught.value.alarm


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


async def test_all_years_together_take_no_longer_than_one_fetch_may(server, make_upstream, eindkomst_settings):
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
    assert len(server.received) <= 1 + YEARS_AT_A_TIME


async def test_a_fetch_that_is_cancelled_leaves_no_call_under_way(server, client):
    begun = asyncio.Event()
    refuse = by_year(lambda year: about())

    async def respond(received):
        if len(server.received) > 1:
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
    ("first", "last", "years"),
    [
        (date(2022, 3, 1), date(2022, 3, 31), [(date(2022, 3, 1), date(2022, 3, 31))]),
        (
            date(2021, 6, 15),
            date(2023, 1, 1),
            [
                (date(2021, 6, 15), date(2021, 12, 31)),
                (date(2022, 1, 1), date(2022, 12, 31)),
                (date(2023, 1, 1), date(2023, 1, 1)),
            ],
        ),
    ],
)
def test_months_are_cut_after_each_december(first, last, years):
    assert list(Months(first, last).by_year()) == [Months(*year) for year in years]
