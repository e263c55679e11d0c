"""Celery's remote control, as far as it asks: the commands that a worker carries out for whoever publishes them.

A command comes over the broker, and nothing of it says who sent it: Flower's own user, or any worker's, may publish
one. So a worker answers questions, and shows in no answer what anything is signed in with; it does not stop, takes no
other queues, and changes no limit because of a message. An installation that wants some of that names it
(`REMOTE_CONTROL`).
"""

from collections.abc import Iterable, MutableMapping
from typing import Any

from celery.worker.control import Panel

from config.settings import PREFIX, SettingsError

ASKS = frozenset({
    "active", "active_queues", "clock", "conf", "dump_active", "dump_conf", "dump_reserved", "dump_revoked",
    "dump_schedule", "dump_tasks", "heartbeat", "hello", "ping", "query_task", "registered", "report", "reserved",
    "revoked", "scheduled", "stats",
})  # fmt: skip
"""Commands that change nothing, by Celery's names and aliases. Its `memsample`, `memdump` and `objgraph` ask too, but
walk through all of a worker's memory, and the last writes what it finds to a file. A command that is new in Celery is
not one of these until somebody has looked at it."""

CONNECTION_SHOWN = ("transport", "hostname", "port", "virtual_host", "userid", "connect_timeout", "heartbeat")
"""What `stats` tells of the connection to the broker. The rest has other brokers' URLs, and what opens TLS keys."""


def restrict(also: Iterable[str] = ()) -> None:
    """Leaves this process's workers the commands that ask, and those named in `also`.

    Raises SettingsError for a name that is no command of Celery's.
    """
    wanted = frozenset(also)
    if unknown := sorted(wanted - Panel.data.keys()):
        raise SettingsError(f"{PREFIX}REMOTE_CONTROL: Celery has no command {', '.join(unknown)}")
    for name in Panel.data.keys() - ASKS - wanted:
        del Panel.data[name]
    Panel.data |= {"stats": _stats, "hello": _hello}


def leave_others_alone(options: MutableMapping[str, Any]) -> None:
    """Has a worker, by its options, neither ask the others at its start what is revoked nor follow their events.

    Among those events is the vote on who carries out a task, and any sender of events may call it and win.
    """
    options.update(without_gossip=True, without_mingle=True)


def _stats(state: Any, **_: object) -> dict[str, Any]:  # noqa: ANN401 - Celery's
    """Statistics of the worker: what Celery tells, but of the connection to the broker only what is no secret."""
    told: dict[str, Any] = state.consumer.controller.stats()
    broker = told.get("broker")
    shown = {name: broker[name] for name in CONNECTION_SHOWN if name in broker} if isinstance(broker, dict) else broker
    return told | {"broker": shown}


def _hello(state: Any, from_node: str, **_: object) -> dict[str, Any] | None:  # noqa: ANN401 - Celery's
    """An answer to a worker that starts, of another release. Celery's takes over which tasks that one calls revoked."""
    if from_node == state.hostname:
        return None
    return {"revoked": [], "clock": state.app.clock.forward()}
