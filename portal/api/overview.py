"""Endpoints of the page »Oplysninger om dig«: read it, refresh it, stream its changes; show and hide its banner."""

import math
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from domain.citizen import Citizen
from domain.service_windows import danish_today
from portal.api.dependencies import CitizenWith, InPortal, TokenFirst, YoungCitizenWith, portal_of
from portal.api.openapi_examples import OVERVIEW, SECTION
from portal.api.pages import Closing
from portal.api.problems import Problem, Type, documented
from portal.shutdown import Shutdown
from registerbro.pages.reader import Page
from registerbro.refresh.request import State
from registerbro.storage.redis_client import REDIS_DOWN

Anyone = Annotated[Citizen, Depends(CitizenWith("overview:read"))]
Reading = Annotated[Citizen, Depends(YoungCitizenWith("overview:read"))]
Dismissing = Annotated[Citizen, Depends(CitizenWith("banner:write"))]
Refreshing = Annotated[Citizen, Depends(YoungCitizenWith("overview:refresh"))]

AUTH = (Type.UNAUTHORISED, Type.FORBIDDEN, Type.KEYS_UNAVAILABLE)
EVENTS_AGAIN_AFTER = timedelta(seconds=2)
"""How long a browser waits before it listens again, when the connection broke."""

DISMISSALS_PER_MINUTE = 5
"""How often a citizen may hide the banner, which is a write that waits for the ledger's disk."""

router = APIRouter(prefix="/v1", tags=["page"], route_class=TokenFirst)


async def _listening(here: InPortal, citizen: Reading) -> AsyncIterator[Citizen]:
    """The citizen, with a place among the event streams until their stream ends. Raises Problem."""
    with here.streams.taken(here.services.citizens.id_of(citizen.cpr)):
        yield citizen


Listening = Annotated[Citizen, Depends(_listening)]


class Asked(BaseModel):
    """Result of a refresh request for one register; `retry_after` is in seconds."""

    state: State
    retry_after: int | None


class Refresh(BaseModel):
    """Result of a refresh request."""

    registers: dict[str, Asked]


class BannerView(BaseModel):
    """Whether the front page shows the banner."""

    in_target_group: bool
    visible: bool


@router.get(
    "/overview",
    response_class=Response,
    responses={
        200: {
            "model": Page,
            "description": "Every section, in the page's order; also when nothing can be read",
            "content": {"application/json": {"example": OVERVIEW}},
        },
        **documented(*AUTH, Type.OUTSIDE_TARGET_GROUP),
    },
)
async def read_overview(request: Request, citizen: Reading) -> Response:
    """The citizen's page. What is due is asked for; `complete` is false while a section is being fetched."""
    page = await portal_of(request).pages.read_page(citizen)
    return Response(page.json_text(), media_type="application/json")


@router.post(
    "/overview/refresh",
    status_code=202,
    responses=documented(*AUTH, Type.OUTSIDE_TARGET_GROUP, Type.RATE_LIMITED),
)
async def refresh_overview(here: InPortal, citizen: Refreshing) -> Refresh:
    """Asks for every register to be brought up to date. What is fresh, or failed a moment ago, is left alone."""
    await here.refreshes.check(citizen)
    asked = await here.pages.refresh(citizen)
    return Refresh(
        registers={name: Asked(state=one.state, retry_after=_seconds(one.retry_after)) for name, one in asked.items()}
    )


@router.get(
    "/overview/events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "`section` with a section's JSON as in the overview, for each that is not pending and "
            "again when it changes; then `settled`, and the stream ends. `closing` in its place says that the server "
            "ends: listen again",
            "content": {"text/event-stream": {"example": f"event: section\ndata: {SECTION}\n\nevent: settled\n"}},
        },
        **documented(*AUTH, Type.OUTSIDE_TARGET_GROUP, Type.RATE_LIMITED, Type.TEMPORARILY_UNAVAILABLE),
    },
)
async def overview_events(request: Request, here: InPortal, citizen: Listening) -> AsyncIterator[ServerSentEvent]:
    """The page's sections as they land. It lasts no longer than a register may take."""
    again = round(EVENTS_AGAIN_AFTER.total_seconds() * 1000)
    try:
        async for view in here.pages.changes(citizen, Shutdown.of(request.scope)):
            yield ServerSentEvent(event="section", raw_data=view.model_dump_json(by_alias=True), retry=again)
    except Closing:
        yield ServerSentEvent(event="closing", raw_data="{}", retry=again)
        return
    yield ServerSentEvent(event="settled", raw_data="{}")


@router.get("/banner", responses=documented(*AUTH))
async def read_banner(here: InPortal, citizen: Anyone) -> BannerView:
    """Whether to show the banner of §1.1. Not while that cannot be known."""
    if not citizen.is_in_target_group(here.services.rules.now(), danish_today()):
        return BannerView(in_target_group=False, visible=False)
    return BannerView(in_target_group=True, visible=not await here.banner.is_dismissed(citizen.cpr))


@router.put(
    "/banner/dismissed",
    status_code=204,
    responses=documented(*AUTH, Type.RATE_LIMITED, Type.TEMPORARILY_UNAVAILABLE),
)
async def dismiss_banner(here: InPortal, citizen: Dismissing) -> None:
    """»Vis ikke denne besked igen«: hides it for good."""
    await here.dismissals.check(citizen)
    try:
        await here.banner.dismiss(citizen.cpr)
    except REDIS_DOWN:
        raise Problem(Type.TEMPORARILY_UNAVAILABLE, retry_after=5) from None


def _seconds(wait: timedelta | None) -> int | None:
    return None if wait is None else max(1, math.ceil(wait.total_seconds()))
