"""Recording of an exchange, with constructed values alone: a contract test that needs neither register nor agreement.

A recording is written only when the scanner finds nothing of the exchange in it, and when the adapter reads it as it
read the answer. Certificates, signatures, tokens and further headers are left out.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeVar

from lxml import etree

from config.settings import Settings
from domain.cpr import Cpr
from registerbro.conformance.calls import Exchanged, result_of
from registerbro.conformance.constructed import Constructed, json_value, replace_in_element
from registerbro.conformance.expectations import Asked, Expected, Operation, Result
from registerbro.conformance.scanner import Found, Personal, names_of, scan, values_of
from registerbro.upstreams.errors import UpstreamError
from registerbro.upstreams.messages import Answer
from registerbro.upstreams.pipeline import Exchange, Upstream
from registerbro.upstreams.wire_types import GUID_PATTERN

_GUID: Final = re.compile(GUID_PATTERN)
"""An id in a path, which is somebody's."""
FORMAT: Final = 1
ATTEMPTS: Final = 20
"""How often values are constructed anew: by chance, a short one may be another of the exchange."""
HEADERS: Final = frozenset({"accept", "content-type", "soapaction"})
"""Headers of a question that a recording keeps; any other may hold a secret, or a person."""

_SOAP_HEADER: Final = "{http://schemas.xmlsoap.org/soap/envelope/}Header"
_REQUEST_ID: Final = "abcdefab-cdef-abcd-efab-cdefabcdefab"

T = TypeVar("T")


class NotRecorded(Exception):
    """No recording was written. The message says why, and holds nothing of the exchange."""


class NotAnonymous(NotRecorded):
    """The recording would hold something of the exchange."""

    def __init__(self, found: list[Found]) -> None:
        super().__init__("; ".join(map(str, found[:5])))
        self.found = found


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded exchange, as it is read from its file."""

    upstream: str
    operation: str
    cpr: Cpr
    company: str
    result: Result
    """What the adapter had made of the answer, and so must make of the recording."""
    answer: Answer

    @classmethod
    def read(cls, text: str) -> "Recording":
        """Reads a file's text. Raises ValueError when it is none of this format."""
        document: Mapping[str, Any] = json.loads(text)
        if document.get("format") != FORMAT:
            raise ValueError(f"a recording has format {FORMAT}")
        answer = document["answer"]
        return cls(
            document["upstream"],
            document["operation"],
            Cpr.parse(document["cpr"]),
            document["company"],
            Result(document["result"]),
            Answer(answer["status"], answer["content_type"], answer["charset"], answer["body"].encode()),
        )


class Replay(Upstream):
    """Upstream that gives a recorded answer to whatever is asked."""

    def __init__(self, answer: Answer) -> None:
        self.path = ""
        self._answer = answer

    async def ask(self, exchange: Exchange[T]) -> T:
        """Makes the question, and reads the answer."""
        exchange.question(_REQUEST_ID)
        return exchange.read(self._answer)


async def replay(recording: Recording, operation: Operation, settings: Settings, today: date) -> object:
    """Has the adapter read a recording. Returns and raises what the operation's call does."""
    asked = Asked(Replay(recording.answer), settings, recording.cpr, "replay", today, recording.company)
    return await operation.call(asked)


async def record(upstream: str, operation: Operation, exchanged: Exchanged, asked: Asked, result: Result) -> str:
    """The text of the exchange's recording. Raises NotRecorded. `result` is what the adapter has made of the answer."""
    question = exchanged.seen.question.body
    personal = Personal.of(
        _values(exchanged, asked),
        asked.cpr,
        operation.answers(exchanged.seen.status or 0),
        names_of(_without_header(question)) if question else (),
    )
    why: NotRecorded = NotRecorded("")
    for _ in range(ATTEMPTS):
        made = Constructed(asked.cpr, words=personal.words)
        text = _recorded(upstream, operation, exchanged, asked, made, result=result)
        if found := scan(text, personal):
            why = NotAnonymous(found)
            continue
        if result is Result.NOTHING:
            return text
        try:
            again = result_of(await replay(Recording.read(text), operation, asked.settings, asked.today))
        except UpstreamError as error:
            why = NotRecorded(f"the adapter does not read it as it read the answer: {error}")
            continue
        if again is result:
            return text
        why = NotRecorded(f"the adapter reads {again} of it, and read {result}")
    raise why


def write(folder: Path, upstream: str, operation: str, text: str) -> Path:
    """Writes a recording in place of one of the same operation, whole or not at all. Raises OSError."""
    path = folder / f"{upstream}-{operation}.json"
    unfinished = path.with_suffix(".part")
    unfinished.write_text(text, "utf-8")
    unfinished.replace(path)
    return path


def _values(exchanged: Exchanged, asked: Asked) -> list[str]:
    """Everything that was sent and received, but for names and for the headers that a recording keeps."""
    question, answer = exchanged.seen.question, exchanged.seen.answer
    values = [value for name, value in question.headers.items() if name.lower() not in HEADERS]
    for body in (question.body, answer.body if answer else None):
        values += values_of(_without_header(body)) if body else ()
    return [*values, *_GUID.findall(question.path), asked.company]


def _recorded(
    upstream: str, operation: Operation, exchanged: Exchanged, asked: Asked, made: Constructed, *, result: Result
) -> str:
    question, answer = exchanged.seen.question, exchanged.seen.answer
    if answer is None:
        raise NotRecorded("there is no answer")
    document = {
        "format": FORMAT,
        "upstream": upstream,
        "operation": operation.name,
        "cpr": made.cpr.digits,
        "company": made.text(asked.company),
        "result": result,
        "question": {
            "method": question.method,
            "path": _GUID.sub(lambda found: made.text(found[0]), question.path),
            "headers": {name: value for name, value in question.headers.items() if name.lower() in HEADERS},
            "body": _body(question.body, made, None, operation) if question.body else None,
        },
        "answer": {
            "status": answer.status,
            "content_type": answer.content_type,
            "charset": answer.charset,
            "body": _body(answer.body, made, operation.answers(answer.status), operation),
        },
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _body(body: bytes, made: Constructed, expected: Expected | None, operation: Operation) -> str:
    if not body.strip():
        return ""
    if body.lstrip().startswith(b"<"):
        root = _parsed(_without_header(body))
        is_code = {element: operation.is_code(element) for element in root.iter(etree.Element)}
        replace_in_element(made, root, expected, is_code)
        return etree.tostring(root, encoding="unicode")
    return json.dumps(json_value(made, json.loads(body), expected), ensure_ascii=False)


def _without_header(body: bytes) -> bytes:
    """An envelope without its SOAP header, which holds certificates and signatures; any other body as it is."""
    if not body.lstrip().startswith(b"<"):
        return body
    root = _parsed(body)
    for header in root.findall(_SOAP_HEADER):
        root.remove(header)
    return etree.tostring(root)


def _parsed(body: bytes) -> etree._Element:
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    return etree.fromstring(body, parser)
