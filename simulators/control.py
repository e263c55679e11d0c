"""A client for the simulators' control endpoint: set faults, mend them, and ask what was received."""

from collections.abc import Mapping
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


class Calls(BaseModel):
    """What an upstream received; `calls` holds the newest, oldest first."""

    model_config = ConfigDict(frozen=True)

    total: int
    by_citizen: dict[str, int]
    calls: list[Call]

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
        """What the upstream received since the last reset."""
        return Calls.model_validate(self._http.get(f"{upstream}/calls").raise_for_status().json())

    def reset(self) -> None:
        """Mends everything, and forgets what was received."""
        self._http.post("reset").raise_for_status()

    def citizens(self) -> list[dict[str, Any]]:
        """The constructed citizens, as a log-in needs them."""
        listed: list[dict[str, Any]] = self._http.get("citizens").raise_for_status().json()
        return listed

    def bookings(self) -> list[dict[str, Any]]:
        """The meetings that are booked at the vendor, each with how often it was asked for."""
        stored: list[dict[str, Any]] = self._http.get("booking_vendor/bookings").raise_for_status().json()
        return stored

    def reports(self) -> dict[str, dict[str, Any]]:
        """The fault reports that the booking vendor has, by idempotency key, each with how often it was received."""
        stored: dict[str, dict[str, Any]] = self._http.get("booking_vendor/reports").raise_for_status().json()
        return stored
