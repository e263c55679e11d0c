"""Names of employers: from the cache first, the rest in one call, and a page without names rather than no page."""

import base64
import json
import string
from datetime import timedelta

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from config.settings import CvrSettings
from domain.overview import LeftOut
from registerbro.storage.redis_client import connect
from registerbro.storage.sealing.sealer import Sealer
from registerbro.telemetry.metrics import UNREADABLE
from registerbro.upstreams import deadline
from workers.eindkomst.cvr_wire import LONGEST_NAME, MOST_OF_A_HISTORY, NUMBERS_PER_CALL
from workers.eindkomst.employers import Employers, Names

REGISTER = {"12345678": "Bageren ApS", "22222222": "Æblegården & Søn", "00000019": "Nul A/S"}
APS, SOLE_PROPRIETOR = 80, 10
OLD, NEW = b"o" * 32, b"n" * 32


def hit(number, name, form=APS, **more):
    """A company as CVR has it: `form` is its virksomhedsformkode, and `more` is whatever else it holds."""
    metadata = {
        "nyesteNavn": {"navn": name, "periode": {"gyldigFra": "2010-01-01", "gyldigTil": None}},
        "nyesteVirksomhedsform": {"virksomhedsformkode": form, "kortBeskrivelse": "X"},
        "sammensatStatus": "NORMAL",
    }
    return company({"cvrNummer": number, "enhedstype": "VIRKSOMHED", "virksomhedMetadata": metadata} | more)


def company(source):
    return {"_index": "cvr-v-20230301", "_score": 1.0, "_source": {"Vrvirksomhed": source}}


def past(name, start, end):
    return {"navn": name, "periode": {"gyldigFra": start, "gyldigTil": end}, "sidstOpdateret": None}


def nameless(*names, number=12345678, **more):
    """A company without a newest name, with these in its history."""
    return company({"cvrNummer": number, "virksomhedMetadata": {"nyesteNavn": None}, "navne": list(names)} | more)


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
def sealer():
    return Sealer([NEW, OLD])


@pytest.fixture
async def employers(make_upstream, cvr_settings, cache, sealer):
    return Employers(make_upstream("cvr", cvr_settings), cvr_settings, cache, sealer)


async def everything_in(cache):
    """All keys and values, as one text of bytes."""
    return b"".join([key + await cache.get(key) for key in await cache.keys("*")])


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


async def test_the_call_asks_for_the_names_and_forms_of_these_companies_and_for_as_many_hits(server, employers):
    server.respond = knowing()
    await employers.names(["22222222", "00000019", "22222222"])
    (received,) = server.received
    assert (received.method, received.path) == ("POST", "/cvr-permanent/virksomhed/_search")
    assert received.headers["Content-Type"] == "application/json"
    assert "Authorization" not in received.headers
    assert json.loads(received.body) == {
        "query": {"terms": {"Vrvirksomhed.cvrNummer": [19, 22222222]}},
        "_source": [
            "Vrvirksomhed.cvrNummer",
            "Vrvirksomhed.fejlRegistreret",
            "Vrvirksomhed.virksomhedMetadata.nyesteNavn.navn",
            "Vrvirksomhed.virksomhedMetadata.nyesteVirksomhedsform.virksomhedsformkode",
            "Vrvirksomhed.navne.navn",
            "Vrvirksomhed.navne.periode",
            "Vrvirksomhed.virksomhedsform.virksomhedsformkode",
            "Vrvirksomhed.virksomhedsform.periode",
        ],
        "size": 2,
    }


@pytest.mark.parametrize(("password", "pair"), [("hemmelig:æ", "bro:hemmelig:æ"), (None, "bro:")])
async def test_the_user_is_given_as_http_basic(server, make_upstream, cache, sealer, password, pair):
    settings = CvrSettings(user="bro", password=password)
    server.respond = knowing()
    await Employers(make_upstream("cvr", settings), settings, cache, sealer).names(["12345678"])
    scheme, _, credentials = server.received[0].headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(credentials).decode()) == ("Basic", pair)


async def test_no_numbers_are_no_call(server, employers, dead_cache, make_upstream, cvr_settings, sealer):
    assert await employers.names([]) == Names({}, complete=True)
    without = Employers(make_upstream("cvr", cvr_settings), cvr_settings, dead_cache, sealer)
    assert await without.names([]) == Names({}, complete=True)
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
    "source",
    [
        {"cvrNummer": 12345678},
        {"cvrNummer": 12345678, "virksomhedMetadata": None},
        {"cvrNummer": 12345678, "virksomhedMetadata": {}},
        {"cvrNummer": 12345678, "virksomhedMetadata": {"nyesteNavn": None}},
        {"cvrNummer": 12345678, "virksomhedMetadata": {"nyesteNavn": None}, "navne": []},
        {"cvrNummer": 12345678, "virksomhedMetadata": {"nyesteNavn": None}, "navne": None},
    ],
)
async def test_a_company_without_a_name_is_unknown_and_fails_nothing(server, employers, source):
    server.respond = saying(hits(company(source), hit(22222222, "Søn")))
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


async def test_a_cvr_that_is_not_there_is_no_error(make_upstream, cvr_settings, cache, sealer):
    employers = Employers(make_upstream("cvr", cvr_settings, "http://127.0.0.1:1"), cvr_settings, cache, sealer)
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


async def test_without_a_cache_all_are_asked_for_and_one_line_says_so(
    server, make_upstream, cvr_settings, sealer, dead_cache
):
    server.respond = knowing()
    employers = Employers(make_upstream("cvr", cvr_settings), cvr_settings, dead_cache, sealer)
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


@pytest.mark.parametrize("number", ["1234567", "123456789", "", "1234567x", "１２３４５６７８", "-1234567", " 1234567"])
async def test_what_is_not_eight_digits_is_not_asked_for_and_has_no_name(server, employers, number):
    server.respond = knowing()
    assert await employers.names([number]) == Names({}, complete=True)
    assert server.received == []
    assert (await employers.names([number, "12345678"])).by_number == {"12345678": "Bageren ApS"}
    assert numbers_asked_for(server.received[0]) == [12345678]


async def test_a_company_that_is_registered_by_mistake_has_no_name_and_is_not_left_out(server, employers):
    server.respond = saying(
        hits(
            hit(12345678, "Forkert ApS", fejlRegistreret=True),
            hit(12345678, "Bageren ApS", fejlRegistreret=False),
            hit(22222222, "Forkert ApS", fejlRegistreret=True),
        )
    )
    assert await employers.names(REGISTER) == Names({"12345678": "Bageren ApS"}, complete=True)


async def test_a_company_that_is_dissolved_keeps_its_name(server, employers):
    ended = {"status": [{"periode": {"gyldigFra": "2001-01-01", "gyldigTil": "2012-01-01"}}]}
    server.respond = saying(
        hits(
            hit(12345678, "Bageren ApS", livsforloeb=[past("", "1990-01-01", "2012-01-01")], **ended),
            nameless(past("Søn ApS", "1990-01-01", "2012-01-01"), number=22222222),
        )
    )
    names = await employers.names(["12345678", "22222222"])
    assert names.by_number == {"12345678": "Bageren ApS", "22222222": "Søn ApS"}


@pytest.mark.parametrize(
    "names",
    [
        [past("Ny", "2015-01-01", None), past("Gammel", "2010-01-01", "2014-12-31")],
        [past("Gammel", "2010-01-01", "2014-12-31"), past("Ny", "2015-01-01", None)],
        [past("Gammel", "2010-01-01", "2012-12-31"), past("Ny", "2015-01-01", "2016-12-31")],
        [past("Ny", None, None), past("Gammel", "2010-01-01", "2014-12-31")],
        [past("Gammel", None, "2014-12-31"), past("Ny", "2015-01-01", "2016-12-31")],
        [past("Gammel", "2010-01-01", None), past("Ny", "2015-01-01", None)],
        [past("Ny", "2010-01-01", "2014-12-31"), past(None, "2015-01-01", None), past("  ", "2015-01-01", None)],
        [{"navn": "Gammel"}, past("Ny", "2010-01-01", "2014-12-31"), {"navn": "Gammel", "periode": None}],
        [{"navn": "Ny"}],
    ],
    ids=list("abcdefghi"),
)
async def test_without_a_newest_name_a_company_has_the_last_of_those_that_it_had(server, employers, names):
    server.respond = saying(hits(nameless(*names)))
    assert await employers.names(["12345678"]) == Names({"12345678": "Ny"}, complete=True)


async def test_a_name_out_of_the_past_is_not_taken_where_there_is_a_newest(server, employers):
    server.respond = saying(hits(hit(12345678, "Ny ApS", navne=[past("Gammel ApS", "1990-01-01", None), 5])))
    assert await employers.names(["12345678"]) == Names({"12345678": "Ny ApS"}, complete=True)


@pytest.mark.parametrize("total", [3, {"value": 3, "relation": "eq"}, None])
async def test_what_is_of_no_use_may_be_of_any_shape(server, employers, total):
    answer = {"took": "x", "new": [], "timed_out": False, "_shards": {"total": 1, "successful": 1, "failed": 0}}
    found = {"total": total, "max_score": None, "hits": [hit(12345678, "Bageren ApS", reklamebeskyttet="x")]}
    server.respond = saying(json.dumps(answer | {"hits": found}).encode())
    assert await employers.names(["12345678"]) == Names({"12345678": "Bageren ApS"}, complete=True)


@pytest.mark.parametrize(
    "odd",
    [
        5, None, "x", [], {}, {"_source": None}, {"_source": {"Vrvirksomhed": 7}}, hit("22222222", "x"),
        hit(10**8, "x"), hit(22222222, 5), hit(22222222, "x", fejlRegistreret="nej"),
        company({"virksomhedMetadata": {}}), company({"cvrNummer": 22222222, "virksomhedMetadata": []}),
    ],
    ids=list("abcdefghijklm"),
)  # fmt: skip
async def test_a_hit_that_cannot_be_read_is_left_out_and_takes_no_other_with_it(server, employers, odd):
    server.respond = saying(hits(hit(12345678, "Bageren ApS"), odd, hit(19, "Nul A/S")))
    assert await employers.names(REGISTER) == Names(
        {"12345678": "Bageren ApS", "00000019": "Nul A/S"}, True, (LeftOut("company", "hit 2"),)
    )


async def test_an_odd_name_of_a_history_is_left_out_and_takes_no_other_with_it(server, employers):
    names = [past("Gammel", "2010-01-01", None), past(7, "2015-01-01", None), 5, past("Nyere", "i går", None)]
    server.respond = saying(hits(nameless(*names)))
    assert await employers.names(["12345678"]) == Names(
        {"12345678": "Gammel"}, True, tuple(LeftOut("company_name", f"hit 1, name {number}") for number in (2, 3, 4))
    )


async def test_what_is_left_out_says_nothing_of_what_it_held(server, employers):
    server.respond = saying(hits(hit(12345678, "Bageren ApS"), {"_source": "Zebrafinken"}, nameless("Zebrafinken")))
    with capture_logs() as lines:
        names = await employers.names(["12345678"])
    assert len(names.left_out) == 2
    assert "Zebrafinken" not in repr((names, lines))


async def test_of_an_answer_that_is_full_of_hits_only_as_many_are_looked_at_as_could_be_asked_for(server, employers):
    server.respond = saying(hits(hit(12345678, "Bageren ApS"), *[0] * 90_000))
    names = await employers.names(["12345678"])
    assert names.by_number == {"12345678": "Bageren ApS"}
    assert len(names.left_out) == NUMBERS_PER_CALL
    assert names.left_out[-1] == LeftOut("company", "after hit 1000")


async def test_of_a_history_that_is_full_of_names_only_the_first_are_looked_at(server, employers):
    server.respond = saying(hits(nameless(past("Ny", None, None), *[0] * 90_000)))
    names = await employers.names(["12345678"])
    assert names.by_number == {"12345678": "Ny"}
    assert len(names.left_out) == MOST_OF_A_HISTORY


COULD_BE_A_PERSON = {
    "of a sole proprietor": hit(12345678, "Zebra Finke", SOLE_PROPRIETOR),
    "of a small one": hit(12345678, "Zebra Finke", 15),
    "of one who is dead": hit(12345678, "Zebra Finke", 20),
    "of two together": hit(12345678, "Zebra Finke", 30),
    "of a form that came since": hit(12345678, "Zebra Finke", 4711),
    "of a form that is not told": hit(12345678, "Zebra Finke", None),
    "of a form as a text": hit(12345678, "Zebra Finke", "80"),
    "of no form": company({"cvrNummer": 12345678, "virksomhedMetadata": {"nyesteNavn": {"navn": "Zebra Finke"}}}),
    "of a form out of the past": nameless(
        past("Zebra Finke", None, None),
        virksomhedsform=[
            {"virksomhedsformkode": APS, "periode": {"gyldigFra": "2001-01-01", "gyldigTil": "2009-12-31"}},
            {"virksomhedsformkode": SOLE_PROPRIETOR, "periode": {"gyldigFra": "2010-01-01", "gyldigTil": None}},
        ],
    ),
    "of forms that cannot all be read": nameless(
        past("Zebra Finke", None, None),
        virksomhedsform=[{"virksomhedsformkode": APS, "periode": {"gyldigFra": "2001-01-01"}}, 5],
    ),
    "of forms in no list": nameless(past("Zebra Finke", None, None), virksomhedsform="80"),
}


@pytest.mark.parametrize("found", COULD_BE_A_PERSON.values(), ids=COULD_BE_A_PERSON)
async def test_a_name_that_could_be_a_persons_is_only_kept_sealed_and_known_all_the_same(
    server, employers, cache, found
):
    server.respond = saying(hits(found))
    assert (await employers.names(["12345678"])).by_number == {"12345678": "Zebra Finke"}
    kept = await everything_in(cache)
    assert kept.startswith(b"employer:12345678")
    assert b"Zebra" not in kept
    assert b"Finke" not in kept
    assert 0 <= timedelta(days=30).total_seconds() - await cache.ttl("employer:12345678") < 60
    assert await employers.names(["12345678"]) == Names({"12345678": "Zebra Finke"}, complete=True)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "found",
    [
        hit(12345678, "Bageren ApS", APS),
        hit(12345678, "Bageren ApS", 60),
        hit(12345678, "Bageren ApS", 250),
        nameless(
            past("Bageren ApS", None, None),
            virksomhedsform=[
                {"virksomhedsformkode": APS, "periode": {"gyldigFra": "2010-01-01", "gyldigTil": None}},
                {"virksomhedsformkode": 10, "periode": {"gyldigFra": "2001-01-01", "gyldigTil": "2009-12-31"}},
            ],
        ),
    ],
    ids=["ApS", "A/S", "a municipality", "by its forms"],
)
async def test_a_name_that_is_nobodys_is_kept_open(server, employers, cache, found):
    server.respond = saying(hits(found))
    await employers.names(["12345678"])
    assert await cache.get("employer:12345678") == b"Bageren ApS"


async def test_a_sealed_name_opens_in_its_own_place_alone(server, employers, cache, sealer):
    await cache.set("employer:12345678", sealer.seal(b"Zebra Finke", "employer:22222222"))
    server.respond = knowing()
    counter = UNREADABLE.labels("employer")
    before = counter._value.get()
    with capture_logs() as lines:
        assert await employers.names(["12345678"]) == Names({"12345678": "Bageren ApS"}, complete=True)
    assert counter._value.get() == before + 1
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["employer_name_unreadable"]


async def test_a_name_that_an_older_key_sealed_is_known(server, employers, cache):
    await cache.set("employer:12345678", Sealer([OLD]).seal(b"Zebra Finke", "employer:12345678"))
    assert (await employers.names(["12345678"])).by_number == {"12345678": "Zebra Finke"}
    assert server.received == []


async def test_a_name_whose_key_is_gone_is_asked_for_again_and_sealed_anew(server, employers, cache, sealer):
    await cache.set("employer:12345678", Sealer([b"x" * 32]).seal(b"Zebra Finke", "employer:12345678"))
    server.respond = saying(hits(hit(12345678, "Zebra Finke", SOLE_PROPRIETOR)))
    assert await employers.names(["12345678"]) == Names({"12345678": "Zebra Finke"}, complete=True)
    assert sealer.open(await cache.get("employer:12345678"), "employer:12345678") == b"Zebra Finke"


async def test_an_open_name_of_before_is_read_and_does_not_live_longer_for_it(server, employers, cache):
    await cache.set("employer:12345678", b"Zebra Finke", ex=60)
    assert (await employers.names(["12345678"])).by_number == {"12345678": "Zebra Finke"}
    assert server.received == []
    assert await cache.ttl("employer:12345678") <= 60
