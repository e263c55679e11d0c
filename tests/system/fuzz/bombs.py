"""Answers that are small to send and large to read, made here since they would be large as files.

`python -m tests.system.fuzz.bombs` lets each go off, in a process that may take so much memory and no more, and prints
what came of it: one JSON object per line.
"""

import asyncio
import gzip
import json
import resource
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from config.settings import EindkomstSettings
from registerbro.upstreams import answer_parsing, xml_extent
from registerbro.upstreams.messages import MOST_JSON_CONTAINERS, MOST_JSON_VALUES
from tests.system.fuzz.messages import SETTINGS, Direct, Message, client_of, say_nothing, upstream_through
from tests.system.fuzz.paths import CPR, OFFER, outcome
from tests.workers.eindkomst import answers

MAX_BODY_BYTES = SETTINGS.max_body
XML_BYTES = EindkomstSettings().max_body
"""How long an answer of eIndkomst may be."""
ADDRESS_SPACE_MB = 2048
"""A backstop: who goes beyond it gets a MemoryError, and does not take the machine along."""

Build = Callable[[], bytes]

_OFFER = f'{{"id": "{OFFER}", "SamtaleType": 7, "MoedeGruppeType": 1, "samtaleform": [8]}}'
TEMPLATES = {
    "udb": f'{{"civilRegistrationIdentifier": "{CPR.digits}", "haendelser": @}}',
    "su": f'{{"civilRegistrationIdentifier": "{CPR.digits}", "forloeb": @}}',
    "ydelse": '{"ydelser": {"ydelse": @}}',
    "visitering": '{"kontaktgrupper": [], "fravaer": @}',
    "kontaktforloeb": '{"indkaldelser": @, "KanSelvbooke": true, "StraksbookingPaakraevet": false}',
    "jobsearch": '{"joboensker": @}',
    "borgerindsats": '{"aktiviteter": {"AktivitetOpsummering": {"aktivitet": @}}, "jobsoegningslogning": []}',
    "cvr": '{"hits": {"hits": @}}',
    "times": f'{{"MoedetilbudSamling": {{"Moedetilbud": [{_OFFER}]}}, "Tider": @}}',
    "book": '{"MoedetilbudSamling": {"Moedetilbud": @}}',
    "delivery": '{"sagsnummer": @}',
}
"""Target → a whole answer of it, but for what stands at the @."""

ITEMS = {
    "udb": '{"haendelsesIdentifier": "h-#", "haendelsestype": "OPTAGELSE", "dato": "2020-01-01", '
    '"uddannelse": {"kode": "#", "navn": "Hf #", "kompetence": "INGEN", "type": "UDDANNELSE"}, '
    '"institution": {"nummer": "1", "navn": "A"}}',
    "su": '{"uddannelsestype": "UNGDOMSUDDANNELSE", "uddannelse": "#", "startdato": "2020-01-01", "annulleret": false}',
    "ydelse": f'{{"civilRegistrationIdentifier": "{CPR.digits}", "kyYdelsesIdentifier": "#", '
    '"startdato": "2020-01-01", "ydelsestype": "DAGPENGE", "samtidigJob": true}',
    "visitering": '{"fravaerIdentifier": "f-#", "fravaerType": 10, "startDato": "2020-01-01T00:00:00+01:00", '
    '"slutDato": "2020-01-02T00:00:00+01:00", "anmeldelsesDato": "2020-01-01T08:00:00Z"}',
    "kontaktforloeb": '{"indkaldelseId": "i-#", "SamtaleType": 7, "starttidspunkt": "2020-01-01T09:00:00+01:00", '
    '"sluttidspunkt": "2020-01-01T09:45:00+01:00", "samtaleform": [8]}',
    "jobsearch": '{"conceptUriDa": "http://data.europa.eu/esco/occupation/#", "harUddannelse": false, '
    '"oprettelsestidspunkt": "2020-01-01T09:00:00+01:00"}',
    "borgerindsats": '{"aktivitetIdentifier": "a-#", "navn": "Praktik #", "startdato": "2020-01-01", '
    '"slutdato": "2020-01-31"}',
    "cvr": '{"_source": {"Vrvirksomhed": {"cvrNummer": #, "virksomhedMetadata": {"nyesteNavn": {"navn": "#"}}}}}',
    "times": '{"starttidspunkt": "2026-11-24T09:00:00+01:00", "sluttidspunkt": "2026-11-24T09:30:00+01:00", '
    '"CaseWorkerIdentifier": "#"}',
}
"""Target → one item of its list, with its number at each #."""

UNKNOWN = {
    "udb": ITEMS["udb"].replace("OPTAGELSE", "NY#"),
    "su": ITEMS["su"].replace("UNGDOMSUDDANNELSE", "NY#"),
    "ydelse": ITEMS["ydelse"].replace("DAGPENGE", "NY#"),
    "visitering": ITEMS["visitering"].replace("10,", "#,"),
    "kontaktforloeb": ITEMS["kontaktforloeb"].replace("7,", "#,"),
}
"""The same with a value that the contract does not know."""
SHOWN_UNKNOWN = frozenset({"ydelse", "visitering", "kontaktforloeb"})
"""Where an item with such a value is shown as one."""
SERVICES = ("visitering", "kontaktforloeb", "jobsearch", "borgerindsats")
"""Those that ask two questions, so that each answer is read twice."""


@dataclass(frozen=True)
class Bomb:
    """`expected` is the outcome, by the words of `tests.system.fuzz.paths.outcome`."""

    target: str
    name: str
    expected: str
    build: Build


def _json(body: bytes, *headers: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s\r\n" % b"".join(headers) + body


def _xml(body: bytes, *headers: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\n%s\r\n" % b"".join(headers) + body


def numbered(one: str, room: int) -> str:
    """As many items as fit, each with a number of its own."""
    count = room // (len(one) + 8 * one.count("#"))
    return "[" + ",".join(one.replace("#", str(10_000_000 + number)) for number in range(count)) + "]"


def list_of(item: str, room: int) -> str:
    return "[" + ",".join([item] * (room // (len(item) + 1))) + "]"


FILLINGS: dict[str, Callable[[int], str]] = {
    "a million numbers": lambda room: list_of("0", room),
    "objects without a field": lambda room: list_of("{}", room),
    "lists without an item": lambda room: list_of("[]", room),
    "a million nulls": lambda room: list_of("null", room),
    "as many fields as fit": lambda room: "{" + ",".join(f'"{at}":0' for at in range(room // 11)) + "}",
    "the same field over and over": lambda room: '{"a":0' + ',"a":0' * (room // 6 - 2) + "}",
    "one long text": lambda room: f'"{"x" * (room - 2)}"',
    "one long text of escapes": lambda room: '"' + r"\u00e6" * (room // 6 - 1) + '"',
    "nested as deep as fits": lambda room: "[" * (room // 2) + "]" * (room // 2),
    "objects nested as deep as fits": lambda room: '{"a":' * (room // 6) + "0" + "}" * (room // 6),
    "nested 190 deep": lambda _: "[" * 190 + "]" * 190,
    "an integer of two million digits": lambda room: "9" * room,
    "integers of 4300 digits": lambda room: list_of("9" * 4300, room),
    "a fraction of two million digits": lambda room: "0." + "9" * (room - 2),
    "an exponent of two million digits": lambda room: "1e" + "9" * (room - 2),
}
"""What the part of an answer may be that should be a list of a few items, or a short text, in so many characters."""
EVERYWHERE = ("a million numbers", "objects without a field")
"""Those that depend on the contract that they break; the others end in the parser, which is one for all."""


def counted(body: str) -> int:
    """The values of JSON, as the client counts them."""
    return sum(map(body.count, ",:[{"))


def is_too_long(body: str) -> bool:
    """Whether JSON has more values than are taken, and not more lists and objects than any contract has."""
    return counted(body) > MOST_JSON_VALUES and body.count("[") + body.count("{") <= MOST_JSON_CONTAINERS


def room_for(template: str, item: str) -> int:
    """How many characters of items hold as many values as are taken."""
    each = counted(item) + 1
    items = (MOST_JSON_VALUES - counted(template)) // each
    return min(MAX_BODY_BYTES - len(template) - 1_000, items * (len(item) + 8 * item.count("#")))


def _json_bombs(target: str, broken: str, fillings: Iterable[str]) -> Iterator[Bomb]:
    template = TEMPLATES[target]
    room = MAX_BODY_BYTES - len(template) - 10
    too_many = "too_long" if broken == "invalid_response" else broken

    def filled(filling: Callable[[int], str]) -> Build:
        return lambda: _json(template.replace("@", filling(room)).encode())

    for name in fillings:
        expected = too_many if is_too_long(template + FILLINGS[name](room)) else broken
        yield Bomb(target, name, expected, filled(FILLINGS[name]))
    unknown = "ok" if target in SHOWN_UNKNOWN else "invalid_response"
    for name, items, expected in (("good items", ITEMS, "ok"), ("unknown values", UNKNOWN, unknown)):
        if target in items:
            listed = partial(numbered, items[target])
            as_fit = too_many if is_too_long(template.replace("@", listed(room))) else broken
            yield Bomb(target, f"as many {name} as fit", as_fit, filled(listed))
            taken = room_for(template, items[target])
            yield Bomb(target, f"as many {name} as are taken", expected, filled(lambda _, it=listed, n=taken: it(n)))


def _size_bombs(target: str) -> Iterator[Bomb]:
    zipped = b"Content-Encoding: gzip\r\n"
    yield Bomb(target, "one byte too long", "too_long", lambda: _json(b" " * (MAX_BODY_BYTES + 1)))
    yield Bomb(target, "far too long", "too_long", lambda: _json(b"[" * 64_000_000))
    yield Bomb(target, "a gigabyte of spaces, by gzip", "too_long", lambda: _json(_spaces(), zipped))
    room = room_for(TEMPLATES[target], ITEMS[target])
    yield Bomb(
        target,
        "as many good items as are taken, by gzip",
        "ok",
        lambda: _json(gzip.compress(TEMPLATES[target].replace("@", numbered(ITEMS[target], room)).encode(), 1), zipped),
    )


@cache
def _spaces() -> bytes:
    """A gigabyte of them, by gzip."""
    compressor = zlib.compressobj(1, wbits=31)
    block = b" " * (1 << 20)
    return b"".join(compressor.compress(block) for _ in range(1024)) + compressor.flush()


def _xml_bombs(target: str) -> Iterator[Bomb]:
    room = XML_BYTES - 10_000

    def told(build: Build) -> Build:
        return lambda: _xml(build())

    def envelope(content: Callable[[], str]) -> Build:
        return told(lambda: answers.response(content()))

    def repeated(one: str, room: int = room) -> Callable[[], str]:
        return lambda: one * (room // len(one))

    nested = room // 7
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    yield Bomb(
        target,
        "a billion laughs",
        "invalid_response",
        told(f'<!DOCTYPE a [<!ENTITY a0 "ha">{laughs}]><a>&a9;</a>'.encode),
    )
    yield Bomb(
        target,
        "quadratic entities",
        "invalid_response",
        told(f'<!DOCTYPE a [<!ENTITY a "{"x" * 100_000}">]><a>{"&a;" * 100_000}</a>'.encode),
    )
    yield Bomb(target, "nested as deep as fits", "too_long", told(lambda: b"<a>" * nested + b"</a>" * nested))
    yield Bomb(target, "nested 200 deep", "invalid_response", envelope(lambda: "<e:a>" * 200 + "</e:a>" * 200))
    yield Bomb(target, "as many elements as fit", "too_long", envelope(repeated("<e:a/>")))
    yield Bomb(
        target,
        "as many attributes as fit",
        "too_long",
        envelope(lambda: "<e:a " + " ".join(f'a{n}=""' for n in range(room // 11)) + "/>"),
    )
    yield Bomb(
        target,
        "as many namespaces as fit",
        "too_long",
        envelope(lambda: "<e:a " + " ".join(f'xmlns:a{n}="u{n}"' for n in range(room // 26)) + "/>"),
    )
    yield Bomb(
        target,
        "namespaces over namespaces",
        "too_long",
        envelope(lambda: "".join(f'<a{n}:a xmlns:a{n}="u"/>' for n in range(room // 32))),
    )
    yield Bomb(
        target,
        "elements in the last of many namespaces",
        "invalid_response",
        envelope(
            lambda: (
                "<e:a "
                + " ".join(f'xmlns:a{n}="u{n}"' for n in range(20_000))
                + ">"
                + "<a19999:a/>" * 100_000
                + "</e:a>"
            )
        ),
    )
    yield Bomb(target, "one long text", "invalid_response", envelope(lambda: "x" * room))
    yield Bomb(target, "one long attribute", "invalid_response", envelope(lambda: f'<e:a b="{"x" * room}"/>'))
    yield Bomb(target, "one long name", "invalid_response", envelope(lambda: f"<e:{'a' * (room // 2)}/>"))
    yield Bomb(target, "one long comment", "invalid_response", envelope(lambda: f"<!--{'x' * room}-->"))
    yield Bomb(target, "as many comments as fit", "too_long", envelope(repeated("<!---->")))
    yield Bomb(target, "as many characters by number as fit", "invalid_response", envelope(repeated("&#230;")))
    yield Bomb(
        target,
        "one long CPR number",
        "invalid_response",
        envelope(lambda: f"<c:PersonCivilRegistrationIdentifier>{'1' * room}</c:PersonCivilRegistrationIdentifier>"),
    )
    yield Bomb(
        target,
        "as many CPR numbers as fit",
        "wrong_person",
        envelope(
            repeated(
                f"<c:PersonCivilRegistrationIdentifier>{answers.OTHER_CPR.digits}</c:PersonCivilRegistrationIdentifier>"
            )
        ),
    )
    yield Bomb(target, "one byte too long", "too_long", told(lambda: b" " * (XML_BYTES + 1)))
    yield Bomb(
        target,
        "a gigabyte of spaces, by gzip",
        "too_long",
        lambda: _xml(_spaces(), b"Content-Encoding: gzip\r\n"),
    )


def _as_many(one: bytes | str) -> int:
    return (XML_BYTES - 10_000) // len(one)


def _every_company() -> bytes:
    reported = answers.report(answers.wages(cvr=None))
    numbers = range(10_000_000, 10_000_000 + _as_many(answers.company(reported)))
    return answers.about(*(answers.company(reported, se=str(number)) for number in numbers))


def _every_unknown_type() -> bytes:
    one = answers.report(answers.wages(income_type="000000"))
    types = (f"{100_000 + at}" for at in range(_as_many(one)))
    return answers.about(answers.company(*(answers.report(answers.wages(income_type=of_type)) for of_type in types)))


def _unreadable_beside_a_good_one() -> bytes:
    nothing = "<e:LoenPeriodeOplysningStruktur/>"
    return answers.about(answers.company(answers.report(answers.wages()), *[nothing] * (xml_extent.NODES - 100)))


def _repeated_outcome(one: str, *more: str, nodes: int) -> bytes:
    """`nodes` are those of `one`."""
    return answers.response(answers.outcome(*[one] * min(_as_many(one) - 10, xml_extent.NODES // nodes - 100)), *more)


def _eindkomst_bombs() -> Iterator[Bomb]:
    """What only the unsigned answers come to: a signature that is missing is noticed before all of these."""
    reported = answers.report(answers.wages())
    reversed_later = answers.report(answers.wages(kind="T"))
    somebody = answers.persons(answers.person(answers.company(reported)))
    for name, expected, build in (
        ("as many notices as fit", "ok", lambda: _repeated_outcome(answers.notice("1"), somebody, nodes=3)),
        ("as many errors as fit", "bad_request", lambda: _repeated_outcome(answers.error("999"), nodes=3)),
        ("as many reports as fit", "ok", lambda: answers.about(answers.company(*[reported] * _as_many(reported)))),
        (
            "as many reversals as fit",
            "ok",
            lambda: answers.about(answers.company(reported, *[reversed_later] * (_as_many(reversed_later) - 10))),
        ),
        ("as many companies as fit", "ok", _every_company),
        ("as many unknown types as fit", "ok", _every_unknown_type),
        ("as many reports that cannot be read as fit", "ok", _unreadable_beside_a_good_one),
    ):
        yield Bomb("eindkomst", name, expected, partial(_told, build))


def _told(build: Build) -> bytes:
    return _xml(build())


def bombs() -> Iterator[Bomb]:
    """All of them, for each target that they can go off in."""
    yield from _json_bombs("udb", "invalid_response", FILLINGS)
    yield from _size_bombs("udb")
    for target in ("su", "ydelse", *SERVICES, "cvr"):
        yield from _json_bombs(target, "invalid_response", EVERYWHERE)
    # A report was taken, whatever the answer holds.
    yield from _json_bombs("delivery", "ok", EVERYWHERE)
    yield from _json_bombs("times", "SystemBrokeContract", FILLINGS)
    yield from _json_bombs("book", "SystemBrokeContract", EVERYWHERE)
    yield from _xml_bombs("eindkomst")
    yield from _xml_bombs("eindkomst_signed")
    yield from _eindkomst_bombs()


def forget_the_peak() -> None:
    """From here on the most memory is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")


def mb(what: str) -> float:
    """`VmRSS`, the memory that this process holds, or `VmHWM`, the most that it held."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


async def let_all_go_off() -> None:
    direct = Direct()
    of_xml = SETTINGS.model_copy(update={"max_body": XML_BYTES})
    async with client_of(direct) as of_others, client_of(direct, of_xml) as of_eindkomst:
        for bomb in bombs():
            http = of_eindkomst if bomb.target.startswith("eindkomst") else of_others
            direct.message = Message.parse(bomb.build())
            forget_the_peak()
            before = mb("VmRSS")
            began = time.process_time()
            try:
                came_of_it = await outcome(bomb.target, upstream_through(http, bomb.target), direct.message.body)
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                came_of_it = f"{type(error).__name__}: {str(error)[:200]}"
            told = {
                "target": bomb.target,
                "name": bomb.name,
                "expected": bomb.expected,
                "outcome": came_of_it,
                "seconds": round(time.process_time() - began, 2),
                "grown_mb": round(mb("VmHWM") - before),
            }
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    say_nothing()
    # A long answer is read in a thread, within a time of which a busy machine gives it little: here it is read at once,
    # and its processor time is what counts.
    answer_parsing.LONGEST_READ_AT_ONCE = XML_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_MB << 20, ADDRESS_SPACE_MB << 20))
    asyncio.run(let_all_go_off())
