"""`registerbro status`: the state of each upstream's admission, of the queues and of the schedule."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated

import typer

from cli import breaker
from cli.breaker import REDIS_SILENT
from cli.session import with_services
from config.settings import settings
from domain.service_windows import DENMARK
from registerbro.messaging.inspect import BrokerDown
from registerbro.services import Services
from registerbro.status import fleet
from registerbro.status.fleet import OverrideView, UpstreamView
from registerbro.storage.coordination import unknown_values
from registerbro.storage.coordination.unknown_values import UnknownView
from registerbro.terminal import Cell, Table, say, say_json, show, table

UPSTREAM_COLUMNS = "upstream", "state", "since", "failures", "slow", "in flight", "last success", "last failure", "next"


def status(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:  # noqa: FBT002
    """Show of each upstream whether it is called, and answers whole: breaker, limits, windows; queues; the schedule."""
    found, dead, unknown = with_services(settings(), _look, REDIS_SILENT)
    if as_json:
        told = {name: seen.model_dump(mode="json") for name, seen in found.items()}
        strange = {source: one.model_dump(mode="json") for source, one in unknown.items()}
        say_json({"upstreams": told, "dead_letters": dead, "unknown_values": strange})
        return
    upstreams = table(UPSTREAM_COLUMNS, ([name, *_row(seen)] for name, seen in found.items()), title="Upstreams")
    show(upstreams, _queue_table(found), _schedule_table(found))
    for line in _subscriptions(found):
        say(line)
    if quarantined := breaker.told([(name, seen.quarantined) for name, seen in found.items()]):
        say(quarantined)
    for source, one in unknown.items():
        say(f"unknown values of {source}: {one.told}, since {_clock(one.since)} (see registerbro rules)")
    if dead is not None:
        say(f"dead letters: {dead}" + (" (see registerbro queue dead list)" if dead else ""))


async def _look(services: Services) -> tuple[dict[str, UpstreamView], int | None, dict[str, UnknownView]]:
    """The views of all upstreams; the number of dead letters, None on a broker that keeps none; the unknown values."""
    seen, unknown = await fleet.upstreams(services), await unknown_values.status(services.coordination)
    try:
        return seen, (await fleet.queued(services)).dead_letters, unknown
    except BrokerDown:
        return seen, None, unknown


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
    """The breaker's state, and below it the part of the register's answers that could not be read."""
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


def _subscriptions(found: Mapping[str, UpstreamView]) -> Iterator[str]:
    for name, seen in found.items():
        if (one := seen.subscriptions) is None:
            continue
        waits = f", the first for {_lasting(one.oldest_ending_seconds)}" if one.ending else ""
        yield f"subscriptions at {name}: {one.held}, of which {one.ending} are to be cancelled{waits}"


def _lasting(seconds: float) -> str:
    """A duration in the largest of seconds, minutes and hours in which it is more than one."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _clock(moment: datetime | None) -> str:
    """A moment for an operator on call: the Danish time of day, with the date when it is not within twelve hours."""
    if moment is None:
        return "–"
    local = moment.astimezone(DENMARK)
    recent = abs(datetime.now(DENMARK) - local) < timedelta(hours=12)
    return f"{local:%H:%M:%S}" if recent else f"{local:%Y-%m-%d %H:%M}"
