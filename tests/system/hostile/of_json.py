"""Hostile JSON: what is small to send and large to hold, to check, or to tell of."""

import json
from collections.abc import Callable, Iterator

from config.settings import UpstreamSettings
from registerbro.upstreams.answer_parsing import LONGEST_READ_AT_ONCE
from tests.system.fuzz.bombs import (
    FILLINGS,
    ITEMS,
    SERVICES,
    SHOWN_UNKNOWN,
    TEMPLATES,
    UNKNOWN,
    is_too_long,
    list_of,
    numbered,
    room_for,
)
from tests.system.hostile.cases import INVALID, OK, PLAIN, TOO_LONG, Case, head

MAX_BODY = UpstreamSettings().max_body
ON_THE_LOOP = LONGEST_READ_AT_ONCE
"""Bytes; what is longer is read in a thread."""
BROKEN = {"times": "SystemBrokeContract", "book": "SystemBrokeContract", "delivery": OK}
"""How a target tells of what is not of the contract, where that is not `invalid_response`. The status of an answer to a
delivery tells that it was taken, whatever else is in it."""
ITEM_BY_ITEM = {"cvr", "udb", "ydelse", "times", *SERVICES}
"""Targets that leave out a bad item, and take the others."""

MORE_FILLINGS: dict[str, Callable[[int], str]] = {
    "an exponent of a million": lambda _: "1e1000000",
    "exponents without a number of digits": lambda room: list_of("1e999999999", room),
    "fractions that are nearly nought": lambda room: list_of("1e-999999999", room),
    "not a number": lambda room: list_of("NaN", room),
    "infinity": lambda _: "[Infinity, -Infinity]",
    "halves of pairs": lambda room: '"' + r"\ud800" * (room // 6 - 1) + '"',
    "halves of pairs as names": lambda room: "{" + ",".join(rf'"\ud800{at}":0' for at in range(room // 18)) + "}",
    "characters of four bytes": lambda room: '"' + "\U0001f600" * (room // 4 - 1) + '"',
    "texts with a character of four bytes each": lambda room: list_of('"\U0001f600' + "x" * 1_000 + '"', room - 9_000),
    "nested in turn": lambda room: '[{"a":' * 95 + "0" + "}]" * 95,
    "nested 190 deep, many times": lambda room: list_of("[" * 190 + "]" * 190, room),
    "short texts": lambda room: list_of('"a"', room),
    "texts, each another": lambda room: "[" + ",".join(f'"{at}"' for at in range(room // 10)) + "]",
    "names of a hundred characters": lambda room: "{" + ",".join(f'"{at:0100}":0' for at in range(room // 105)) + "}",
    "white space": lambda room: "[" + " " * (room - 2) + "]",
    "line ends": lambda room: "[" + "\n" * (room - 2) + "]",
    "minus signs": lambda room: "-" * room,
    "not closed": lambda room: "[" * 100 + "0," * (room // 2 - 200),
    "commas": lambda room: "[" + "," * (room - 2) + "]",
    "a text that ends in a backslash": lambda room: '"' + "\\\\" * (room // 2 - 2) + "\\",
}
SECOND_ITEMS = {
    "visitering": (
        '{"fravaer": [], "kontaktgrupper": @}',
        '{"kontaktgruppeIdentifier": "#", "KontaktgruppeType": 12, "Starttidspunkt": "2020-01-01T00:00:00+01:00"}',
    ),
    "kontaktforloeb": (
        '{"indkaldelser": [], "KanSelvbooke": true, "StraksbookingPaakraevet": false, "Frister": {"Frist": @}}',
        '{"FriststatusType": 1, "SamtaleType": #, "Fristdato": "2026-12-10", "SidsteAfholdelsesdato": "2026-12-20"}',
    ),
    "borgerindsats": (
        '{"aktiviteter": null, "jobsoegningslogning": [{"joblogOpgaver": {"joblogopgave": @}}]}',
        '{"joblogopgaveIdentifier": "o-#", "opgavedetajler": {"beskrivelse": "Søgt job", "EventDate": "2026-11-28"}}',
    ),
}
"""Service → an answer to its other question than the one in TEMPLATES and ITEMS, and one item of that."""
NESTED = {
    "errors in errors": ("fejl", 60),
    "errors in errors, as deep as is parsed": ("error", 190),
    "lists of errors in errors": ("errors", 60),
    "codes in codes": ("kode", 190),
}


def cases() -> Iterator[Case]:
    """All of them."""
    quick = {"a million numbers", "objects without a field", "an integer of two million digits", "short texts"}
    for name, filling in (FILLINGS | MORE_FILLINGS).items():
        for size, room in (("2 MiB", MAX_BODY), ("32 KiB", ON_THE_LOOP)):
            yield _filled("udb", f"{name}, {size}", filling, room, quick=name in quick and size == "2 MiB")
    for target in ("su", "ydelse", *SERVICES, "cvr", "delivery", "times", "book"):
        for name in ("a million numbers", "objects without a field", "as many fields as fit"):
            yield _filled(target, name, FILLINGS[name], MAX_BODY, quick=target in ("cvr", "times"))
    yield from _good()
    yield from _of_services()
    yield from _codes()
    yield from _whole()
    yield from _fields()


def _case(kind: str, name: str, target: str, body: Callable[[], str], expected: str, *, quick: bool = False) -> Case:
    def build(_: str) -> list[bytes]:
        return [head("application/json"), body().encode("utf-8", "surrogatepass")]

    return Case(f"json: {kind}", name, target, build, {PLAIN: expected}, quick=quick)


def _filled(target: str, name: str, filling: Callable[[int], str], size: int, *, quick: bool = False) -> Case:
    template = TEMPLATES[target]

    def body() -> str:
        return template.replace("@", filling(size - len(template) - 100))

    too_long = is_too_long(body())
    expected = BROKEN.get(target, TOO_LONG if too_long else OK if "white" in name or "line ends" in name else INVALID)
    return _case("filled", name, target, body, expected, quick=quick)


def _good() -> Iterator[Case]:
    for target, item in ITEMS.items():
        template = TEMPLATES[target]
        most = room_for(template, item)
        for name, room, expected in (
            ("2 MiB", MAX_BODY, BROKEN.get(target, TOO_LONG)), ("32 KiB", ON_THE_LOOP, OK), ("what is taken", most, OK)
        ):  # fmt: skip

            def body(template: str = template, item: str = item, room: int = room) -> str:
                return template.replace("@", numbered(item, room - 1_000))

            taken = room == most
            broken = expected == TOO_LONG and not is_too_long(body())
            said = f"as many good items as fit in {name}"
            yield _case("items", said, target, body, INVALID if broken else expected, quick=taken)

        def last_is_bad(template: str = template, item: str = item, room: int = most) -> str:
            return template.replace("@", numbered(item, room - 1_000)[:-1] + ",{}]")

        expected = OK if target in ITEM_BY_ITEM else BROKEN.get(target, INVALID)
        yield _case("items", "as many good items as are taken, and a bad one", target, last_is_bad, expected)
    for target, item in UNKNOWN.items():

        def body(target: str = target, item: str = item) -> str:
            return TEMPLATES[target].replace("@", numbered(item, room_for(TEMPLATES[target], item)))

        expected = OK if target in SHOWN_UNKNOWN else INVALID
        yield _case("items", "as many unknown values as are taken", target, body, expected, quick=target == "su")


def _of_services() -> Iterator[Case]:
    """What DFDG's services alone come to: items of a second question, and the texts of meetings."""
    for target, (template, item) in SECOND_ITEMS.items():

        def body(template: str = template, item: str = item) -> str:
            return template.replace("@", numbered(item, room_for(template, item)))

        yield _case("items", "as many good items of the other question as are taken", target, body, OK)
    formatted = {
        "in each other": "<b>",
        "links": '<a href="http://a/#">',
        "half a table": "<table><b>",
        "entities": "&lt;",
    }
    for name, tag in formatted.items():
        text = "".join(tag.replace("#", str(at)) for at in range(50_000 // (len(tag) + 6)))
        item = json.dumps(json.loads(ITEMS["kontaktforloeb"]) | {"afholdt": True, "aftaletekst": text})
        template = TEMPLATES["kontaktforloeb"]

        def held(template: str = template, item: str = item) -> str:
            return template.replace(
                "@", "[" + ",".join(item.replace("#", str(n)) for n in range(1_900_000 // len(item))) + "]"
            )

        yield _case("items", f"texts of formatting: {name}", "kontaktforloeb", held, OK)


def _codes() -> Iterator[Case]:
    for name, (field, depth) in NESTED.items():
        opening, closing = (f'{{"{field}":[', "]}") if name.startswith("lists") else (f'{{"{field}":', "}")
        for status in (b"200 OK", b"400 Bad Request"):

            def build(_: str, opening=opening, closing=closing, depth=depth, status=status) -> list[bytes]:
                return [head("application/json", status=status), (opening * depth + "{}" + closing * depth).encode()]

            expected = INVALID if status.startswith(b"200") else "bad_request"
            said = f"{name}, {status[:3].decode()}"
            yield Case("json: codes", said, "udb", build, {PLAIN: expected}, quick=name == "errors in errors")
    many = '{"fejl":[' + ",".join(f'{{"kode":"{at}"}}' for at in range(20_000)) + "]}"
    yield _case("codes", "twenty thousand codes", "udb", lambda: many, "not_authorised", quick=True)
    numbers = '{"kode":[' + list_of("9" * 4_000, 1_900_000)[1:] + "}"
    yield _case("codes", "codes of 4,000 digits", "udb", lambda: numbers, INVALID)
    yield _case("codes", "one long code", "udb", lambda: '{"kode":"' + "1" * 2_000_000 + '"}', INVALID)


def _whole() -> Iterator[Case]:
    for name, body in {
        "nothing": "",
        "white space": " " * (MAX_BODY - 10),
        "a null": "null",
        "a number of 2 MiB": "9" * (MAX_BODY - 10),
        "a byte order mark": "\ufeff{}",
        "a list of lists": "[" * (MAX_BODY // 2),
        "objects of objects": '{"":' * (MAX_BODY // 4 - 10),
        "an object for each line": "{}\n" * (MAX_BODY // 3 - 10),
        "a field's name of 2 MiB": '{"' + "a" * (MAX_BODY - 20) + '":0}',
    }.items():
        for target in ("udb", "cvr"):
            too_long = is_too_long(body)
            yield _case("whole", name, target, lambda body=body: body, TOO_LONG if too_long else INVALID)
    for name, body in (
        ("not UTF-8", b"\xff" * (MAX_BODY - 10)),
        ("cut within a character", b'"' + b"\xc3\xa6" * 900_000 + b"\xc3"),
    ):
        yield Case("json: whole", name, "udb", lambda _, body=body: [head("application/json"), body], {PLAIN: INVALID})
    persons = ",".join(f'{{"civilRegistrationIdentifier":"{at}"}}' for at in range(30_000))
    yield _case("whole", "persons that are none", "udb", lambda: f"[{persons}]", INVALID, quick=True)
    person = '{"civilRegistrationIdentifier":"' + "1" * (MAX_BODY - 50) + '"}'
    yield _case("whole", "a CPR number of 2 MiB", "udb", lambda: person, INVALID)


def _fields() -> Iterator[Case]:
    """One field of a good answer is another thing."""
    good = json.loads(ITEMS["udb"].replace("#", "1"))
    booking = json.loads(TEMPLATES["book"].replace("@", '"A"'))
    for name, field, value in (
        ("a day of the year 0", "dato", "0000-01-01"),
        ("a day of the year 99999", "dato", "99999-01-01"),
        ("a day of a megabyte", "dato", "2020-01-01" * 100_000),
        ("a day as a number", "dato", 1e300),
        ("a name of a megabyte", "speciale", "x" * 1_000_000),
        ("a name of white space", "speciale", " " * 1_000_000),
        ("a kind of a megabyte", "haendelsestype", "x" * 1_000_000),
    ):
        item = json.dumps(good | {field: value})
        body = TEMPLATES["udb"].replace("@", f"[{item}]")
        yield _case("fields", name, "udb", lambda body=body: body, INVALID, quick="megabyte" in name)
    for name, field, value in (
        ("an id of a megabyte", "id", "a" * 1_000_000),
        ("an id of a megabyte that ends wrongly", "id", "a." * 500_000 + "\n"),
        ("a moment of the year 9999", "start", "9999-12-31T23:59:59-23:59"),
        ("a moment of the year 1", "start", "0001-01-01T00:00:00+23:59"),
        ("a moment of a megabyte", "start", "2026-11-24T09:00:00" + "0" * 1_000_000),
        ("a place of white space", "sted", " " * 1_000_000),
    ):
        yield _case("fields", name, "book", lambda v=booking | {field: value}: json.dumps(v), BROKEN["book"])
