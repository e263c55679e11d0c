"""Client of the simulators' control endpoint: lists the citizens who can log in, and sets and mends faults."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from domain.cpr import Cpr, InvalidCpr

log = structlog.get_logger()

ANSWER_WITHIN_SECONDS = 0.5
"""The control endpoint is on the same machine; the page has to be there within a second without it (§3.1)."""

Condition = Literal["up", "slow", "down", "other"]
FAULTS: Mapping[Condition, list[dict[str, Any]]] = {
    "up": [],
    # Slow enough to see the page wait, and within what a register may take.
    "slow": [{"kind": "latency", "median": 2.0, "p99": 3.5}],
    "down": [{"kind": "status", "status": 503}],
}
"""Condition → the fault that brings an upstream into it."""
SLOW_FROM_SECONDS = 1.5
"""A register always takes some time; from this median on the page calls it slow."""


class ControlUnavailable(Exception):
    """The simulators do not answer."""


@dataclass(frozen=True, slots=True)
class Person:
    """A constructed citizen who can log in."""

    cpr: Cpr
    name: str
    about: str
    contact_groups: frozenset[int]
    education_order: bool


@dataclass(frozen=True, slots=True)
class Upstream:
    """Condition of an upstream; `calls` is how many it has received, None where that is not known."""

    name: str
    condition: Condition | None
    calls: int | None


class _Listed(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    cpr: str = Field(repr=False)
    name: str
    about: str
    contact_groups: frozenset[int]
    education_order: bool


_LISTED: TypeAdapter[list[_Listed]] = TypeAdapter(list[_Listed])


class Control:
    """Speaks to running simulators."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/__sim__"
        self._http = httpx.AsyncClient(trust_env=False)
        self._people: tuple[Person, ...] = ()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def people(self) -> tuple[Person, ...]:
        """The citizens who can log in. They are constructed and never change, so they are asked for once.

        Raises ControlUnavailable.
        """
        if not self._people:
            try:
                listed = _LISTED.validate_python(await self._get("citizens"))
                self._people = tuple(
                    Person(Cpr.parse(one.cpr), one.name, one.about, one.contact_groups, one.education_order)
                    for one in listed
                )
            except (ValidationError, InvalidCpr):
                raise ControlUnavailable from None
        return self._people

    async def upstreams(self, names: tuple[str, ...]) -> list[Upstream]:
        """The condition of these upstreams; None for one that does not answer. Raises nothing."""
        return list(await asyncio.gather(*(self._upstream(name) for name in names)))

    async def bring(self, upstream: str, condition: Condition) -> None:
        """Breaks an upstream, or mends it. Raises ControlUnavailable."""
        await self._call("PUT", f"{upstream}/faults", FAULTS[condition])

    async def _upstream(self, name: str) -> Upstream:
        try:
            faults, calls = await asyncio.gather(self._get(f"{name}/faults"), self._get(f"{name}/calls"))
            return Upstream(name, _condition(faults), int(calls["total"]))
        except (ControlUnavailable, TypeError, KeyError, ValueError):
            return Upstream(name, None, None)

    async def _get(self, path: str) -> Any:  # noqa: ANN401 - whatever JSON says
        response = await self._call("GET", path)
        try:
            return response.json()
        except (ValueError, RecursionError):
            raise ControlUnavailable from None

    async def _call(self, method: str, path: str, json: list[dict[str, Any]] | None = None) -> httpx.Response:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
                response = await self._http.request(method, f"{self._url}/{path}", json=json)
                return response.raise_for_status()
        except (TimeoutError, httpx.HTTPError) as error:
            log.warning("control_unreachable", reason=type(error).__name__)
            raise ControlUnavailable from None


def _condition(faults: list[dict[str, Any]]) -> Condition:
    kinds = {fault["kind"] for fault in faults}
    if not kinds - {"latency"}:
        waits = [fault.get("seconds") or fault.get("median") or 0.0 for fault in faults]
        return "slow" if sum(waits) >= SLOW_FROM_SECONDS else "up"
    return "down" if kinds & {"status", "gone", "reset", "hang_before_headers"} else "other"
