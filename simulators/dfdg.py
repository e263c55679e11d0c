"""The registers behind DFDG: Ungedatabasen, SU and the Ydelsesregister; and DFDG's own calendar and history."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from simulators.citizens import (
    BY_CPR,
    LISTS,
    Citizen,
    InDays,
    benefit,
    danish_today,
    education,
    entry,
    somebody_else,
    su,
)
from simulators.faults import Fault, Fejl, NotFound
from simulators.protocol import Asked, Protocol, Reply, cpr_number

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
        """What the register holds of a citizen; None when it does not know the person."""
        raise NotImplementedError

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The answer of the contract with these items."""
        raise NotImplementedError

    def ordinary(self) -> dict[str, Any]:
        """An item of the contract."""
        raise NotImplementedError

    def strange(self) -> dict[str, Any]:
        """The same with a value that the contract does not know."""
        raise NotImplementedError

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The person of the header."""
        del body
        name = f"x-{IDENTIFIER}"
        return Asked(cpr_number(request.headers.get(name), name))

    def answer(self, asked: Asked) -> Reply:
        """What is held of the person; error 1010 when the person is not known."""
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
        other = somebody_else(cpr, self.name).cpr
        others = self._items(other) or []
        empty = encoded(self.body(cpr, []))
        lacking = {field: value for field, value in self.ordinary().items() if field != "startdato"}
        named = encoded(self.body(cpr, [{**self.ordinary(), "tekst": "X"}]))
        return {
            "empty": empty,
            "unknown_value": encoded(self.body(cpr, [*items, self.strange()])),
            "missing_field": encoded(self.body(cpr, [*items, lacking])),
            "wrong_person": encoded(self.body(other, others)),
            "mixed_people": encoded(self.body(cpr, [*items, {**others[0], IDENTIFIER: other}])),
            "invalid_body": encoded(self.body(cpr, items))[:-1] + b",",
            "invalid_encoding": named.replace(b'"X"', b'"\xff\xfe"'),
            "bomb": empty.replace(b"[]", DEEP),
        }

    def _items(self, cpr: str | None) -> list[dict[str, Any]] | None:
        citizen = BY_CPR.get(cpr or "")
        held = self.held(citizen) if citizen else None
        return None if held is None else [dict(item) for item in held]

    def _fejl(self, kode: str, status: int, data: Mapping[str, Any]) -> Reply:
        return Reply(encoded({"fejl": [{"kode": kode, "tekst": "simulated"}], **data}), self.content_type, status)


class Udb(DfdgRegister):
    """Ungedatabasen."""

    name = "udb"
    path = "/v1/ungedata"

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """The educations."""
        return citizen.udb

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The person, and the educations."""
        return {IDENTIFIER: cpr, "uddannelsesforloeb": items}

    def ordinary(self) -> dict[str, Any]:
        """An ordinary education."""
        return education("Mesterlære", "IGANGVAERENDE", "2020-01-01")

    def strange(self) -> dict[str, Any]:
        """A status that the contract does not know."""
        return self.ordinary() | {"status": "PAUSERET"}


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
    path = "/VisiteringOgStatus/v1/ydelser"

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


class Dfdg(DfdgRegister):
    """DFDG itself. `meetings` are those booked at the vendor, by deadline: it has heard of them at once."""

    name = "dfdg"
    path = "/v1/borger"

    def __init__(self, meetings: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._meetings = {} if meetings is None else meetings

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """Contact groups, calendar, deadlines and job titles, as they are today."""
        if citizen.dfdg is None:
            return None
        today = danish_today()
        items = [
            {name: value.on(today).isoformat() if isinstance(value, InDays) else value for name, value in item.items()}
            for item in citizen.dfdg
        ]
        booked = [item for item in items if item["_in"] == "bookingfrister" and item["id"] in self._meetings]
        for item in booked:
            day = self._meetings[item["id"]]["start"][:10]
            items.append(entry("MOEDE", item["moedetype"], day, key=f"booket-{item['id']}"))
            item["booket"] = True
        return tuple(items)

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The person, and the lists."""
        lists: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}
        for item in items:
            lists[item["_in"]].append({name: value for name, value in item.items() if name != "_in"})
        return {IDENTIFIER: cpr, **lists}

    def ordinary(self) -> dict[str, Any]:
        """An entry of the calendar."""
        return entry("JOBLOG", "Søgt job", "2020-01-01", key="x")

    def strange(self) -> dict[str, Any]:
        """A kind of entry that the contract does not know."""
        return self.ordinary() | {"type": "FEST"}
