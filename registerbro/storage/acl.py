"""Redis ACLs: one user per service and server, with its own keys, channels and commands and no others.

The keys derive from `keys.py`. docs/security.md has the same as a table, and a test holds the two together.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from config.celery import BOOKING_VENDOR, REGISTERS, SUBSCRIBED, WORKERS, service_of
from domain.overview import VISITERING
from registerbro.storage import keys
from registerbro.storage.coordination.unknown_values import PORTAL
from registerbro.storage.keys import ANY
from registerbro.terminal import say

SERVERS = ("broker", "ledger", "cache")
HEALTH = "health"
"""User of health checks: it may PING, without a password, and nothing else."""
NOBODY = "user default off resetpass allkeys allchannels +@all"
"""The user `default`, which no client can be and which may do everything: at its start, Redis loads its own file as
this user, and drops the effects of scripts that the user may not run (seen on 7.0: acknowledged writes were gone)."""
OPERATOR = "operator"
"""User of people who run `registerbro`; may do all that the command does."""

_CONNECTION = ("auth", "hello", "ping", "select", "echo", "client|setinfo", "client|setname", "client|id")
_SCRIPTS = ("evalsha", "script|load", "script|exists")
"""By digest only, as our code and kombu's do. That limits no script's text, since a user who may load may load any; its
commands and keys are limited to those of the user who runs it."""
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
"""Commands that check the ledger's promise."""
_UNBLOCK = ("script|kill", "function|kill")
"""Commands that end a script which holds a server up and has written nothing; docs/operations.md has the rest."""
_ASKS = (
    "publish", "subscribe", "psubscribe", "unsubscribe", "punsubscribe", "brpop", "llen", "exists", "del", "sadd",
    "srem", "zadd", "zrem", "zrangebyscore", "pexpire", "@transaction", *_SCRIPTS, "time",
)  # fmt: skip
"""Commands that ask workers, receive their answers and events, and measure queues."""
_SENDS = (
    "lpush", "ltrim", "llen", "sadd", "get", "set", "pttl", "pexpire", "del", "@transaction", *_SCRIPTS, "time",
)  # fmt: skip
"""Commands that send messages and take a lock."""
SINCE = {"waitaof": (7, 2), "client|setinfo": (7, 2), "function|kill": (7, 0)}
"""Command → first release that knows it; older servers are not given it."""
READ_ONLY_KEYS_SINCE = (7, 0)

_QUEUES = tuple(f"{service}*" for service in WORKERS)
"""Lists and notifications of every queue: a worker that recovers dead workers' messages puts them back anywhere."""
_UNACKED = ("unacked*", "dead_letters")


def _bindings(*exchanges: str) -> tuple[str, ...]:
    """The sets in which kombu records the bindings of an exchange."""
    return tuple(f"_kombu.{kind}.{exchange}" for exchange in exchanges for kind in ("binding", "binding_permanent"))


_SENT = _bindings("registerbro")
_ANSWERED = ("*.reply.celery.pidbox*", *_bindings("reply.celery.pidbox"))
_DEADLINES = ("_kombu.binding_deadlines", *_bindings("celery.pidbox"))
"""Deadlines of queues that expire with their worker; each consumer of such a queue sweeps them all."""
_ASKED, _EVENTS = "/0.celery.pidbox", "/0.celeryev/*"
"""Literal, since Redis allows a pattern subscription only for exactly these."""
_REPORTS = (keys.reports_key(ANY),)
_CHAINS_OF_BEFORE = (keys.heads_key(), keys.floors_key())


def _chains(writer: str) -> tuple[str, ...]:
    return keys.heads_key(writer), keys.floors_key(writer)


def _timetable(register: str) -> tuple[str, ...]:
    of_register = (keys.due_key, keys.taken_key, keys.running_key, keys.paced_key, keys.timetable_clock_key)
    return tuple(key(register) for key in of_register)


def _subscriptions(register: str) -> tuple[str, ...]:
    of_register = (keys.subscriptions_due_key, keys.subscriptions_ending_key, keys.subscriptions_clock_key)
    return (keys.subscription_key(register, ANY), *(key(register) for key in of_register))


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights of one service on one server. `reads` are keys that it may only read, where Redis can tell (from 7 on).

    `only_reads` are such keys that the service is not granted where Redis cannot tell.
    """

    keys: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    only_reads: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    why: str = ""


def _worker(register: str, upstreams: Iterable[str]) -> dict[str, Grant]:
    admission = tuple(f"{keys.admission_key(name)}*" for name in upstreams)
    overrides = tuple(map(keys.override_key, upstreams))
    return {
        "broker": Grant(
            keys=(
                *_QUEUES, *_UNACKED, *_SENT, *_ANSWERED, *_DEADLINES, "*.celery.pidbox*", *admission,
                keys.lease_key(register, ANY), keys.wanted_key(register), keys.alive_key(f"{register}*"),
                *_timetable(register), keys.partial_key(register), keys.unknown_key(register),
            ),
            reads=(keys.ACTIVE_KEY,),
            channels=(_ASKED, _EVENTS, keys.ADMISSION_CHANNEL),
            commands=(*_DATA, *_SUBSCRIBE, *_LOOK),
            why="takes its messages, puts back those of the dead, leases, admission, schedule, signs of life and of "
            "what was left out or unknown",
        ),
        "ledger": Grant(
            keys=(
                *overrides, *map(keys.quarantine_key, upstreams),
                *(_subscriptions(register) if register in SUBSCRIBED else ()),
                *((keys.contact_groups_key(ANY), keys.CONTACT_GROUPS_CLOCK_KEY) if register == VISITERING else ()),
                *_chains(service_of(register)),
            ),
            only_reads=_CHAINS_OF_BEFORE,
            commands=(*_DATA, *_DURABLE),
            why="operators' overrides of what it calls; sets one itself; whom it is not to ask about; "
            + ("who is subscribed there; " if register in SUBSCRIBED else "")
            + ("contact groups over time; " if register == VISITERING else "")
            + "its audit log's heads",
        ),
        "cache": Grant(
            keys=(
                keys.entry_key(ANY, register), *((keys.employer_key(ANY),) if register == "eindkomst" else ()),
            ),
            reads=(keys.citizen_key(ANY), keys.standing_key(ANY)),
            channels=(keys.ENTRY_CHANNELS,),
            commands=(*_DATA, *_PUBLISH, *_LOOK),
            why="its own register's entries, whose id it is, and whether the target group has them",
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
            keys=(*_REPORTS, keys.override_key(BOOKING_VENDOR)),
            commands=(*_DATA, *_DURABLE),
            why="fault reports; operators' override of the vendor",
        ),
        "cache": Grant(
            reads=(keys.citizen_key(ANY),),
            commands=("get",),
            why="whose id a report's author has, where the vendor is told (SEND_CPR)",
        ),
    }
    grants["beat"] = {
        "broker": Grant(
            keys=(*_QUEUES, *_SENT, keys.BEAT_LOCK_KEY),
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
            keys=(
                *_QUEUES, *_SENT, keys.lease_key(ANY, ANY), keys.wanted_key(ANY), f"{keys.admission_key(ANY)}*",
                keys.limit_key(ANY, ANY), keys.LIMITS_CLOCK_KEY, keys.ended_key(ANY), keys.ACTIVE_KEY, *_timetable(ANY),
                keys.unknown_key(PORTAL),
            ),
            reads=(keys.alive_key(ANY), keys.partial_key(ANY), keys.unknown_key(ANY), "unacked_dead"),
            channels=(keys.ADMISSION_CHANNEL,),
            commands=(*_DATA, *_PUBLISH, *_LOOK),
            why="asks for refreshes and deliveries, sets overrides, shows the state of all; the demo's ended sessions",
        ),
        "ledger": Grant(
            keys=(
                *_REPORTS, keys.override_key(ANY), keys.FORMER_OVERRIDES_KEY, keys.quarantine_key(ANY),
                keys.banner_key(ANY), keys.contact_groups_key(ANY), *_subscriptions(ANY),
                *_chains("portal"), *_CHAINS_OF_BEFORE,
            ),
            reads=_chains(ANY),
            commands=(*_DATA, *_SCAN, *_DURABLE),
            why="takes fault reports, shows and replays them; overrides; who is not asked about; dismissed banners; "
            "ends subscriptions; its audit log's heads, and a look at all; `keys reseal` is run there",
        ),
        "cache": Grant(
            keys=(
                keys.entry_key(ANY, ANY), keys.citizen_key(ANY), keys.standing_key(ANY), keys.booked_key(ANY),
                keys.employer_key(ANY),
            ),
            channels=(keys.ENTRY_CHANNELS,),
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
"""Service → server → its rights there. On a server that is missing here, the service has no user."""


def acl_file(
    server: str, passwords: Mapping[str, str], redis_version: tuple[int, int], former: Mapping[str, str] | None = None
) -> str:
    """The ACL file of one server. `passwords` are by service; the file holds their SHA-256 only.

    `former` are former passwords, which stay good beside the others.
    """
    lines = [NOBODY, f"user {HEALTH} on nopass -@all +ping"]
    for service, grants in GRANTS.items():
        if server in grants:
            known = [one[service] for one in (passwords, former or {}) if service in one]
            digests = [f"#{hashlib.sha256(one.encode()).hexdigest()}" for one in known]
            lines.append(" ".join(["user", service, "on", *digests, *_rules(grants[server], redis_version)]))
    return "\n".join(lines) + "\n"


def _rules(grant: Grant, redis_version: tuple[int, int]) -> Iterator[str]:
    """Rules as Redis writes them. Before 7, Redis cannot tell keys that may only be read."""
    can_tell = redis_version >= READ_ONLY_KEYS_SINCE
    reads = (*grant.reads, *(grant.only_reads if can_tell else ()))
    yield from ("resetkeys", *(f"~{key}" for key in grant.keys))
    yield from (f"{'%R~' if can_tell else '~'}{key}" for key in reads)
    yield from ("resetchannels", *(f"&{channel}" for channel in grant.channels), "-@all")
    for command in (*_CONNECTION, *grant.commands):
        if redis_version >= SINCE.get(command, (0, 0)):
            yield command if command.startswith("-") else f"+{command}"


def table() -> str:
    """The table of docs/security.md: one row per service and server."""
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
