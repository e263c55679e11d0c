"""The CVR register's search, as far as names of companies go."""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web

from simulators.citizens import COMPANIES
from simulators.dfdg import DEEP, encoded
from simulators.protocol import Asked, Breach, Protocol, Reply

CREDENTIALS = "Basic " + b64encode(b"registerbro:registerbro").decode()
FIELD = "Vrvirksomhed.cvrNummer"
DEFAULT_SIZE = 10
"""How many hits Elasticsearch gives when the query names no `size`."""


@dataclass(frozen=True, slots=True)
class Search:
    """One question: company numbers, and how many hits are wanted."""

    numbers: tuple[str, ...]
    size: int


class Cvr(Protocol):
    """An Elasticsearch `terms` query on company numbers; a number that is not known has no hit."""

    name = "cvr"
    method = "POST"
    path = "/cvr-permanent/virksomhed/_search"
    own_faults = frozenset({"empty"})
    is_about_citizens = False

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The numbers that are asked for."""
        if request.headers.get("Authorization") != CREDENTIALS:
            raise Breach("wrong user or password", 401)
        try:
            question = json.loads(body)
            numbers = tuple(f"{int(number):08}" for number in question["query"]["terms"][FIELD])
            return Asked(None, Search(numbers, int(question.get("size", DEFAULT_SIZE))))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Breach(f"no terms query on {FIELD}") from None

    def answer(self, asked: Asked) -> Reply:
        """The names of those that are known."""
        if not isinstance(asked.question, Search):
            raise TypeError("not a question to CVR")
        known = [number for number in asked.question.numbers if number in COMPANIES]
        return Reply(self._hits(known[: asked.question.size]), self.content_type)

    def refusal(self, status: int, text: str) -> Reply:
        """Elasticsearch's form of errors."""
        return Reply(
            encoded({"error": {"type": "simulated", "reason": text}, "status": status}), self.content_type, status
        )

    def variants(self, asked: Asked) -> Mapping[str, bytes]:
        """Bodies that break the contract, each in one way."""
        whole = self.answer(asked).body
        return {
            "empty": self._hits([]),
            "missing_field": encoded({"took": 1, "timed_out": False}),
            "invalid_body": whole[:-1] + b",",
            "invalid_encoding": whole.replace(b"took", b"t\xff\xfe"),
            "bomb": self._hits([]).replace(b"[]", DEEP),
        }

    def _hits(self, numbers: Iterable[str]) -> bytes:
        hits = [
            {
                "_source": {
                    "Vrvirksomhed": {
                        "cvrNummer": int(number),
                        "virksomhedMetadata": {"nyesteNavn": {"navn": COMPANIES[number]}},
                    }
                }
            }
            for number in numbers
        ]
        return encoded({"took": 1, "timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": hits}})
