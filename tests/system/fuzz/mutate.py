"""Changes an HTTP answer so that it stays well-formed for longer than with changed bytes: by header and by node.

What libFuzzer does with bytes alone, never gets past the parser of JSON or XML, whose insides it cannot see.
"""

import gzip
import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lxml import etree

from simulators import citizens
from tests.system.fuzz.messages import Message

OTHER, OWN = citizens.CITIZENS[1].cpr, citizens.EXAMPLE.cpr
TEXTS = (
    "", " ", "x" * 301, "x" * 70_000, "\x00", "\ud800", "\U0001f600", "é", "00", "T", "I", "77", "300", "410", "1010",
    "1100", "0000-01-01", "0001-01-01", "9999-12-31", "2023-02-29", "2024-02-29", "2020-W01-1", "20200101",
    "2020-01-01+14:00", "2020-01-01Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "2026-03-29T02:30:00+01:00", "2026-10-25T02:30:00+02:00", OWN, OWN[:6] + "-" + OWN[6:], OTHER,
    OTHER[:6] + "-" + OTHER[6:], "0000000000", "٠١٢٣٤٥٦٧٨٩", "12345678", "soap:Client", "Server.Busy",
)  # fmt: skip
"""What a text may become: the edges of what the wire models take, and what they must not take for it."""
TOKENS = ("NaN", "Infinity", "-Infinity", "1e999", "-0", "1E400", "0.1", "9" * 4299, "9" * 5001, "true", "null", "7")
HEADERS = (
    (b"Content-Type", b"application/json"), (b"Content-Type", b"text/xml; charset=utf-8"),
    (b"Content-Type", b"application/json; charset=utf-16"), (b"Content-Type", b"text/xml; charset*=utf-8''utf-8"),
    (b"Content-Type", b"application/json; charset*0=ut; charset*1=f-8"), (b"Content-Type", b"; ; =;\xff"),
    (b"Content-Type", b"application/json; charset*" + b"1" * 4400 + b"=x"), (b"Content-Encoding", b"gzip"),
    (b"Content-Encoding", b"deflate"), (b"Content-Encoding", b"br"), (b"Content-Encoding", b"GZIP , identity"),
    (b"Retry-After", b"30"), (b"Retry-After", b"-1"), (b"Retry-After", b"Fri, 31 Dec 9999 23:59:59 -2400"),
    (b"Retry-After", b"Mon, 01 Jan 0001 00:00:00 +2359"), (b"Retry-After", b"1 Jan " + b"9" * 30 + b" 00:00:00"),
    (b"Retry-After", b"1 Jan 2000 00:00:00 +" + b"9" * 40), (b"Location", b"http://[::1"), (b"Location", b"//x:99999/"),
    (b"Location", b"https:/"), (b"Location", b"x" * 70_000), (b"Set-Cookie", b"a=b; Max-Age=" + b"9" * 400),
    (b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"5"), (b"Content-Length", b"99999999999999999999"),
    (b"Link", b"<;>;;="), (b"X", b"\x80\xff"),
)  # fmt: skip
STATUSES = (200, 201, 204, 206, 301, 304, 400, 401, 404, 409, 422, 429, 500, 503, 599, 999, 100)
DOCTYPES = (
    b'<!DOCTYPE a [<!ENTITY b "ccccccccccccccccc"><!ENTITY d "&b;&b;&b;&b;">]>',
    b'<!DOCTYPE a SYSTEM "file:///etc/passwd">',
    b"<!doctype a>",
    b"<!-- <!DOCTYPE a> -->",
    b'<?xml-stylesheet href="file:///etc/passwd"?>',
)


@dataclass(frozen=True)
class Token:
    """A number or a constant of JSON, as it is written."""

    text: str


class Fields(list):
    """An object of JSON as its fields in order, so that a name may be there twice."""


def mutated(data: bytes, rng: random.Random, bytes_mutated: Callable[[bytes], bytes]) -> bytes:
    """Another message, somewhat like this one. `bytes_mutated` is libFuzzer's own way."""
    if rng.random() < 0.25:
        return bytes_mutated(data)
    message = Message.parse(data)
    if rng.random() < 0.2:
        message = _with_another_head(message, rng)
    if rng.random() < 0.9:
        message = replace(message, body=_body(message, rng, bytes_mutated))
    return message.raw()


def _with_another_head(message: Message, rng: random.Random) -> Message:
    headers = list(message.headers)
    at = rng.randrange(len(headers) + 1)
    choice = rng.randrange(4)
    if choice == 0:
        return replace(message, status=rng.choice(STATUSES))
    if choice == 1:
        headers[at : at + 1] = []
    elif choice == 2:
        headers[at : at + 1] = [rng.choice(HEADERS)]
    else:
        headers.insert(at, rng.choice(HEADERS))
    return replace(message, headers=tuple(headers))


def _body(message: Message, rng: random.Random, bytes_mutated: Callable[[bytes], bytes]) -> bytes:
    compressed = (b"content-encoding", b"gzip") in {(name.lower(), value) for name, value in message.headers}
    body = message.body
    if compressed:
        try:
            body = zlib.decompressobj(wbits=31).decompress(body, 1 << 20)
        except zlib.error:
            return bytes_mutated(message.body)
    for change in (_json, _xml):
        changed = change(body, rng)
        if changed is not None:
            return gzip.compress(changed, 1, mtime=0) if compressed else changed
    return bytes_mutated(message.body)


def _json(body: bytes, rng: random.Random) -> bytes | None:
    try:
        tree = json.loads(body, object_pairs_hook=Fields, parse_int=Token, parse_float=Token, parse_constant=Token)
    except (ValueError, RecursionError):
        return None
    root = [tree]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change_a_node(root, rng)
    try:
        return _Writer(ascii_only=rng.random() < 0.5).text(root[0]).encode("utf-8", "surrogatepass")
    except RecursionError:
        return None


def _change_a_node(root: list[Any], rng: random.Random) -> None:
    places = _places(root)
    holder, at = rng.choice(places)
    choice = rng.randrange(9)
    if choice <= 2:
        _put(holder, at, rng.choice(TEXTS) if rng.random() < 0.7 else Token(rng.choice(TOKENS)))
    elif choice == 3 and holder is not root:
        del holder[at]
    elif choice == 4 and holder is not root:
        holder[at:at] = [holder[at]] * rng.choice((1, 1, 2, 30))
    elif choice == 5:
        other, place = rng.choice(places)
        _put(holder, at, _get(other, place))
    elif choice == 6 and isinstance(holder, Fields):
        name, value = holder[at]
        holder[at] = (rng.choice((name.upper(), name + "\x00", "", "fejl", "civilRegistrationIdentifier")), value)
    elif choice == 7:
        _put(holder, at, rng.choice((Fields(), [], [_get(holder, at)], Fields([("x", _get(holder, at))]))))
    else:
        nested: Any = []
        for _ in range(rng.choice((50, 200, 300))):
            nested = [nested]
        _put(holder, at, nested)


def _places(root: list[Any]) -> list[tuple[list[Any], int]]:
    found, waiting = [], [root]
    while waiting and len(found) < 5000:
        holder = waiting.pop()
        for at in range(len(holder)):
            found.append((holder, at))
            value = _get(holder, at)
            if isinstance(value, list):
                waiting.append(value)
    return found


def _get(holder: list[Any], at: int) -> Any:
    return holder[at][1] if isinstance(holder, Fields) else holder[at]


def _put(holder: list[Any], at: int, value: Any) -> None:
    holder[at] = (holder[at][0], value) if isinstance(holder, Fields) else value


class _Writer:
    """Writes a tree as JSON, and no more than so many nodes of it: one may have been put below itself."""

    def __init__(self, *, ascii_only: bool) -> None:
        self._ascii_only = ascii_only
        self._left = 20_000

    def text(self, value: Any) -> str:
        self._left -= 1
        if self._left < 0:
            return "0"
        if isinstance(value, Fields):
            return "{" + ",".join(f"{self._string(name)}:{self.text(one)}" for name, one in value) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(self.text, value)) + "]"
        if isinstance(value, Token):
            return value.text
        return self._string(value)

    def _string(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=self._ascii_only)


def _xml(body: bytes, rng: random.Random) -> bytes | None:
    try:
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    except (etree.XMLSyntaxError, ValueError):
        return None
    try:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            _change_an_element(root, rng)
    except etree.XMLSyntaxError:
        # What is nested too deeply can be written, and not copied.
        return None
    written = etree.tostring(root, encoding="utf-8", xml_declaration=rng.random() < 0.5)
    if rng.random() < 0.03:
        written = rng.choice(DOCTYPES) + written
    if rng.random() < 0.03:
        written = written.decode().encode(rng.choice(("utf-16", "utf-16-le", "utf-8-sig", "utf-7")))
    return written


def _change_an_element(root: Any, rng: random.Random) -> None:
    elements = list(root.iter(etree.Element))
    one, other = rng.choice(elements), rng.choice(elements)
    parent = one.getparent()
    choice = rng.randrange(9)
    if choice <= 2:
        leaves = [element for element in elements if not len(element)] or elements
        rng.choice(leaves).text = _for_xml(rng.choice(TEXTS))
    elif choice == 3 and parent is not None:
        parent.remove(one)
    elif choice == 4 and parent is not None and len(elements) < 3000:
        for _ in range(rng.choice((1, 1, 2, 30))):
            parent.insert(parent.index(one), _copy(one))
    elif choice == 5:
        one.append(_copy(other))
    elif choice == 6:
        one.tag = other.tag
    elif choice == 7:
        attributes = [(element, name) for element in elements for name in element.attrib]
        if attributes and rng.random() < 0.7:
            element, name = rng.choice(attributes)
            element.set(name, rng.choice((*map(_for_xml, TEXTS[:10]), element.get(name) + "x", other.get(name, ""))))
        else:
            one.set(rng.choice(("Id", "{http://www.w3.org/XML/1998/namespace}id")), "an-id")
    else:
        deepest = one
        for _ in range(rng.choice((3, 100, 300))):
            deepest = etree.SubElement(deepest, other.tag)


def _copy(element: Any) -> Any:
    return etree.fromstring(etree.tostring(element, with_tail=False))


def _for_xml(text: str) -> str:
    return "".join(character for character in text if character >= " " and not "\ud800" <= character <= "\udfff")
