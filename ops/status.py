"""`registerbro status`: what admission knows of each upstream, its queues and the schedule."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

import typer

from config.settings import settings
from config.windows import DENMARK
from ops import breaker
from ops.breaker import REDIS_SILENT
from ops.terminal import Cell, Table, say, say_json, show, table
from ops.work import with_services
from workers import observed
from workers.observed import OverrideView, UpstreamView
from workers.queues import BrokerDown
from workers.runtime import Services

UPSTREAM_COLUMNS = "upstream", "state", "since", "failures", "slow", "in flight", "last success", "last failure", "next"


def status(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:  # noqa: FBT002
    """Show of each upstream whether it is called, and answers whole: breaker, limits, windows; queues; the schedule."""
    found, dead = with_services(settings(), _look, REDIS_SILENT)
    if as_json:
        told = {name: seen.model_dump(mode="json") for name, seen in found.items()}
        say_json({"upstreams": told, "dead_letters": dead})
        return
    upstreams = table(UPSTREAM_COLUMNS, ([name, *_row(seen)] for name, seen in found.items()), title="Upstreams")
    show(upstreams, _queue_table(found), _schedule_table(found))
    if quarantined := breaker.told([(name, seen.quarantined) for name, seen in found.items()]):
        say(quarantined)
    if dead is not None:
        say(f"dead letters: {dead}" + (" (see registerbro queue dead list)" if dead else ""))


async def _look(services: Services) -> tuple[dict[str, UpstreamView], int | None]:
    """What is known of every upstream, and how many messages were set aside, if the broker knows of such."""
    seen = await observed.upstreams(services)
    try:
        return seen, (await observed.queued(services)).dead_letters
    except BrokerDown:
        return seen, None


def _row(seen: UpstreamView) -> list[str | Cell]:
    share = f"of {seen.calls}"
    if seen.override:
        upcoming = f"{_who(seen.override)}: {seen.override.reason}"
    elif seen.window_until:
        upcoming = f"closed until {_clock(seen.window_until)}"
    else:
        upcoming = f"probe {_clock(seen.next_probe)}" if seen.next_probe else ""
    failure = f"{_clock(seen.last_failure)} {seen.last_failure_reason or ''}".strip()
    return [
        _state(seen), _clock(seen.since), f"{seen.failures} {share}", f"{seen.slow} {share}",
        f"{seen.in_flight} of {seen.limit}", _clock(seen.last_success), failure, upcoming,
    ]  # fmt: skip


def _who(override: OverrideView) -> str:
    return f"{override.by}, as {override.user}" if override.user else override.by


def _state(seen: UpstreamView) -> str | Cell:
    """The breaker's, and below it what could not be read of the register's answers."""
    if seen.partial is None:
        return seen.state
    return Cell((seen.state, f"partial: {seen.partial.told} since {_clock(seen.partial.since)}"))


def _queue_table(found: Mapping[str, UpstreamView]) -> Table:
    rows = []
    for name, queue in ((name, queue) for seen in found.values() for name, queue in seen.queues.items()):
        oldest = "–" if queue.oldest_seconds is None else f"{queue.oldest_seconds:.0f} s"
        messages = "not known" if queue.messages is None else str(queue.messages)
        rows.append((name, messages, oldest, "yes" if queue.consumed else "no"))
    return table(("queue", "messages", "oldest", "a worker"), rows, title="Queues")


def _schedule_table(found: Mapping[str, UpstreamView]) -> Table:
    rows = [
        (name, str(one.active), str(one.due), str(one.taken), f"{one.lag_seconds:.0f} s")
        for name, seen in found.items()
        if (one := seen.schedule) is not None
    ]
    return table(("register", "citizens", "due", "on their way", "behind"), rows, title="Schedule")


def _clock(moment: datetime | None) -> str:
    """A moment as somebody on call reads it: the time of day in Denmark, with the date when it is not today's."""
    if moment is None:
        return "–"
    local = moment.astimezone(DENMARK)
    recent = abs(datetime.now(DENMARK) - local) < timedelta(hours=12)
    return f"{local:%H:%M:%S}" if recent else f"{local:%Y-%m-%d %H:%M}"
