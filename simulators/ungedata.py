"""UngedataService: a citizen is subscribed at Ungedatabasen, and the events about them come some time later.

It answers asynchronously, as the real one does: until `events_after` seconds after the subscription, and without one,
the list of events is empty. A request id that was seen before is refused with 412. Some citizens cannot be subscribed.
"""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from simulators.citizens import BY_CPR
from simulators.dfdg import IDENTIFIER, UNKNOWN_PERSON, DfdgRegister, encoded
from simulators.protocol import Asked, Breach, Reply
from simulators.register_data import Citizen, admission

SUBSCRIPTIONS = "/v1/UDBabonnement"
SUBSCRIBE, CANCEL = "subscribe", "cancel"
SEEN_IDS = 100_000
"""How many request ids are remembered: the real one remembers those of seven days."""


class Ungedata(DfdgRegister):
    """Ungedatabasen. `events_after` is how many seconds after a subscription its events are there."""

    name = "udb"
    path = "/v1/UDBhaendelser"
    also = frozenset({("POST", SUBSCRIPTIONS), ("DELETE", SUBSCRIPTIONS)})
    own_faults = DfdgRegister.own_faults | {"damaged"}
    operations = frozenset({SUBSCRIBE, CANCEL})

    def __init__(self, events_after: float = 0.0) -> None:
        self._events_after = self.events_after = events_after
        self._since: dict[str, float] = {}
        self._seen: deque[str] = deque(maxlen=SEEN_IDS)
        self._seen_set: set[str] = set()

    def subscribed(self) -> dict[str, float]:
        """The subscribed citizens, and since how many seconds."""
        return {cpr: time.monotonic() - since for cpr, since in self._since.items()}

    def unsubscribe_all(self) -> None:
        """Ends all subscriptions, and sets the time back after which events come."""
        self._since.clear()
        self.events_after = self._events_after

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """The events that have come."""
        if citizen.udb is None:
            return None
        since = self._since.get(citizen.cpr)
        return citizen.udb if since is not None and time.monotonic() - since >= self.events_after else ()

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The person, and the events."""
        return {IDENTIFIER: cpr, "haendelser": items}

    def ordinary(self) -> dict[str, Any]:
        """An ordinary event."""
        return admission("Mesterlære", "2020-01-01")

    def strange(self) -> dict[str, Any]:
        """A kind of event that the contract does not know."""
        return self.ordinary() | {"haendelsestype": "PAUSE"}

    def lacking(self) -> dict[str, Any]:
        """An event without its kind."""
        return {field: value for field, value in self.ordinary().items() if field != "haendelsestype"}

    def variants(self, asked: Asked) -> Mapping[str, bytes]:
        """Those of all registers, where a field is missing in every event; and an answer with one damaged event."""
        cpr = asked.citizen or ""
        items = self._items(cpr) or []
        return {
            **super().variants(asked),
            "missing_field": encoded(self.body(cpr, [self.lacking()])),
            "damaged": encoded(self.body(cpr, [*items, self.lacking()])),
        }

    def others(self, cpr: str) -> list[dict[str, Any]]:
        """All events of a citizen, whether they are subscribed or not."""
        return [dict(event) for event in BY_CPR[cpr].udb or ()]

    def writes(self, request: web.Request) -> bool:
        """Whether it subscribes or cancels."""
        return request.path == SUBSCRIPTIONS

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The person of the header, and what is done. Raises Breach, with 412 for a request id that was seen."""
        asked = super().understand(request, body)
        if not self.writes(request):
            return asked
        operation = SUBSCRIBE if request.method == "POST" else CANCEL
        if operation == SUBSCRIBE and request.content_type != "application/json":
            raise Breach("a subscription is not application/json")
        request_id = request.headers["x-requestId"]
        if request_id in self._seen_set:
            raise Breach("x-requestId was used before", 412)
        if len(self._seen) == SEEN_IDS:
            self._seen_set.discard(self._seen[0])
        self._seen.append(request_id)
        self._seen_set.add(request_id)
        return Asked(asked.citizen, operation=operation)

    def answer(self, asked: Asked) -> Reply:
        """The events; or subscribes or cancels, with an empty receipt, or one of the codes of a refusal."""
        citizen = BY_CPR.get(asked.citizen or "")
        match asked.operation:
            case None:
                return super().answer(asked)
            case _ if citizen is None or citizen.udb is None:
                return self._fejl(UNKNOWN_PERSON, 404, {})
            case "cancel":
                self._since.pop(citizen.cpr, None)
            case _ if citizen.udb_refusal is not None:
                return self._fejl(citizen.udb_refusal, 400, {})
            case _:
                self._since.setdefault(citizen.cpr, time.monotonic())
        return Reply(b"", self.content_type)

    def refusal(self, status: int, text: str) -> Reply:
        """A repeated request id is refused by the status alone."""
        if status == 412:
            return Reply(b"", self.content_type, status)
        return super().refusal(status, text)
