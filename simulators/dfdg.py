"""The registers behind DFDG, and what they have in common: SU and the Ydelsesregister."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from simulators.citizens import BY_CPR, CITIZENS, somebody_else
from simulators.dfdg_data import told
from simulators.faults import Fault, Fejl, NotFound
from simulators.protocol import Asked, Protocol, Reply, cpr_number
from simulators.register_data import Citizen, benefit, danish_today, su

IDENTIFIER = "civilRegistrationIdentifier"
UNKNOWN_PERSON = "1010"
BAD_CALL = "1001"
DEPTH = 100_000
DEEP = b"[" * DEPTH + b"]" * DEPTH
"""A list that overflows the stack of a parser that descends by calling itself."""


def encoded(value: object) -> bytes:
    """A value as JSON bytes."""
    return json.dumps(value, ensure_ascii=False).encode()


class DfdgRegister(Protocol):
    """A register that is asked about one person with DFDG's header, and answers with JSON."""

    method = "GET"
    own_faults = frozenset({"fejl", "wrong_person", "mixed_people", "unknown_value", "empty"})

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """The register's data of a citizen; None when it does not know the person."""
        raise NotImplementedError

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The answer of the contract with these items."""
        raise NotImplementedError

    def ordinary(self) -> dict[str, Any]:
        """An item of the contract."""
        raise NotImplementedError

    def strange(self) -> dict[str, Any] | None:
        """The same with a value that the contract does not know; None where the contract has no codes."""
        raise NotImplementedError

    def lacking(self) -> dict[str, Any]:
        """An ordinary item without a field that the contract requires."""
        return {field: value for field, value in self.ordinary().items() if field != "startdato"}

    def another(self, cpr: str) -> str:
        """The number of another citizen, of whom the register holds something."""
        return somebody_else(cpr, self.name).cpr

    def others(self, cpr: str) -> list[dict[str, Any]]:
        """The items of another citizen, for an answer about the wrong person."""
        return self._items(cpr) or []

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The person of the header."""
        del body
        name = f"x-{IDENTIFIER}"
        return Asked(cpr_number(request.headers.get(name), name))

    def answer(self, asked: Asked) -> Reply:
        """Answers with the person's data; with error 1010 when the person is unknown."""
        items = self._items(asked.citizen)
        if items is None:
            return self._fejl(UNKNOWN_PERSON, 404, {})
        return Reply(encoded(self.body(asked.citizen or "", items)), self.content_type)

    def refusal(self, status: int, text: str) -> Reply:
        """DFDG's form of errors."""
        return Reply(encoded({"fejl": [{"kode": BAD_CALL, "tekst": text}]}), self.content_type, status)

    def broken(self, fault: Fault, asked: Asked) -> Reply:
        """With one of DFDG's codes, beside the data if so wished; otherwise as any upstream."""
        match fault:
            case NotFound(kode=str(kode)):
                return self._fejl(kode, 404, {})
            case Fejl():
                data = self.body(asked.citizen or "", self._items(asked.citizen) or []) if fault.with_data else {}
                return self._fejl(fault.kode, fault.status, data)
        return super().broken(fault, asked)

    def variants(self, asked: Asked) -> Mapping[str, bytes]:
        """Bodies that break the contract, each in one way."""
        cpr = asked.citizen or ""
        items = self._items(cpr) or []
        other = self.another(cpr)
        others = self.others(other)
        empty = encoded(self.body(cpr, []))
        lacking = self.lacking()
        named = encoded(self.body(cpr, [{**self.ordinary(), "tekst": "X"}]))
        strange = self.strange()
        return {
            "empty": empty,
            **({} if strange is None else {"unknown_value": encoded(self.body(cpr, [*items, strange]))}),
            "missing_field": encoded(self.body(cpr, [*items, lacking])),
            "wrong_person": encoded(self.body(other, others)),
            "mixed_people": encoded(self.body(cpr, [*items, {**others[0], IDENTIFIER: other}])),
            "invalid_body": encoded(self.body(cpr, items))[:-1] + b",",
            "invalid_encoding": named.replace(b'"X"', b'"\xff\xfe"'),
            "bomb": empty.replace(b"[]", DEEP, 1),
        }

    def _items(self, cpr: str | None) -> list[dict[str, Any]] | None:
        citizen = BY_CPR.get(cpr or "")
        held = self.held(citizen) if citizen else None
        return None if held is None else [dict(item) for item in held]

    def _fejl(self, kode: str, status: int, data: Mapping[str, Any]) -> Reply:
        return Reply(encoded({"fejl": [{"kode": kode, "tekst": "simulated"}], **data}), self.content_type, status)


class DfdgRead(DfdgRegister):
    """One question of a service. `kept` is the list of a citizen's data that answers it, `required` a field of an item
    that the contract requires.
    """

    kept: str
    required: str

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """The items of the list, as they are today; None when the service does not know the person."""
        data: tuple[Mapping[str, Any], ...] | None = getattr(citizen, self.name)
        if data is None:
            return None
        return tuple(told(item, danish_today()) for item in data if item["_in"] == self.kept)

    def strange(self) -> dict[str, Any] | None:
        """None: only some of the questions have a code in their answer."""
        return None

    def lacking(self) -> dict[str, Any]:
        """An ordinary item without a field that the contract requires."""
        return {field: value for field, value in self.ordinary().items() if field != self.required}

    def another(self, cpr: str) -> str:
        """The number of another citizen, of whom this list has something."""
        return next(one.cpr for one in CITIZENS if one.cpr != cpr and self._items(one.cpr))

    def nothing(self) -> dict[str, Any]:
        """The answer about a person of whom there is nothing."""
        return self.body("", [])

    def answer(self, asked: Asked) -> Reply:
        """Answers with the person's data, as any register behind DFDG."""
        if self._items(asked.citizen) == []:
            return Reply(encoded(self.nothing()), self.content_type)
        return super().answer(asked)

    def variants(self, asked: Asked) -> Mapping[str, bytes]:
        """Those of all registers, where a field is missing in every item; and an answer with one damaged item."""
        cpr = asked.citizen or ""
        items, other = self._items(cpr) or [], self.another(cpr)
        theirs = self.others(other)
        mixed = [*items, {**theirs[0], IDENTIFIER: other}]
        return {
            **super().variants(asked),
            "missing_field": encoded(self.body(cpr, [self.lacking()])),
            "damaged": encoded(self.body(cpr, [*items, self.lacking()])),
            "wrong_person": encoded({IDENTIFIER: other, **self.body(other, theirs)}),
            "mixed_people": encoded({IDENTIFIER: cpr, **self.body(cpr, mixed)}),
        }


class DfdgService(DfdgRegister):
    """A service with two questions: `first`, and `second`, which is asked at its own path as an operation."""

    second_operation: str

    def __init__(self, first: DfdgRead, second: DfdgRead) -> None:
        self.path = first.path
        self.also = frozenset({("GET", second.path)})
        self.operations = frozenset({self.second_operation})
        self.own_faults = DfdgRegister.own_faults | {"damaged"}
        if first.strange() is None:
            self.own_faults -= {"unknown_value"}
        self._reads: Mapping[str | None, DfdgRead] = {None: first, self.second_operation: second}

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The person of the header, and which of the questions it is."""
        asked = super().understand(request, body)
        return Asked(asked.citizen, operation=None if request.path == self.path else self.second_operation)

    def answer(self, asked: Asked) -> Reply:
        """The answer to that question."""
        return self.asked_of(asked).answer(asked)

    def broken(self, fault: Fault, asked: Asked) -> Reply:
        """The same under a fault."""
        return self.asked_of(asked).broken(fault, asked)

    def variants(self, asked: Asked) -> Mapping[str, bytes]:
        """Bodies that break that question's contract."""
        return self.asked_of(asked).variants(asked)

    def asked_of(self, asked: Asked) -> DfdgRead:
        """The one of the questions that a call asks."""
        return self._reads[asked.operation]


class Su(DfdgRegister):
    """SU."""

    name = "su"
    path = "/v1/su-forloeb"

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """The registrations."""
        return citizen.su

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The person, and the registrations."""
        return {IDENTIFIER: cpr, "forloeb": items}

    def ordinary(self) -> dict[str, Any]:
        """An ungdomsuddannelse."""
        return su("Aftenskole", "2020-01-01")

    def strange(self) -> dict[str, Any]:
        """A type of education that the contract does not know."""
        return self.ordinary() | {"uddannelsestype": "FRITID"}


class Ydelse(DfdgRegister):
    """The Ydelsesregister: each item repeats the person, and the answer as a whole does not."""

    name = "ydelse"
    path = "/v1/ydelse"

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """The benefits."""
        return citizen.ydelse

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The benefits, each with the person."""
        return {"ydelser": {"ydelse": [{IDENTIFIER: cpr, **item} for item in items]}}

    def ordinary(self) -> dict[str, Any]:
        """A benefit."""
        return benefit("DAGPENGE", "2020-01-01", "2020-12-31")

    def strange(self) -> dict[str, Any]:
        """A type of benefit that the contract does not know."""
        return self.ordinary() | {"ydelsestype": "BORGERLOEN"}

    def variants(self, asked: Asked) -> Mapping[str, bytes]:
        """With a field missing from every item, since one odd item refuses no other."""
        lacking = {field: value for field, value in self.ordinary().items() if field != "startdato"}
        return {**super().variants(asked), "missing_field": encoded(self.body(asked.citizen or "", [lacking]))}
