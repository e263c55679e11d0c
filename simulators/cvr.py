"""The CVR register's search, as far as names of companies go: a part of Elasticsearch and of Vrvirksomhed."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

from simulators.companies import COMPANIES, SOLE_PROPRIETORSHIP, STOCK_COMPANY, Company
from simulators.dfdg import DEEP, encoded
from simulators.faults import Fault, Partial
from simulators.protocol import Asked, Breach, Protocol, Reply

CREDENTIALS = "Basic " + b64encode(b"registerbro:registerbro").decode()
FIELD = "Vrvirksomhed.cvrNummer"
DEFAULT_SIZE = 10
"""How many hits Elasticsearch gives when the query names no `size`."""
LARGEST_SIZE = 10_000
"""Elasticsearch's own limit."""
SHARDS = 6
FORMS = {
    SOLE_PROPRIETORSHIP: ("ENK", "Enkeltmandsvirksomhed"),
    STOCK_COMPANY: ("A/S", "Aktieselskab"),
    80: ("APS", "Anpartsselskab"),
}
"""virksomhedsformkode → kortBeskrivelse and langBeskrivelse."""
UPDATED = "2020-01-01T00:00:00.000+01:00"

_NOTHING: Any = object()
"""Stands for a field that is left out, which is not the same as null."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Search:
    """One question: company numbers, how many hits are wanted, and which fields of them."""

    numbers: tuple[str, ...]
    size: int
    source: object = True


class Cvr(Protocol):
    """An Elasticsearch `terms` query on company numbers; a number that is not known has no hit.

    Hits come as they stand in the index and not as they are asked for, and a number may have more than one.
    """

    name = "cvr"
    method = "POST"
    path = "/cvr-permanent/virksomhed/_search"
    own_faults = frozenset({"empty", "partial"})
    is_about_citizens = False

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The numbers that are asked for."""
        if request.headers.get("Authorization") != CREDENTIALS:
            raise Breach("wrong user or password", 401)
        try:
            question = json.loads(body)
            numbers = tuple(f"{int(number):08}" for number in question["query"]["terms"][FIELD])
            search = Search(numbers, int(question.get("size", DEFAULT_SIZE)), question.get("_source", True))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Breach(f"no terms query on {FIELD}") from None
        if not 0 <= search.size <= LARGEST_SIZE:
            raise Breach("size is more than the index gives at once")
        return Asked(None, search)

    def answer(self, asked: Asked) -> Reply:
        """The documents of the numbers that are known."""
        return Reply(encoded(self._found(asked)), self.content_type)

    def refusal(self, status: int, text: str) -> Reply:
        """Elasticsearch's form of errors."""
        return Reply(
            encoded({"error": {"type": "simulated", "reason": text}, "status": status}), self.content_type, status
        )

    def broken(self, fault: Fault, asked: Asked) -> Reply:
        """With half of the hits where not everything was searched, and otherwise as any upstream."""
        if isinstance(fault, Partial):
            answer = self._found(asked)
            hits = answer["hits"]["hits"]
            del hits[len(hits) // 2 :]
            if fault.how == "timed_out":
                answer["timed_out"] = True
            else:
                answer["_shards"].update(successful=SHARDS - 1, failed=1)
            return Reply(encoded(answer), self.content_type)
        return super().broken(fault, asked)

    def variants(self, asked: Asked) -> Mapping[str, bytes]:
        """Bodies that break the contract, each in one way."""
        whole = self.answer(asked).body
        empty = encoded(_envelope([], 0))
        return {
            "empty": empty,
            "missing_field": encoded({"took": 1, "timed_out": False}),
            "invalid_body": whole[:-1] + b",",
            "invalid_encoding": whole.replace(b"took", b"t\xff\xfe"),
            "bomb": empty.replace(b"[]", DEEP),
        }

    def _found(self, asked: Asked) -> Document:
        search = asked.question
        if not isinstance(search, Search):
            raise TypeError("not a question to CVR")
        hits = [document for number in COMPANIES if number in search.numbers for document in documents(number)]
        return _envelope([_hit(document, search.source) for document in hits[: search.size]], len(hits))


def documents(number: str) -> Iterator[Document]:
    """What the index has of a number: the right document first, if there is one, and then what is a mistake."""
    company = COMPANIES[number]
    if company.name is not None:
        yield _document(number, company, company.name, is_mistake=False)
    if company.mistake is not None:
        yield _document(number, company, company.mistake, is_mistake=True)


def _document(number: str, company: Company, name: str, *, is_mistake: bool) -> Document:
    def named(name: str, first: str, last: str | None) -> Document:
        return {"navn": name, "periode": {"gyldigFra": first, "gyldigTil": last}, "sidstOpdateret": UPDATED}

    short, long = FORMS[company.form]
    newest = named(name, "2010-01-01", None)
    form = {"virksomhedsformkode": company.form, "kortBeskrivelse": short, "langBeskrivelse": long}
    return {
        "cvrNummer": int(number),
        "enhedsNummer": 4_000_000_000 + int(number) * 10 + is_mistake,
        "enhedstype": "VIRKSOMHED",
        "reklamebeskyttet": company.form == SOLE_PROPRIETORSHIP,
        "fejlRegistreret": is_mistake,
        "sidstOpdateret": UPDATED,
        "navne": [named(f"{name} (før)", "2000-01-01", "2009-12-31"), newest],
        "virksomhedMetadata": {
            "nyesteNavn": newest,
            "nyesteVirksomhedsform": {
                **form, "periode": {"gyldigFra": "2000-01-01", "gyldigTil": None}, "sidstOpdateret": UPDATED,
            },
            "sammensatStatus": company.status,
        },
    }  # fmt: skip


def _hit(document: Document, source: object) -> Document:
    hit = {"_index": "cvr-v-20200115", "_type": "_doc", "_id": str(document["enhedsNummer"]), "_score": 1.0}
    if source is False:
        return hit
    return {**hit, "_source": _filtered({"Vrvirksomhed": document}, _chosen(source), "")}


def _envelope(hits: list[Document], total: int) -> Document:
    return {
        "took": 1,
        "timed_out": False,
        "_shards": {"total": SHARDS, "successful": SHARDS, "skipped": 0, "failed": 0},
        "hits": {"total": total, "max_score": 1.0 if hits else None, "hits": hits},
    }


def _chosen(source: object) -> Callable[[str], bool]:
    """Elasticsearch's `_source`: true, a pattern, a list of them, or `includes` and `excludes`; of a field's path."""
    if source is True:
        return lambda _: True
    if isinstance(source, Mapping):
        includes, excludes = _patterns(source.get("includes", "*")), _patterns(source.get("excludes", []))
        return lambda path: _matches(path, includes) and not _matches(path, excludes)
    patterns = _patterns(source)
    return lambda path: _matches(path, patterns)


def _patterns(given: object) -> list[str]:
    return [str(one) for one in given] if isinstance(given, list) else [str(given)]


def _matches(path: str, patterns: list[str]) -> bool:
    """Whether a pattern is the path of the field, or of something that it stands in."""
    return any(fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}.*") for pattern in patterns)


def _filtered(value: Any, wanted: Callable[[str], bool], path: str) -> Any:  # noqa: ANN401 - JSON values
    """What of a value is wanted; _NOTHING when none of it is, but for the whole document, which may be empty."""
    if isinstance(value, dict):
        parts = {name: _filtered(part, wanted, f"{path}.{name}".strip(".")) for name, part in value.items()}
        kept = {name: part for name, part in parts.items() if part is not _NOTHING}
        return kept if kept or not path else _NOTHING
    if isinstance(value, list):
        return [part for one in value if (part := _filtered(one, wanted, path)) is not _NOTHING] or _NOTHING
    return value if wanted(path) else _NOTHING
