"""Who may do what on each Redis: one ACL user per service, with its own keys, channels and commands and no others.

docs/security.md has the same as a table, and a test that the two agree.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from config.celery import BOOKING_VENDOR, REGISTERS, WORKERS
from ops.terminal import say

SERVERS = ("broker", "ledger", "cache")
HEALTH = "health"
"""May ask whether the server answers, without a password, and nothing else: for health checks."""
NOBODY = "user default off resetpass allkeys allchannels +@all"
"""Nobody can be `default`, and yet it may do everything: at its start Redis reads its own file as this user, and drops
the effects of every script and transaction that it may not have (seen on 7.0: what had been acknowledged was gone)."""
OPERATOR = "operator"
"""Whoever runs `registerbro` by hand; may do all that the command does."""

_CONNECTION = ("auth", "hello", "ping", "select", "echo", "client|setinfo", "client|setname", "client|id")
_SCRIPTS = ("eval", "evalsha", "script|load", "script|exists")
_DATA = (
    "@read",
    "@write",
    "@transaction",
    *_SCRIPTS,
    "time",
    "-@dangerous",
    "-@admin",
    "-keys",
    "-flushall",
    "-flushdb",
)
_PUBLISH, _SUBSCRIBE = ("publish",), ("subscribe", "psubscribe", "unsubscribe", "punsubscribe", "publish")
_LOOK = ("info",)
_DURABLE = ("info", "config|get", "waitaof")
"""What the check of the ledger's promise asks."""
SINCE = {"waitaof": (7, 2), "client|setinfo": (7, 2)}
"""Commands that older servers do not know, and will not be told of."""
READ_ONLY_KEYS_SINCE = (7, 0)

_QUEUES = tuple(f"{service}*" for service in WORKERS)
"""Lists and doorbells of every queue: who looks after dead workers puts back what any of them held."""
_UNACKED = ("unacked*", "dead_letters")
_KOMBU = ("_kombu.binding*", "*.celery.pidbox*", "celeryev*")
_CONTROL_CHANNELS = ("/0.celery.pidbox", "/0.celeryev/*", "/0.celeryev/worker.*")
"""To the letter, since a pattern that is subscribed to has to be one of these."""
_AUDIT = ("audit:heads", "audit:floors")
_REPORTS = ("{reports}:*",)


@dataclass(frozen=True, slots=True)
class Grant:
    """What one service may do on one server. `reads` are keys that it may not change, where Redis can tell (7 on)."""

    keys: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    why: str = ""


def service_of(name: str) -> str:
    """The service, as docker-compose.yml names it, of a worker service of config/celery.py."""
    return f"worker-{name.replace('_', '-')}"


def _worker(register: str, upstreams: Iterable[str]) -> dict[str, Grant]:
    admission = tuple(f"admission:{{{name}}}*" for name in upstreams)
    return {
        "broker": Grant(
            keys=(
                *_QUEUES, *_UNACKED, *_KOMBU, *admission,
                f"lease:{{{register}}}:*", f"wanted:{{{register}}}", f"alive:{register}*",
                f"timetable:*:{{{register}}}", "timetable:active", f"partial:{register}",
            ),
            channels=(*_CONTROL_CHANNELS, "events:admission"),
            commands=(*_DATA, *_SUBSCRIBE, *_LOOK),
            why="takes its messages, puts back those of the dead, leases, admission, schedule, signs of life and of "
            "what was left out",
        ),
        "ledger": Grant(
            keys=("overrides", *(f"quarantine:{name}" for name in upstreams), *_AUDIT),
            commands=(*_DATA, *_DURABLE),
            why="operators' overrides; sets one itself; whom it is not to ask about; its audit log's head",
        ),
        "cache": Grant(
            keys=(f"entry:*:{register}", *(("employer:*",) if register == "eindkomst" else ())),
            reads=("citizen:*",),
            channels=("events:*",),
            commands=(*_DATA, *_PUBLISH, *_LOOK),
            why="its own register's entries, and whose id it is",
        ),
    }  # fmt: skip


def _grants() -> dict[str, dict[str, Grant]]:
    grants = {
        service_of(register): _worker(register, (register, "cvr") if register == "eindkomst" else (register,))
        for register in REGISTERS
    }
    vendor = _worker(BOOKING_VENDOR, (BOOKING_VENDOR,))
    grants[service_of(BOOKING_VENDOR)] = {
        "broker": vendor["broker"],
        "ledger": Grant(
            keys=(*_REPORTS, "overrides"), commands=(*_DATA, *_DURABLE), why="fault reports; operators' overrides"
        ),
    }
    grants["beat"] = {
        "broker": Grant(
            keys=(*_QUEUES, *_KOMBU, "redbeat:*"),
            channels=_CONTROL_CHANNELS,
            commands=(*_DATA, *_PUBLISH, *_LOOK),
            why="sends what is due, unless the queue is long; its lock",
        )
    }
    grants["flower"] = {
        "broker": Grant(
            # What workers answer to it comes as messages, which its transport notes as any other's.
            keys=(*_KOMBU, *_UNACKED),
            reads=_QUEUES,
            channels=_CONTROL_CHANNELS,
            commands=(*_DATA, *_SUBSCRIBE, *_LOOK),
            why="workers' events and the lengths of queues",
        )
    }
    grants["portal"] = {
        "broker": Grant(
            keys=(*_QUEUES, *_KOMBU, "lease:*", "wanted:*", "admission:*", "limits*", "ended:*", "timetable:*"),
            reads=("alive:*", "partial:*", *_UNACKED),
            channels=("events:admission",),
            commands=(*_DATA, *_PUBLISH, *_LOOK),
            why="asks for refreshes and deliveries, sets overrides, shows the state of all; the demo's ended sessions",
        ),
        "ledger": Grant(
            keys=(*_REPORTS, "overrides", "quarantine:*", "banner:*", *_AUDIT),
            commands=(*_DATA, *_DURABLE),
            why="takes fault reports, shows and replays them; overrides; who is not asked about; dismissed banners; "
            "its audit log's head",
        ),
        "cache": Grant(
            keys=("entry:*", "citizen:*", "booked:*", "employer:*"),
            channels=("events:*",),
            commands=(*_DATA, *_SUBSCRIBE, *_LOOK),
            why="reads pages, marks what was asked for and booked, knows whose id it is; `keys reseal` is run there",
        ),
    }
    grants[OPERATOR] = {
        server: Grant(
            keys=("*",), channels=("*",), commands=(*_DATA, *_SUBSCRIBE, *_DURABLE), why="the `registerbro` command"
        )
        for server in SERVERS
    }
    return grants


GRANTS: Mapping[str, Mapping[str, Grant]] = _grants()
"""Service → server → what it may do there; what is not here, it may not even sign in to."""


def acl_file(server: str, passwords: Mapping[str, str], redis_version: tuple[int, int]) -> str:
    """The ACL file of one server; `passwords` by service. It holds their SHA-256 and not themselves."""
    lines = [NOBODY, f"user {HEALTH} on nopass -@all +ping"]
    for service, grants in GRANTS.items():
        if server in grants:
            digest = hashlib.sha256(passwords[service].encode()).hexdigest()
            lines.append(" ".join(["user", service, "on", f"#{digest}", *_rules(grants[server], redis_version)]))
    return "\n".join(lines) + "\n"


def _rules(grant: Grant, redis_version: tuple[int, int]) -> Iterator[str]:
    """As Redis writes them. Before 7, what may only be read cannot be told from what may be changed."""
    read = "%R~" if redis_version >= READ_ONLY_KEYS_SINCE else "~"
    yield from ("resetkeys", *(f"~{key}" for key in grant.keys), *(f"{read}{key}" for key in grant.reads))
    yield from ("resetchannels", *(f"&{channel}" for channel in grant.channels), "-@all")
    for command in (*_CONNECTION, *grant.commands):
        if redis_version >= SINCE.get(command, (0, 0)):
            yield command if command.startswith("-") else f"+{command}"


def table() -> str:
    """What docs/security.md shows: one row per service and server."""
    rows = ["| service | server | keys | only read | channels | why |", "|---|---|---|---|---|---|"]
    for service, grants in GRANTS.items():
        for server, grant in grants.items():
            cells = [service, server, _listed(grant.keys), _listed(grant.reads), _listed(grant.channels), grant.why]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _listed(patterns: tuple[str, ...]) -> str:
    return " ".join(f"`{pattern}`" for pattern in patterns) or "–"


if __name__ == "__main__":
    for line in table().splitlines():
        say(line)
