"""Client of the simulators' control endpoint: sets faults, mends them, and reads the received calls."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import httpx
from pydantic import BaseModel, ConfigDict

from simulators.faults import FAULTS, Fault


class Call(BaseModel):
    """One call as an upstream received it; `status` is None where no answer was given."""

    model_config = ConfigDict(frozen=True)

    at: float
    request_id: str | None
    citizen: str | None
    traceparent: str | None
    status: int | None
    broke_contract: str | None
    operation: str | None = None


class Calls(BaseModel):
    """Received calls of an upstream; `calls` holds the newest, oldest first, and `writes` those that ask nothing."""

    model_config = ConfigDict(frozen=True)

    total: int
    by_citizen: dict[str, int]
    calls: list[Call]
    writes: list[Call]

    @property
    def request_ids(self) -> list[str | None]:
        """The calls' request ids, oldest first."""
        return [call.request_id for call in self.calls]


class Control:
    """Speaks to running simulators. `urls` are their addresses, with that of the control endpoint as `control`."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._http = httpx.Client(base_url=f"{urls['control']}/__sim__/", trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()

    def fault(self, upstream: str, *faults: Fault | Mapping[str, Any]) -> None:
        """Sets these faults, and no others, at one upstream. Raises ValueError when it cannot have them."""
        wanted = FAULTS.dump_python(FAULTS.validate_python(list(faults)), mode="json")
        answer = self._http.put(f"{upstream}/faults", json=wanted)
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            raise ValueError("; ".join(problem["problem"] for problem in answer.json()))
        answer.raise_for_status()

    def mend(self, upstream: str | None = None) -> None:
        """Takes away the faults of one upstream, or of all."""
        path = "faults" if upstream is None else f"{upstream}/faults"
        self._http.delete(path).raise_for_status()

    def calls(self, upstream: str) -> Calls:
        """The calls that the upstream received since the last reset."""
        return Calls.model_validate(self._http.get(f"{upstream}/calls").raise_for_status().json())

    def expect_token(self, upstream: str, **expected: Any) -> None:  # noqa: ANN401 - see Expected
        """Makes each call of an upstream show a token that its endpoint issued to this client (`Expected`)."""
        self._http.put(f"{upstream}/tokens", json=expected).raise_for_status()

    def revoke_tokens(self, upstream: str) -> None:
        """Revokes every token of an upstream."""
        self._http.post(f"{upstream}/tokens/revoke").raise_for_status()

    def tokens(self, upstream: str) -> dict[str, int]:
        """How many requests for a token were `issued` one, and how many `refused`."""
        counted: dict[str, int] = self._http.get(f"{upstream}/tokens").raise_for_status().json()
        return counted

    def reset(self) -> None:
        """Mends all faults, forgets the received calls, and gives each citizen their own contact groups again."""
        self._http.post("reset").raise_for_status()

    def citizens(self) -> list[dict[str, Any]]:
        """The constructed citizens, as a log-in needs them."""
        listed: list[dict[str, Any]] = self._http.get("citizens").raise_for_status().json()
        return listed

    def bookings(self) -> list[dict[str, Any]]:
        """The meetings that are booked: `id`, `citizen`, `wish`, and how often the booking of each was `received`."""
        stored: list[dict[str, Any]] = self._http.get("kontaktforloeb/bookings").raise_for_status().json()
        return stored

    def subscriptions(self) -> dict[str, float]:
        """The citizens who are subscribed at Ungedatabasen, and since how many seconds."""
        found: dict[str, float] = self._http.get("udb/subscriptions").raise_for_status().json()
        return found

    def unsubscribe_all(self) -> None:
        """Ends all subscriptions at Ungedatabasen, and sets back after how long events come."""
        self._http.delete("udb/subscriptions").raise_for_status()

    def events_after(self, seconds: float) -> None:
        """From now on, Ungedatabasen has the events of a citizen so long after their subscription."""
        self._http.put("udb/events-after", json=seconds).raise_for_status()

    def set_contact_groups(self, cpr: str, groups: Iterable[Mapping[str, Any]]) -> None:
        """From now on, until the next reset, a citizen has these contact groups (`Group`), of which the open are told.

        Raises httpx.HTTPStatusError when they are none, or the citizen is none of the constructed ones.
        """
        change = {"cpr": cpr, "groups": [dict(group) for group in groups]}
        self._http.post("visitering/contact-groups", json=change).raise_for_status()

    def reports(self) -> list[dict[str, Any]]:
        """The fault reports that the booking vendor has, in the order in which they came: `report` as it was sent.

        With each is its `key`, its `sagsnummer` and how often it was `received`, where the vendor knows keys.
        """
        stored: list[dict[str, Any]] = self._http.get("booking_vendor/reports").raise_for_status().json()
        return stored

    def know_keys(self, known: bool = True) -> None:  # noqa: FBT001, FBT002 - a switch
        """Has the booking vendor honour idempotency keys of fault reports until the next reset, or no longer."""
        self._http.put("booking_vendor/knows_keys", json=known).raise_for_status()
