"""Unknown values: what registers' answers and the portal's tokens lately held that no table knows, for all processes.

One hash per source at the coordination server, `unknown:<source>`: `since` and `last` (milliseconds since 1970, by that
server's clock), `value:<field> <value>`, how often that value was met, and `more`, how often others were once there are
too many to name. It holds nothing of a citizen, and expires when KEPT_FOR has passed without another.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from pydantic import BaseModel, ConfigDict
from redis.asyncio import Redis

from config.celery import REGISTERS
from registerbro.storage.keys import unknown_key
from registerbro.storage.lua import Scripts, ms
from registerbro.storage.redis_client import REDIS_DOWN

log = structlog.get_logger()

PORTAL = "portal"
"""The source of what citizens' tokens hold."""
SOURCES = (*REGISTERS, PORTAL)
KEPT_FOR = timedelta(days=1)
"""A value that one citizen has is met again when their page is refreshed, a few times a day."""
MOST_VALUES = 50
"""Values that are named of one source: a law renames a few, and an answer may hold thousands."""

_VALUE, _MORE = "value:", "more"
_BESIDE = 2
"""Fields that name no value."""


class UnknownView(BaseModel):
    """Unknown values of one source: how often each was met, how often others were, and in which time (UTC)."""

    model_config = ConfigDict(frozen=True)

    values: dict[str, int]
    more: int
    since: datetime
    last: datetime

    @property
    def told(self) -> str:
        """»contact_group 40 (3 times)«, each value, and how often others were met."""
        named = [f"{value} ({_times(count)})" for value, count in self.values.items()]
        return ", ".join([*named, *([f"others ({_times(self.more)})"] if self.more else [])])


async def record(coordination: Redis, source: str, counts: Mapping[str, int]) -> None:
    """Adds the unknown values of one answer or token, each as `field value`.

    Raises nothing: an answer is stored and shown whether or not this is recorded.
    """
    values = [item for value, count in counts.items() for item in (value, count)]
    try:
        script = Scripts(coordination, __file__, VALUE=_VALUE, MORE=_MORE).load("unknown_values_record")
        await script(unknown=unknown_key(source), kept_for=ms(KEPT_FOR), most=MOST_VALUES + _BESIDE, values=values)
    except REDIS_DOWN as error:
        log.warning("unknown_values_not_noted", source=source, detail=type(error).__name__)


async def status(coordination: Redis, sources: Iterable[str] = SOURCES) -> dict[str, UnknownView]:
    """The record of each source that has one. Raises REDIS_DOWN errors."""
    sources = tuple(sources)
    pipeline = coordination.pipeline(transaction=False)
    for source in sources:
        pipeline.hgetall(unknown_key(source))
    found = zip(sources, await pipeline.execute(), strict=True)
    return {source: _view(fields) for source, fields in found if fields}


def _view(fields: Mapping[bytes, bytes]) -> UnknownView:
    values = {
        name.decode().removeprefix(_VALUE): int(count)
        for name, count in sorted(fields.items())
        if name.startswith(_VALUE.encode())
    }
    return UnknownView(
        values=values,
        more=int(fields.get(_MORE.encode(), 0)),
        since=_moment(fields[b"since"]),
        last=_moment(fields[b"last"]),
    )


def _moment(at: bytes) -> datetime:
    return datetime.fromtimestamp(int(at) / 1000, UTC)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
