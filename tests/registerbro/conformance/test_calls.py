"""One operation's call: what is reported of it, and that no value is."""

import json
from datetime import date
from types import SimpleNamespace

import pytest
from aiohttp import web

from config.settings import SettingsError, UpstreamSettings
from domain.cpr import Cpr
from registerbro.conformance import assumptions
from registerbro.conformance.calls import left_out, make, shown_address, shown_media_type
from registerbro.conformance.expectations import Asked, Mark, Operation, SignatureSeen
from registerbro.conformance.json_shape import expected, shape
from registerbro.upstreams.errors import WrongPerson
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.messages import Question
from registerbro.upstreams.pipeline import Exchange, Upstream
from registerbro.upstreams.wire_types import IsoDate, Many, WireModel
from tests.support import ProcessAdmission

ASKED, OTHER = Cpr("6102991234"), "6203004235"
TODAY = date(2026, 11, 30)
SLASHED = "trailing slash: HTTP 301 to the same address with a slash at its end"


class Item(WireModel):
    start: IsoDate


class Wire(WireModel):
    civilRegistrationIdentifier: str  # noqa: N815 - as it is sent
    items: Many[Item]


CONTRACT = expected(Wire, Mark.PUBLISHED, marks={"items[]": Mark.ASSUMED})
BODY = {"civilRegistrationIdentifier": ASKED.digits, "items": [{"start": "2020-01-01"}]}


def read(answer):
    if refusal := answer.refusal():
        raise refusal
    if OTHER.encode() in answer.body:
        raise WrongPerson
    return answer.model(Wire)


async def call(asked):
    return await asked.upstream.ask(Exchange(lambda _: Question("GET", "/v1/x"), read))


def operation(**more):
    told = (assumptions.address("the path"), assumptions.fields("the items", "items[]"))
    return Operation(**{"name": "x", "call": call, "expected": CONTRACT, "shape": shape, "assumptions": told} | more)


@pytest.fixture
async def server():
    """A register that answers with what `it` holds."""
    it = SimpleNamespace(status=200, body=BODY, headers={}, url="", calls=0)

    async def handle(_):
        it.calls += 1
        body = it.body if isinstance(it.body, bytes) else json.dumps(it.body).encode()
        return web.Response(status=it.status, body=body, headers={"Content-Type": "application/json", **it.headers})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield it
    await runner.cleanup()


@pytest.fixture
def report(server):
    """Makes the call, and gives its report."""

    async def report(url=None, **more):
        async with HttpClient(url or server.url, UpstreamSettings()) as http:
            upstream = Upstream("udb", UpstreamSettings(), http, ProcessAdmission(), NoTrail())
            asked = Asked(upstream.by_hand(ProcessAdmission()), None, ASKED, "id", TODAY)
            return (await make("udb", operation(**more), asked)).report

    return report


def told(report):
    return [(one.mark.value, one.where, one.what) for one in report.findings]


async def test_an_answer_of_the_contract_conforms(report, server):
    found = await report()
    assert (found.is_conforming, found.status, found.content_type) == (True, 200, "application/json")
    assert (found.address, found.size, told(found)) == (f"{server.url}/v1/x", len(json.dumps(BODY)), [])
    assert [one.verdict.value for one in found.decisions] == ["holds", "holds"]
    assert server.calls == 1


async def test_what_is_assumed_and_differs_is_told_and_so_is_that_the_adapter_cannot_use_it(report, server):
    server.body = BODY | {"items": [{"begin": "2020-01-01"}]}
    found = await report()
    assert told(found) == [("A", "items[].start", "is missing")]
    assert found.read.startswith("the adapter cannot use it: invalid_response: ")
    assert not found.is_conforming
    assert [(one.verdict.value, one.seen) for one in found.decisions] == [
        ("holds", "200"), ("does not hold", "items[].start"),
    ]  # fmt: skip
    assert [one.path for one in found.fields if one.mark is None] == ["items[].begin"]


@pytest.mark.parametrize(
    ("status", "headers", "where", "what"),
    [
        (301, {"Location": "/v1/x/"}, "address", SLASHED),
        (302, {"Location": "https://x.dk/y?cpr=6102991234"}, "address", "redirect: HTTP 302 to https://x.dk/y"),
        (307, {"Location": "/6102991234"}, "address", "redirect: HTTP 307 to {url}/…"),
        (302, {"Location": "https://[x/"}, "address", "redirect: HTTP 302 to an address that is none"),
        (302, {"Location": "https://x:99999999/"}, "address", "redirect: HTTP 302 to an address that is none"),
        (302, {}, "address", "redirect: HTTP 302 to an address that it does not name"),
        (401, {}, "token", "HTTP 401"),
        (403, {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="a.b/read"'}, "token",
         "HTTP 403: insufficient_scope (needs the scope a.b/read)"),
        (403, {"WWW-Authenticate": 'Bearer scope="6102991234"'}, "token", "HTTP 403"),
    ],
)  # fmt: skip
async def test_a_refusal_before_the_register_is_named_by_what_it_lacks(report, server, status, headers, where, what):
    server.status, server.headers, server.body = status, headers, {}
    found = await report()
    assert told(found) == [("P", where, what.format(url=server.url))]
    assert not found.is_conforming


async def test_a_token_that_lacks_its_scope_may_be_told_in_the_body(report, server):
    server.status, server.body = 403, {"error": "insufficient_scope"}
    assert told(await report()) == [("P", "token", "HTTP 403: insufficient_scope")]


async def test_an_address_that_ends_with_a_slash_and_is_not_found_is_told_as_that(report, server):
    server.status, server.body = 404, {}
    found = await report()
    assert (told(found), found.decisions[0].verdict) == ([], "does not hold")

    async def slashed(asked):
        return await asked.upstream.ask(Exchange(lambda _: Question("GET", "/v1/x/"), read))

    found = await report(call=slashed)
    assert told(found) == [("P", "address", "trailing slash: HTTP 404, and the address ends with a slash")]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"next": "/v1/x?page=2"}, "next"), ({"_links": {"next": {"href": "/2"}}}, "_links.next"),
        ({"@odata.nextLink": "https://x"}, "@odata.nextLink"),
    ],
)  # fmt: skip
async def test_a_link_to_a_next_page_is_told_since_it_is_not_all_then(report, server, more, where):
    server.body = BODY | more
    found = await report()
    assert told(found) == [("P", where, "leads to a next page, and the contract has none: this is not all")]
    assert not found.is_conforming
    server.body = BODY | {"next": None}
    assert (await report()).is_conforming


async def test_a_link_header_to_a_next_page_is_told_too(report, server):
    server.headers = {"Link": '</v1/x?page=2>; rel="next"'}
    assert [where for _, where, _ in told(await report())] == ["header Link"]


async def test_another_person_is_told_and_nothing_of_them(report, server):
    server.body = BODY | {"civilRegistrationIdentifier": OTHER}
    found = await report()
    assert ("P", "civilRegistrationIdentifier", "is the number of another person, or of nobody") in told(found)
    assert (found.is_anothers, found.is_conforming) == (True, False)
    assert OTHER not in repr(found)


async def test_an_upstream_that_cannot_be_reached_is_told(report):
    found = await report(url="http://127.0.0.1:9")
    assert (found.status, found.is_conforming) == (None, False)
    assert found.read.startswith("the adapter cannot use it: unavailable: no connection")


async def test_a_signature_that_does_not_hold_is_no_conformance(report):
    def signature(_, __):
        return SignatureSeen(("sha1",), is_verified=False, detail="signed with sha1")

    found = await report(signature=signature)
    assert (told(found), found.is_conforming) == ([("P", "signature", "signed with sha1")], False)


async def test_an_answer_that_the_adapter_has_a_defect_with_is_told_without_its_contents(report):
    async def defective(asked):
        def fail(answer):
            raise KeyError(answer.body.decode())

        return await asked.upstream.ask(Exchange(lambda _: Question("GET", "/v1/x"), fail))

    found = await report(call=defective)
    assert found.read.startswith("the adapter cannot use it: defect: KeyError at test_calls.py:")
    assert (found.is_conforming, ASKED.digits in repr(found)) == (False, False)


async def test_a_call_that_is_spared_or_not_set_up_is_not_made(server):
    async def fail(_):
        raise SettingsError("UDB__TOKEN: is missing")

    made = await make("udb", Operation("x", fail, CONTRACT, shape), Asked(None, None, ASKED, "id", TODAY))
    assert (made.report.not_made, made.report.is_conforming, made.exchange) == ("UDB__TOKEN: is missing", False, None)
    assert left_out("udb", operation(), "it writes").report.is_conforming


def test_a_media_type_is_shown_when_it_is_one():
    kinds = ("application/problem+json", "text/6102991234", "Åge Hansen", "")
    assert [shown_media_type(kind) for kind in kinds] == ["application/problem+json", "?", "?", ""]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@x.dk:8443/a/b?token=1#c", "https://x.dk:8443/a/b"),
        ("http://x.dk", "http://x.dk"),
        ("http://x.dk/6102991234/610299-1234/12345", "http://x.dk/…/…/…"),
    ],
)
def test_an_address_is_shown_without_secrets_and_numbers(url, shown):
    assert shown_address(url) == shown
