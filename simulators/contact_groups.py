"""Contact groups as visitering tells them: those that are open now, which a test may change while it runs."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from simulators.citizens import BY_CPR
from simulators.dfdg_data import contact_group, on, told
from simulators.register_data import Citizen, danish_today


class Group(BaseModel):
    """A contact group that a citizen is given; both days included, and since today unless it is said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: int = Field(ge=0, lt=10_000)
    start: date | None = None
    end: date | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.start and self.end and self.end < self.start:
            raise ValueError("end is before start")
        return self


class Change(BaseModel):
    """What a citizen's contact groups are from now on, in place of those that the citizen has been constructed with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpr: str = Field(pattern=r"^[0-9]{10}$")
    groups: list[Group]

    @model_validator(mode="after")
    def _is_about_a_constructed_citizen(self) -> Self:
        if self.cpr not in BY_CPR:
            raise ValueError("no citizen has this number")
        return self


class OpenGroups:
    """Contact groups of all citizens; asked on a day, it tells those that are open on that day."""

    def __init__(self) -> None:
        self._changed: dict[str, tuple[Mapping[str, Any], ...]] = {}

    def change(self, change: Change, today: date) -> None:
        """Gives a citizen other contact groups."""
        self._changed[change.cpr] = tuple(
            contact_group(one.group, (one.start or today).isoformat(), one.end.isoformat() if one.end else None)
            for one in change.groups
        )

    def forget(self) -> None:
        """Undoes every change."""
        self._changed.clear()

    def of(self, citizen: Citizen, today: date) -> tuple[Mapping[str, Any], ...]:
        """The citizen's contact groups that are open today, as they are sent."""
        kept = self._changed.get(citizen.cpr, citizen.visitering or ())
        groups = [item for item in kept if item["_in"] == "kontaktgrupper"]
        return tuple(told(item, today) for item in groups if _is_open(item, today))


def _is_open(item: Mapping[str, Any], today: date) -> bool:
    start, end = item["Starttidspunkt"].day, item.get("Sluttidspunkt")
    return on(start, today) <= today and (end is None or on(end.day, today) >= today)


def control_routes(prefix: str, groups: OpenGroups | None) -> list[web.RouteDef]:
    """The control of contact groups; at an upstream that has none, there is no such thing."""

    async def change(request: web.Request) -> web.Response:
        if groups is None:
            raise web.HTTPNotFound
        try:
            wanted = Change.model_validate_json(await request.read())
        except ValidationError as error:
            problems = [".".join(map(str, problem["loc"])) for problem in error.errors()]
            return web.json_response(problems, status=422)
        groups.change(wanted, danish_today())
        return web.Response(status=204)

    return [web.post(f"{prefix}/contact-groups", change)]
