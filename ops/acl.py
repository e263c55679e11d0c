"""Who may do what on each Redis: one ACL user per service, with its own keys, channels and commands and no others.

docs/security.md has the same as a table, and a test that the two agree.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from config.celery import BOOKING_VENDOR, REGISTERS, WORKERS, service_of
from ops.terminal import say
from workers.audit.heads import FLOORS, HEADS
from workers.beat import LOCK
from workers.resilience.admission.overrides import TOGETHER

SERVERS = ("broker", "ledger", "cache")
HEALTH = "health"
"""May ask whether the server answers, without a password, and nothing else: for health checks."""
NOBODY = "user default off resetpass allkeys allchannels +@all"
"""Nobody can be `default`, and yet it may do everything: at its start Redis reads its own file as this user, and drops
the effects of every script and transaction that it may not have (seen on 7.0: what had been acknowledged was gone)."""
OPERATOR = "operator"
"""Whoever runs `registerbro` by hand; may do all that the command does."""

_CONNECTION = ("auth", "hello", "ping", "select", "echo", "client|setinfo", "client|setname", "client|id")
_SCRIPTS = ("evalsha", "script|load", "script|exists")
"""By digest alone, as all code here and kombu's does. It is no limit to what a script may be, since who may load may
load any; what it may do are the commands and keys of who runs it."""
_DATA = (
    "@string", "@hash", "@list", "@set", "@sortedset",
    "del", "exists", "expire", "pexpire", "pexpireat", "ttl", "pttl", "type", "unlink",
    "@transaction", *_SCRIPTS, "time",
    "-@dangerous", "-@admin",
)  # fmt: skip
"""The kinds of data that there are here, and not `@read` and `@write`: those have `SCAN`, `RANDOMKEY` and `DBSIZE` too,
which tell of keys that are not the user's, `FUNCTION`, whose libraries all users share, and what a module brings."""
_SCAN = ("scan",)
_PUBLISH, _SUBSCRIBE = ("publish",), ("subscribe", "psubscribe", "unsubscribe", "punsubscribe", "publish")
_LOOK = ("info",)
_DURABLE = ("info", "config|get", "waitaof")
"""What the check of the ledger's promise asks."""
_UNBLOCK = ("script|kill", "function|kill")
"""Ends what holds a server up and has written nothing yet; docs/operations.md has the rest."""
_ASKS = (
    "publish", "subscribe", "psubscribe", "unsubscribe", "punsubscribe", "brpop", "llen", "exists", "del", "sadd",
    "srem", "zadd", "zrem", "zrangebyscore", "pexpire", "@transaction", *_SCRIPTS, "time",
)  # fmt: skip
"""What it takes to ask workers, to hear their answers and events, and to see how long queues are."""
_SENDS = (
    "lpush", "ltrim", "llen", "sadd", "get", "set", "pttl", "pexpire", "del", "@transaction", *_SCRIPTS, "time",
)  # fmt: skip
"""What it takes to send messages, and to have a lock."""
SINCE = {"waitaof": (7, 2), "client|setinfo": (7, 2), "function|kill": (7, 0)}
"""Commands that older servers do not know, and will not be told of."""
READ_ONLY_KEYS_SINCE = (7, 0)

_QUEUES = tuple(f"{service}*" for service in WORKERS)
"""Lists and doorbells of every queue: who looks after dead workers puts back what any of them held."""
_UNACKED = ("unacked*", "dead_letters")


def _bindings(*exchanges: str) -> tuple[str, ...]:
    """The sets in which kombu notes which queue hears what of an exchange."""
    return tuple(f"_kombu.{kind}.{exchange}" for exchange in exchanges for kind in ("binding", "binding_permanent"))


_SENT = _bindings("registerbro")
_ANSWERED = ("*.reply.celery.pidbox*", *_bindings("reply.celery.pidbox"))
_DEADLINES = ("_kombu.binding_deadlines", *_bindings("celery.pidbox"))
"""Of the queues that expire with their worker; whoever consumes from such a one sweeps them all."""
_ASKED, _EVENTS = "/0.celery.pidbox", "/0.celeryev/*"
"""To the letter, since a pattern that is subscribed to has to be one of these."""
_REPORTS = ("{reports}:*",)
_CHAINS_OF_BEFORE = (HEADS, FLOORS)


def _chains(writer: str) -> tuple[str, ...]:
    return tuple(f"{name}:{writer}" for name in (HEADS, FLOORS))


@dataclass(frozen=True, slots=True)
class Grant:
    """What one service may do on one server. `reads` are keys that it may not change, where Redis can tell (7 on).

    `only_reads` are such keys that it does without where Redis cannot tell.
    """

    keys: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    only_reads: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    why: str = ""


def _worker(register: str, upstreams: Iterable[str]) -> dict[str, Grant]:
    admission = tuple(f"admission:{{{name}}}*" for name in upstreams)
    overrides = tuple(f"override:{name}" for name in upstreams)
    return {
        "broker": Grant(
            keys=(
                *_QUEUES, *_UNACKED, *_SENT, *_ANSWERED, *_DEADLINES, "*.celery.pidbox*", *admission,
                f"lease:{{{register}}}:*", f"wanted:{{{register}}}", f"alive:{register}*",
                f"timetable:*:{{{register}}}", f"partial:{register}",
            ),
            reads=("timetable:active",),
            channels=(_ASKED, _EVENTS, "events:admission"),
            commands=(*_DATA, *_SUBSCRIBE, *_LOOK),
            why="takes its messages, puts back those of the dead, leases, admission, schedule, signs of life and of "
            "what was left out",
        ),
        "ledger": Grant(
            keys=(*overrides, *(f"quarantine:{name}" for name in upstreams), *_chains(service_of(register))),
            only_reads=_CHAINS_OF_BEFORE,
            commands=(*_DATA, *_DURABLE),
            why="operators' overrides of what it calls; sets one itself; whom it is not to ask about; its audit log's "
            "heads",
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
            keys=(*_REPORTS, f"override:{BOOKING_VENDOR}"),
            commands=(*_DATA, *_DURABLE),
            why="fault reports; operators' override of the vendor",
        ),
    }
    grants["beat"] = {
        "broker": Grant(
            keys=(*_QUEUES, *_SENT, LOCK),
            commands=_SENDS,
            why="sends what is due, unless the queue is long; its lock",
        )
    }
    grants["flower"] = {
        "broker": Grant(
            keys=(*_ANSWERED, *_DEADLINES, "celeryev.*", *_bindings("celeryev")),
            only_reads=_QUEUES,
            channels=(_ASKED, _EVENTS),
            commands=_ASKS,
            why="asks workers, who obey nothing but questions; their events and the lengths of queues",
        )
    }
    grants["portal"] = {
        "broker": Grant(
            keys=(*_QUEUES, *_SENT, "lease:*", "wanted:*", "admission:*", "limits:*", "ended:*", "timetable:*"),
            reads=("alive:*", "partial:*", "unacked_dead"),
            channels=("events:admission",),
            commands=(*_DATA, *_PUBLISH, *_LOOK),
            why="asks for refreshes and deliveries, sets overrides, shows the state of all; the demo's ended sessions",
        ),
        "ledger": Grant(
            keys=(
                *_REPORTS, "override:*", TOGETHER, "quarantine:*", "banner:*", *_chains("portal"), *_CHAINS_OF_BEFORE,
            ),
            reads=_chains("*"),
            commands=(*_DATA, *_SCAN, *_DURABLE),
            why="takes fault reports, shows and replays them; overrides; who is not asked about; dismissed banners; "
            "its audit log's heads, and a look at all; `keys reseal` is run there",
        ),
        "cache": Grant(
            keys=("entry:*", "citizen:*", "booked:*", "employer:*"),
            channels=("events:*",),
            commands=(*_DATA, *_SCAN, *_SUBSCRIBE, *_LOOK),
            why="reads pages, marks what was asked for and booked, knows whose id it is; `keys reseal` is run there",
        ),
    }  # fmt: skip
    grants[OPERATOR] = {
        server: Grant(
            keys=("*",),
            channels=("*",),
            commands=(*_DATA, *_SCAN, *_SUBSCRIBE, *_DURABLE, *_UNBLOCK),
            why="the `registerbro` command, and an end to what holds the server up",
        )
        for server in SERVERS
    }
    return grants


GRANTS: Mapping[str, Mapping[str, Grant]] = _grants()
"""Service → server → what it may do there; what is not here, it may not even sign in to."""


def acl_file(
    server: str, passwords: Mapping[str, str], redis_version: tuple[int, int], former: Mapping[str, str] | None = None
) -> str:
    """The ACL file of one server; `passwords` of that server, by service. It holds their SHA-256 and not themselves.

    `former` are passwords that some services may have still, and that are good beside the others.
    """
    lines = [NOBODY, f"user {HEALTH} on nopass -@all +ping"]
    for service, grants in GRANTS.items():
        if server in grants:
            known = [one[service] for one in (passwords, former or {}) if service in one]
            digests = [f"#{hashlib.sha256(one.encode()).hexdigest()}" for one in known]
            lines.append(" ".join(["user", service, "on", *digests, *_rules(grants[server], redis_version)]))
    return "\n".join(lines) + "\n"


def _rules(grant: Grant, redis_version: tuple[int, int]) -> Iterator[str]:
    """As Redis writes them. Before 7, what may only be read cannot be told from what may be changed."""
    can_tell = redis_version >= READ_ONLY_KEYS_SINCE
    reads = (*grant.reads, *(grant.only_reads if can_tell else ()))
    yield from ("resetkeys", *(f"~{key}" for key in grant.keys))
    yield from (f"{'%R~' if can_tell else '~'}{key}" for key in reads)
    yield from ("resetchannels", *(f"&{channel}" for channel in grant.channels), "-@all")
    for command in (*_CONNECTION, *grant.commands):
        if redis_version >= SINCE.get(command, (0, 0)):
            yield command if command.startswith("-") else f"+{command}"


def table() -> str:
    """What docs/security.md shows: one row per service and server."""
    rows = ["| service | server | keys | only read | channels | why |", "|---|---|---|---|---|---|"]
    for service, grants in GRANTS.items():
        for server, grant in grants.items():
            reads = [_listed(grant.keys), _listed(grant.reads + grant.only_reads), _listed(grant.channels)]
            cells = [service, server, *reads, grant.why]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _listed(patterns: tuple[str, ...]) -> str:
    return " ".join(f"`{pattern}`" for pattern in patterns) or "–"


if __name__ == "__main__":
    for line in table().splitlines():
        say(line)
