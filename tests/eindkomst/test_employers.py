"""Names of employers: from the cache first, the rest in one call, and a page without names rather than no page."""

import base64
import json
import string
from datetime import timedelta

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from config.settings import CvrSettings
from workers.connections import connect
from workers.eindkomst.employers import LONGEST_NAME, NUMBERS_PER_CALL, Employers, Names
from workers.resilience import deadline

REGISTER = {"12345678": "Bageren ApS", "22222222": "Æblegården & Søn", "00000019": "Nul A/S"}


def hit(number, name):
    return {"_source": {"Vrvirksomhed": {"cvrNummer": number, "virksomhedMetadata": {"nyesteNavn": {"navn": name}}}}}


def numbers_asked_for(received):
    return json.loads(received.body)["query"]["terms"]["Vrvirksomhed.cvrNummer"]


def knowing(register=REGISTER):
    """Answers as Elasticsearch would that holds these companies."""

    async def respond(received):
        asked = [f"{number:08}" for number in numbers_asked_for(received)]
        hits = [hit(int(number), register[number]) for number in asked if number in register]
        return web.json_response({"took": 1, "timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": hits}})

    return respond


def saying(body, status=200, content_type="application/json"):
    async def respond(_):
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})

    return respond


def hits(*all_of_them):
    return json.dumps({"hits": {"hits": all_of_them}}).encode()


@pytest.fixture
def employers(make_upstream, cvr_settings, cache):
    return Employers(make_upstream("cvr", cvr_settings), cvr_settings, cache)


@pytest.fixture
def dead_cache():
    return connect("unix:///nowhere/redis.sock")


async def test_a_name_that_nobody_asked_for_is_neither_given_nor_kept(employers, server, cache):
    server.respond = saying(hits(hit(12345678, "Bageren ApS"), hit(22222222, "Æblegården & Søn")))
    assert (await employers.names(["12345678"])).by_number == {"12345678": "Bageren ApS"}
    assert await cache.keys("employer:*") == [b"employer:12345678"]


async def test_names_come_from_cvr_in_one_call(server, employers):
    server.respond = knowing()
    assert await employers.names(REGISTER) == Names(REGISTER, complete=True)
    assert len(server.received) == 1


async def test_the_call_asks_for_number_and_name_of_these_companies_and_nothing_else(server, employers):
    server.respond = knowing()
    await employers.names(["22222222", "00000019", "22222222"])
    (received,) = server.received
    assert (received.method, received.path) == ("POST", "/cvr-permanent/virksomhed/_search")
    assert received.headers["Content-Type"] == "application/json"
    assert "Authorization" not in received.headers
    assert json.loads(received.body) == {
        "query": {"terms": {"Vrvirksomhed.cvrNummer": [19, 22222222]}},
        "_source": ["Vrvirksomhed.cvrNummer", "Vrvirksomhed.virksomhedMetadata.nyesteNavn.navn"],
        "size": 2,
    }


@pytest.mark.parametrize(("password", "pair"), [("hemmelig:æ", "bro:hemmelig:æ"), (None, "bro:")])
async def test_the_user_is_given_as_http_basic(server, make_upstream, cache, password, pair):
    settings = CvrSettings(user="bro", password=password)
    server.respond = knowing()
    await Employers(make_upstream("cvr", settings), settings, cache).names(["12345678"])
    scheme, _, credentials = server.received[0].headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(credentials).decode()) == ("Basic", pair)


async def test_no_numbers_are_no_call(server, employers, dead_cache, make_upstream, cvr_settings):
    assert await employers.names([]) == Names({}, complete=True)
    assert await Employers(make_upstream("cvr", cvr_settings), cvr_settings, dead_cache).names([]) == Names({}, True)
    assert server.received == []


async def test_a_name_that_was_found_is_not_asked_for_again(server, employers):
    server.respond = knowing()
    await employers.names(["12345678"])
    assert await employers.names(["12345678", "22222222"]) == Names(
        {number: REGISTER[number] for number in ("12345678", "22222222")}, complete=True
    )
    assert [numbers_asked_for(received) for received in server.received] == [[12345678], [22222222]]


async def test_names_are_kept_under_their_number_and_for_as_long_as_the_settings_say(server, employers, cache):
    server.respond = knowing()
    await employers.names(["22222222"])
    assert (await cache.get("employer:22222222")).decode() == "Æblegården & Søn"
    assert 0 <= timedelta(days=30).total_seconds() - await cache.ttl("employer:22222222") < 60


@pytest.mark.parametrize("kept", [b"", b"  ", b"x" * 301])
async def test_a_kept_value_that_is_no_name_is_asked_for_again(server, employers, cache, kept):
    await cache.set("employer:12345678", kept)
    server.respond = knowing()
    assert await employers.names(["12345678"]) == Names({"12345678": "Bageren ApS"}, complete=True)


async def test_a_key_of_another_type_is_a_miss(server, employers, cache):
    await cache.rpush("employer:12345678", "x")
    server.respond = knowing()
    assert await employers.names(["12345678"]) == Names({"12345678": "Bageren ApS"}, complete=True)


async def test_a_number_that_cvr_does_not_know_is_absent_and_nothing_is_missing(server, employers):
    server.respond = knowing()
    assert await employers.names(["12345678", "99999999"]) == Names({"12345678": "Bageren ApS"}, complete=True)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("  Bageren ApS\n", "Bageren ApS"),
        ("x" * LONGEST_NAME, "x" * LONGEST_NAME),
        ("x" * (LONGEST_NAME + 1), None),
        ("", None),
        (" \t ", None),
        (None, None),
    ],
)
async def test_a_name_is_stripped_and_one_that_is_none_is_unknown(server, employers, name, shown):
    server.respond = knowing({"12345678": name})
    expected = {"12345678": shown} if shown else {}
    assert await employers.names(["12345678"]) == Names(expected, complete=True)


@pytest.mark.parametrize(
    "company",
    [
        {"cvrNummer": 12345678},
        {"cvrNummer": 12345678, "virksomhedMetadata": None},
        {"cvrNummer": 12345678, "virksomhedMetadata": {}},
        {"cvrNummer": 12345678, "virksomhedMetadata": {"nyesteNavn": None}},
    ],
)
async def test_a_company_without_a_name_is_unknown_and_fails_nothing(server, employers, company):
    server.respond = saying(hits({"_source": {"Vrvirksomhed": company}}, hit(22222222, "Søn")))
    assert await employers.names(["12345678", "22222222"]) == Names({"22222222": "Søn"}, complete=True)


@pytest.mark.parametrize(
    "failure",
    [
        saying(b"{}", status=500),
        saying(b"{}", status=429),
        saying(b"{}", status=401),
        saying(b"{}", status=400),
        saying(b"{}", status=404),
        saying(b"{}"),
        saying(b"["),
        saying(b"\xff"),
        saying(b"<html>", content_type="text/html"),
        saying(hits({"_source": {}})),
        saying(hits(hit("12345678", "x"))),
        saying(hits(hit(-1, "x"))),
        saying(hits(hit(12345678, 5))),
        saying(rb'{"hits": {"hits": [{"_source": {"Vrvirksomhed": {"cvrNummer": 1, "virksomhedMetadata": {"nyesteNavn":'
               rb' {"navn": "\ud800"}}}}}]}}'),
        saying(b'{"timed_out": true, "hits": {"hits": []}}'),
        saying(b'{"_shards": {"failed": 1}, "hits": {"hits": []}}'),
    ],
    ids=list(string.ascii_lowercase[:16]),
)  # fmt: skip
async def test_without_cvr_the_names_are_those_of_the_cache_and_not_complete(server, employers, failure):
    server.respond = knowing()
    await employers.names(["12345678"])
    server.respond = failure
    assert await employers.names(["12345678", "22222222"]) == Names({"12345678": "Bageren ApS"}, complete=False)


async def test_a_cvr_that_is_not_there_is_no_error(make_upstream, cvr_settings, cache):
    employers = Employers(make_upstream("cvr", cvr_settings, "http://127.0.0.1:1"), cvr_settings, cache)
    for _ in range(4):
        # The last of these are not even sent, since the breaker is open by then.
        assert await employers.names(["12345678"]) == Names({}, complete=False)


async def test_a_deadline_that_has_passed_is_no_error(server, employers):
    with deadline.within(timedelta(0)):
        assert await employers.names(["12345678"]) == Names({}, complete=False)
    assert server.received == []


async def test_what_is_known_by_the_cache_needs_no_cvr(server, employers):
    server.respond = knowing()
    await employers.names(["12345678"])
    server.respond = saying(b"", status=500)
    assert (await employers.names(["12345678"])).complete


async def test_without_a_cache_all_are_asked_for_and_one_line_says_so(server, make_upstream, cvr_settings, dead_cache):
    server.respond = knowing()
    employers = Employers(make_upstream("cvr", cvr_settings), cvr_settings, dead_cache)
    with capture_logs() as lines:
        assert await employers.names(REGISTER) == Names(REGISTER, complete=True)
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["employer_names_not_cached"]


async def test_a_cache_that_takes_nothing_more_is_no_error(server, employers, cache, empty_redis):
    server.respond = knowing()
    await cache.config_set("maxmemory", "1")
    try:
        with capture_logs() as lines:
            assert await employers.names(["12345678"]) == Names({"12345678": "Bageren ApS"}, complete=True)
    finally:
        await cache.config_set("maxmemory", "0")
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["employer_names_not_cached"]


async def test_very_many_numbers_are_asked_for_in_several_calls(server, employers):
    register = {f"{number}": f"Firma {number}" for number in range(10_000_000, 10_000_000 + 2 * NUMBERS_PER_CALL + 1)}
    server.respond = knowing(register)
    assert await employers.names(register) == Names(register, complete=True)
    assert [len(numbers_asked_for(received)) for received in server.received] == [NUMBERS_PER_CALL] * 2 + [1]


async def test_when_one_of_several_calls_fails_the_names_of_the_others_are_kept(server, employers):
    register = {f"{number}": f"Firma {number}" for number in range(10_000_000, 10_000_000 + NUMBERS_PER_CALL + 1)}
    answer, refuse = knowing(register), saying(b"", status=400)

    async def respond(received):
        return await (answer if len(server.received) == 1 else refuse)(received)

    server.respond = respond
    names = await employers.names(register)
    assert (len(names.by_number), names.complete) == (NUMBERS_PER_CALL, False)
    server.respond = answer
    assert await employers.names(register) == Names(register, complete=True)
    assert len(numbers_asked_for(server.received[-1])) == 1
