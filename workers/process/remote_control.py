"""Remote control of Celery's workers, restricted to questions: a worker answers, and changes nothing.

A command comes over the broker without proof of its sender: Flower's user, or any worker's, may publish one. So a
worker's answers hold no credentials, and no message makes it stop, consume another queue or change a limit. An
installation that wants some of these commands names them (`REMOTE_CONTROL`).
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
not one of these until it has been reviewed."""

_EVERY = dict(Panel.data)
"""All commands of Celery's, so that a second restriction in one process may allow others than the first."""

CONNECTION_SHOWN = ("transport", "hostname", "port", "virtual_host", "userid", "connect_timeout", "heartbeat")
"""Fields of the broker connection that `stats` shows. The others hold URLs of other brokers and TLS passphrases."""


def restrict(also: Iterable[str] = ()) -> None:
    """Leaves this process's workers the commands that ask, and those named in `also`.

    Raises SettingsError for a name that is no command of Celery's.
    """
    wanted = frozenset(also)
    every = _EVERY | Panel.data
    if unknown := sorted(wanted - every.keys()):
        raise SettingsError(f"{PREFIX}REMOTE_CONTROL: Celery has no command {', '.join(unknown)}")
    Panel.data.clear()
    Panel.data.update({name: every[name] for name in every.keys() & (ASKS | wanted)})
    Panel.data.update(stats=_stats, hello=_hello)


def leave_others_alone(options: MutableMapping[str, Any]) -> None:
    """Has a worker, by its options, neither ask the others at its start what is revoked nor follow their events.

    Among those events is the vote on the worker that carries out a task, and any sender of events may call and win it.
    """
    options.update(without_gossip=True, without_mingle=True)


def _stats(state: Any, **_: object) -> dict[str, Any]:  # noqa: ANN401 - Celery's
    """Celery's statistics of the worker, without the secrets of its broker connection."""
    told: dict[str, Any] = state.consumer.controller.stats()
    broker = told.get("broker")
    shown = {name: broker[name] for name in CONNECTION_SHOWN if name in broker} if isinstance(broker, dict) else broker
    return told | {"broker": shown}


def _hello(state: Any, from_node: str, **_: object) -> dict[str, Any] | None:  # noqa: ANN401 - Celery's
    """An answer to a worker that starts, of another release. Celery's takes over which tasks that one calls revoked."""
    if from_node == state.hostname:
        return None
    return {"revoked": [], "clock": state.app.clock.forward()}
