"""For operators and machines: the registers' health, overrides, whether this server is alive and ready, metrics."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import prometheus_client
from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from config.celery import QUEUES
from config.settings import ADMISSIONS
from domain.hidden_characters import require_visible
from portal.api.dependencies import CallerWith, InPortal, Portal, TokenFirst
from portal.api.problems import Problem, Type, documented
from portal.api.tokens import Caller
from redis_admission import Override, OverrideOrder
from registerbro.audit_log import Action, AuditNotWritten
from registerbro.status import fleet
from registerbro.storage.coordination import queue_liveness
from registerbro.storage.redis_client import REDIS_DOWN

AUTH = (Type.UNAUTHORISED, Type.FORBIDDEN, Type.KEYS_UNAVAILABLE)
CHECK_WITHIN = timedelta(seconds=1)

OperatorReads = Annotated[Caller, Depends(CallerWith("ops:read"))]
OperatorWrites = Annotated[Caller, Depends(CallerWith("ops:write"))]

router = APIRouter(route_class=TokenFirst)


class NewOverride(BaseModel):
    """Override to set above an upstream's breaker; null lifts it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    override: Override | None
    reason: Annotated[str, AfterValidator(require_visible)] = Field(
        default="",
        max_length=500,
        examples=["announced maintenance ran over"],
        description="One line, without control or invisible characters",
    )


class SetOverride(BaseModel):
    """Override in force."""

    name: str
    override: Override | None


class KeySetState(BaseModel):
    """State of the key set: whether tokens can be checked, and whether the last read succeeded."""

    usable: bool
    current: bool


class Readiness(BaseModel):
    """Servers and keys that this process needs, and whether it has them."""

    ready: bool
    redis: dict[str, bool]
    queues: dict[str, bool]
    """Of each queue, whether a worker carries out its tasks."""
    key_set: KeySetState


class Registers(BaseModel):
    """The health of every upstream, by name."""

    registers: dict[str, fleet.UpstreamView]


@router.get("/v1/registers", tags=["operations"], responses=documented(*AUTH, Type.TEMPORARILY_UNAVAILABLE))
async def read_registers(here: InPortal, _: OperatorReads) -> Registers:
    """Each upstream's breaker, limits, last success and override; its queues; of a register, schedule and `partial`."""
    try:
        return Registers(registers=await fleet.upstreams(here.services))
    except REDIS_DOWN:
        raise Problem(Type.TEMPORARILY_UNAVAILABLE, retry_after=5) from None


@router.put(
    "/v1/registers/{name}/override",
    tags=["operations"],
    responses=documented(
        *AUTH, Type.NOT_FOUND, Type.REQUEST_TIMEOUT, Type.INVALID_REQUEST, Type.TEMPORARILY_UNAVAILABLE
    ),
)
async def set_override(
    here: InPortal,
    caller: OperatorWrites,
    name: Annotated[str, Path(examples=["udb"])],
    order: NewOverride,
) -> SetOverride:
    """Sets or lifts an override above an upstream's breaker, in every process, until an operator lifts it."""
    if name not in ADMISSIONS:
        raise Problem(Type.NOT_FOUND)
    if order.override is not None and not order.reason.strip():
        raise Problem(Type.INVALID_REQUEST, "body.reason: an override needs one")
    ordered = (
        OverrideOrder(order.override, caller.subject, _now_ms(), order.reason.strip())
        if order.override is not None
        else None
    )
    target = f"{name} {order.override or 'lift'}"
    journal = here.services.audit_log
    try:
        async with journal.action(Action.BREAKER, caller.subject, target=target, reason=order.reason.strip()):
            await here.services.admission(name).set_override(ordered)
    except (AuditNotWritten, *REDIS_DOWN):
        raise Problem(Type.TEMPORARILY_UNAVAILABLE, retry_after=5) from None
    return SetOverride(name=name, override=order.override)


@router.get("/healthz", tags=["machines"])
async def alive() -> dict[str, str]:
    """Whether this process answers; says nothing of what it needs."""
    return {"status": "alive"}


@router.get("/readyz", tags=["machines"], responses={503: {"model": Readiness, "description": "Something is missing"}})
async def ready(here: InPortal) -> Response:
    """Whether Redis is reached, every queue has a worker, and tokens can be checked.

    A page is answered even without a Redis or a worker, and with a key set that was read before.
    """
    servers = {
        "broker": here.services.coordination,
        "ledger": here.services.ledger.redis,
        "cache": here.services.cache,
    }
    answers, queues, key_set = await asyncio.gather(
        asyncio.gather(*map(_answers, servers.values())), _queues(here), _key_set(here)
    )
    redis = dict(zip(servers, answers, strict=True))
    is_ready = all(redis.values()) and all(queues.values()) and key_set.usable
    readiness = Readiness(ready=is_ready, redis=redis, queues=queues, key_set=key_set)
    return JSONResponse(readiness.model_dump(), 200 if readiness.ready else 503)


@router.get("/metrics", tags=["machines"], response_class=Response)
def metrics() -> Response:
    """Prometheus' text format."""
    return Response(prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST)


async def _answers(redis: Any) -> bool:  # noqa: ANN401 - redis-py's ping is typed for both of its clients
    try:
        async with asyncio.timeout(CHECK_WITHIN.total_seconds()):
            await redis.ping()
    except REDIS_DOWN:
        return False
    return True


async def _queues(here: Portal) -> dict[str, bool]:
    try:
        async with asyncio.timeout(CHECK_WITHIN.total_seconds()):
            return await queue_liveness.consumed(here.services.coordination, QUEUES)
    except REDIS_DOWN:
        return dict.fromkeys(QUEUES, False)


async def _key_set(here: Portal) -> KeySetState:
    keys = here.tokens.keys
    try:
        async with asyncio.timeout(CHECK_WITHIN.total_seconds()):
            usable = await keys.is_usable()
    except TimeoutError:
        usable = False
    return KeySetState(usable=usable, current=keys.is_current)


def _now_ms() -> int:
    return round(datetime.now(UTC).timestamp() * 1000)
