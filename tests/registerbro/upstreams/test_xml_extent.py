"""How much markup an answer may have: seen in its bytes, wherever the parts of them begin and end."""

import contextlib

import pytest

from registerbro.upstreams import xml_extent
from registerbro.upstreams.errors import InvalidResponse, TooLong
from registerbro.upstreams.xml_extent import ATTRIBUTES, LONGEST, NODES, check
from tests.registerbro.upstreams.test_ws_security import spent
from tests.workers.eindkomst.answers import BLOWN_UP_SECONDS, CPR, about, answer, company, report, wages
from workers.eindkomst import wire

GOOD = about(company(report(wages())))


def tag(count, value="", quote='"'):
    return f"<a {' '.join(f'a{n}={quote}{value}{quote}' for n in range(count))}/>".encode()


@pytest.mark.parametrize("quote", ['"', "'"])
def test_an_element_has_as_many_attributes_as_are_allowed_and_no_more(quote):
    check(tag(ATTRIBUTES, "x > y", quote))
    with pytest.raises(InvalidResponse, match="more than 192 attributes"):
        check(tag(ATTRIBUTES + 1, "x > y", quote))


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_value_is_as_long_as_is_allowed_and_no_longer(quote):
    check(tag(2, "x" * LONGEST, quote))
    with pytest.raises(InvalidResponse, match="more than 4000 bytes"):
        check(tag(2, "x" * (LONGEST + 1), quote))


def test_attributes_of_many_elements_are_not_those_of_one():
    check(tag(ATTRIBUTES) * 100)


def test_what_stands_between_the_tags_is_of_no_matter():
    check(b"<a>" + b'"x"=' * 10_000 + b"</a>" + b"'" * 100_000 + b"<a>x</a>")


def test_there_are_as_many_nodes_as_are_allowed_and_no_more():
    check(b"<a>" + b"<b></b>" * (NODES - 1) + b"</a>")
    with pytest.raises(TooLong):
        check(b"<a>" + b"<b></b>" * NODES + b"</a>")


@pytest.mark.parametrize("at_once", [1, 2, 7, 100, 10_000])
@pytest.mark.parametrize("before", range(4))
def test_a_tag_is_seen_wherever_the_parts_are_cut(monkeypatch, at_once, before):
    monkeypatch.setattr(xml_extent, "_AT_ONCE", at_once)
    around = b"<b>x</b>" + b" " * before
    check(around + tag(ATTRIBUTES) + around)
    with pytest.raises(InvalidResponse):
        check(around + tag(ATTRIBUTES + 1) + around)


@pytest.mark.parametrize(
    "body",
    [
        b"<" * (NODES - 10),
        b"<a " * (NODES - 10),
        b"<a" + b" " * 16_000_000,
        b'<a b="' + b"x" * 16_000_000,
        b"<a " + b"'\"" * 8_000_000,
        b'<a "' * (NODES - 10),
        b'<a ""' * (NODES - 10),
        b"x" * 16_000_000,
    ],
    ids=range(8),
)
def test_to_look_takes_time_by_the_number_of_bytes(body):
    def attempt():
        with contextlib.suppress(InvalidResponse):
            check(body)

    assert spent(attempt) < BLOWN_UP_SECONDS


def test_an_answer_is_looked_at_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(wire.etree, "fromstring", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(InvalidResponse, match="attributes"):
        wire.parse(answer(GOOD.replace(b"</soap:Body>", tag(ATTRIBUTES + 1) + b"</soap:Body>")))


@pytest.mark.parametrize(
    "within",
    [
        "<c:PersonCivilRegistrationIdentifier>" * 200
        + "<a>1</a>" * 90_000
        + "</c:PersonCivilRegistrationIdentifier>" * 200,
        "<c:PersonCivilRegistrationIdentifier>" * 200
        + "1" * 9_000_000
        + "</c:PersonCivilRegistrationIdentifier>" * 200,
    ],
    ids=["many elements", "a long text"],
)
def test_numbers_within_numbers_are_not_read_as_often_as_they_are_nested(within):
    body = GOOD.replace(b"</soap:Body>", within.encode() + b"</soap:Body>")

    def attempt():
        with pytest.raises(InvalidResponse):
            wire.read(answer(body), CPR, wire.EindkomstSettings())

    assert spent(attempt) < BLOWN_UP_SECONDS
