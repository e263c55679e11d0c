"""`python -m tests.system.insiders`: what each service's user can do on the Redis servers, tried out and put as a
table.

Each kind of thing is laid there by an operator, tried by each user with every command that could read, change or delete
it, and looked at afterwards by the operator. The servers are real, and have the ACLs that containers have.
docs/security.md shows the table, and `tests/system/test_insiders.py` holds it.
"""

import fnmatch
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.retry import Retry

from config.celery import BOOKING_VENDOR, REGISTERS, WORKERS, service_of
from demo.installation import installation
from registerbro.storage import acl

USERS = (*acl.GRANTS, acl.HEALTH)
ALL = {**{service_of(name): name for name in WORKERS}}
"""Worker service → what it works for."""
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "a register's worker": tuple(service_of(name) for name in REGISTERS),
    "worker-booking-vendor": (service_of(BOOKING_VENDOR),),
    **{name: (name,) for name in ("beat", "flower", "portal", acl.OPERATOR)},
}
"""Kinds of insiders, each with the users that are of that kind. They can all do the same, or the table is wrong."""

Keys = Callable[[str], Iterable[str]]
CALLED = {name: ("eindkomst", "cvr") if name == "eindkomst" else (name,) for name in WORKERS}


@dataclass(frozen=True, slots=True)
class Thing:
    """A kind of thing on one server. `keys` are those that one user's column is about; none, and it does not apply."""

    what: str
    server: str
    kind: str
    keys: Keys


def same(*keys: str) -> Keys:
    """The same keys for everybody."""
    return lambda _: keys


def own(pattern: str, of: Callable[[str], Iterable[str]] = lambda name: (name,)) -> Keys:
    """The keys of what a worker works for; `{}` in the pattern stands for its name."""
    return lambda user: [pattern.replace("{}", name) for name in (of(ALL[user]) if user in ALL else ())]


def others(
    pattern: str, of: Callable[[str], Iterable[str]] = lambda name: (name,), names: Iterable[str] = WORKERS
) -> Keys:
    """The keys of all the others; of all of them for who is no worker."""

    def keys(user: str) -> list[str]:
        mine = set(own(pattern, of)(user))
        return [key for name in names for one in of(name) if (key := pattern.replace("{}", one)) not in mine]

    return keys


def called(name: str) -> Iterable[str]:
    """Of a worker service, what it calls."""
    return CALLED[name]


def service(name: str) -> Iterable[str]:
    """Of a worker service, its user."""
    return (service_of(name),)


THINGS = (
    Thing("a fault report that the vendor has not got", "ledger", "hash",
          same("{reports}:report:x", "{reports}:texts")),
    Thing("whether reports are sent (halt, due)", "ledger", "zset", same("{reports}:due")),
    Thing("an override of what it calls", "ledger", "string", own("override:{}", called)),
    Thing("an override of another upstream", "ledger", "string", others("override:{}", called)),
    Thing("who is in quarantine at what it calls", "ledger", "hash", own("quarantine:{}", called)),
    Thing("who is in quarantine at another register", "ledger", "hash",
          others("quarantine:{}", called, names=REGISTERS)),
    Thing("heads and floors of its own audit log", "ledger", "hash",
          lambda user: [f"audit:{part}:{user}" for part in ("heads", "floors") if user not in {"beat", "flower"}]),
    Thing("heads and floors of another's audit log", "ledger", "hash",
          lambda user: [f"audit:{part}:{one}" for part in ("heads", "floors")
                        for one in (*map(service_of, REGISTERS), "portal") if one != user]),
    Thing("subscriptions at its own register, with sealed numbers", "ledger", "hash",
          lambda user: ["subscription:{udb}:x"] if ALL.get(user) == "udb" else []),
    Thing("subscriptions at a register, for everybody else", "ledger", "hash",
          lambda user: ["subscription:{udb}:x"] if ALL.get(user) != "udb" else []),
    Thing("contact groups over time (sealed), for visitering's worker", "ledger", "string",
          lambda user: ["contact_groups:{visitering}:x"] if ALL.get(user) == "visitering" else []),
    Thing("contact groups over time (sealed), for everybody else", "ledger", "string",
          lambda user: ["contact_groups:{visitering}:x"] if ALL.get(user) != "visitering" else []),
    Thing("that a banner was dismissed", "ledger", "string", same("banner:{x}")),
    Thing("entries of its own register", "cache", "hash", own("entry:{x}:{}")),
    Thing("entries of another register", "cache", "hash", others("entry:{x}:{}", names=REGISTERS)),
    Thing("whose an id is (sealed)", "cache", "string", same("citizen:{x}")),
    Thing("a citizen's contact groups (sealed)", "cache", "string", same("standing:{x}")),
    Thing("employers' names, for eindkomst's worker", "cache", "string",
          lambda user: ["employer:12345678"] if ALL.get(user) == "eindkomst" else []),
    Thing("employers' names, for everybody else", "cache", "string",
          lambda user: ["employer:12345678"] if ALL.get(user) != "eindkomst" else []),
    Thing("meetings just booked", "cache", "hash", same("booked:{x}")),
    Thing("a message that waits in a queue of its own", "broker", "list", own("{}")),
    Thing("a message that waits in another's queue", "broker", "list", others("{}")),
    Thing("a message that a worker holds", "broker", "hash", same("unacked")),
    Thing("workers' signs of life on what they hold", "broker", "zset", same("unacked_alive", "unacked_consumers")),
    Thing("dead letters", "broker", "hash", same("unacked_dead")),
    Thing("leases and wishes of its own register", "broker", "zset", own("wanted:{{}}")),
    Thing("leases and wishes of another register", "broker", "zset", others("wanted:{{}}", names=REGISTERS)),
    Thing("the schedule of its own register", "broker", "zset", own("timetable:due:{{}}")),
    Thing("the schedule of another register", "broker", "zset", others("timetable:due:{{}}", names=REGISTERS)),
    Thing("who is active, for all schedules", "broker", "zset", same("timetable:active")),
    Thing("breaker and limits of what it calls", "broker", "hash", own("admission:{{}}", called)),
    Thing("breaker and limits of another upstream", "broker", "hash", others("admission:{{}}", called)),
    Thing("signs of life of its own queues", "broker", "string", own("alive:{}")),
    Thing("signs of life of other queues", "broker", "string", others("alive:{}")),
    Thing("how often somebody asked", "broker", "hash", same("limits:refresh:x")),
    Thing("which beat sends", "broker", "string", same("redbeat::lock")),
    Thing("answers of workers to questions", "broker", "list", same("x.reply.celery.pidbox")),
)  # fmt: skip

MAKE = {
    "string": ("SET", "{key}", "a"), "hash": ("HSET", "{key}", "a", "1"), "list": ("LPUSH", "{key}", "a", "b"),
    "zset": ("ZADD", "{key}", "1", "a"),
}  # fmt: skip
AS_LAID = {
    "string": ("a", False), "hash": ({"a": "1"}, False), "list": (["b", "a"], False), "zset": ([["a", 1.0]], False),
}  # fmt: skip
READ = {
    "string": [("GET", "{key}"), ("GETRANGE", "{key}", "0", "-1"), ("MGET", "{key}")],
    "hash": [("HGETALL", "{key}"), ("HGET", "{key}", "a"), ("HVALS", "{key}")],
    "list": [("LRANGE", "{key}", "0", "-1"), ("LINDEX", "{key}", "0"), ("BRPOP", "{key}", "0.01")],
    "zset": [("ZRANGE", "{key}", "0", "-1"), ("ZSCORE", "{key}", "a")],
}
COUNT = {"string": "STRLEN", "hash": "HLEN", "list": "LLEN", "zset": "ZCARD"}
CHANGE = {
    "string": [("APPEND", "{key}", "x")],
    "hash": [("HSET", "{key}", "a", "2"), ("HINCRBY", "{key}", "a", "1")],
    "list": [("LPUSH", "{key}", "x"), ("RPUSH", "{key}", "x"), ("LSET", "{key}", "0", "x")],
    "zset": [("ZADD", "{key}", "2", "a"), ("ZADD", "{key}", "3", "x"), ("ZINCRBY", "{key}", "1", "a")],
}
CHANGE_ANY = [("SET", "{key}", "x"), ("GETSET", "{key}", "x"), ("PEXPIRE", "{key}", "100000")]
DELETE_ANY = [("DEL", "{key}"), ("UNLINK", "{key}"), ("GETDEL", "{key}"), ("PEXPIRE", "{key}", "0")]
DELETE = {
    "string": [],
    "hash": [("HDEL", "{key}", "a")],
    "list": [("RPOP", "{key}"), ("LPOP", "{key}"), ("BRPOP", "{key}", "0.01"), ("LTRIM", "{key}", "1", "0"),
             ("LREM", "{key}", "0", "a")],
    "zset": [("ZREM", "{key}", "a"), ("ZPOPMIN", "{key}"), ("ZREMRANGEBYSCORE", "{key}", "-inf", "+inf")],
}  # fmt: skip

COMMANDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "empty a server": (("FLUSHALL",), ("FLUSHDB",), ("SWAPDB", "0", "1")),
    "end a server, or make it follow another": (
        ("SHUTDOWN", "NOSAVE"), ("REPLICAOF", "127.0.0.1", "1"), ("FAILOVER",), ("DEBUG", "SEGFAULT"),
    ),
    "change a server's settings": (
        ("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "REWRITE"), ("CONFIG", "RESETSTAT"), ("SAVE",),
        ("BGREWRITEAOF",),
    ),
    "read a server's settings": (("CONFIG", "GET", "maxmemory"),),
    "see or change users": (
        ("ACL", "LIST"), ("ACL", "SETUSER", "x", "on"), ("ACL", "DELUSER", "portal"), ("ACL", "LOG"),
    ),
    "watch what others do, or end their connections": (
        ("MONITOR",), ("CLIENT", "LIST"), ("CLIENT", "KILL", "TYPE", "normal"), ("CLIENT", "PAUSE", "1"),
        ("SLOWLOG", "GET"),
    ),
    "see the names of keys that are not its own": (("SCAN", "0"), ("KEYS", "*"), ("RANDOMKEY",), ("DBSIZE",)),
    "take scripts and functions from others": (("SCRIPT", "FLUSH"), ("FUNCTION", "FLUSH"), ("FUNCTION", "LIST")),
    "bring code of its own, bound to its own keys": (("SCRIPT", "LOAD", "return 1"),),
    "end a script that holds a server up": (("SCRIPT", "KILL"),),
}  # fmt: skip
ASK = ("PUBLISH", "/0.celery.pidbox", "{}")


class Insiders:
    """The three servers, and a client for each user that may sign in there."""

    def __init__(self, urls: Callable[[str, str], str]) -> None:
        self._clients = {
            (user, server): redis.Redis.from_url(urls(user, server), decode_responses=True, retry=Retry(NoBackoff(), 0))
            for user in acl.GRANTS
            for server in acl.SERVERS
        }
        self._signs_in = {place for place, client in self._clients.items() if _answers(client)}
        version = self._clients[acl.OPERATOR, "broker"].info("server")["redis_version"]
        self.version = tuple(int(part) for part in version.split(".")[:2])

    def close(self) -> None:
        """Closes every connection."""
        for client in self._clients.values():
            client.close()

    def can(self, user: str, thing: Thing) -> frozenset[str] | None:
        """Of a thing, what a user can do with it: `read`, or else `count`; `change`, `delete`. None: not applicable."""
        keys = list(thing.keys(user))
        if not keys:
            return None
        if (user, thing.server) not in self._signs_in:
            return frozenset()
        found: set[str] = set()
        for key in keys:
            found.update(self._verbs(user, thing, key))
        return frozenset(found - {"count"} if "read" in found else found)

    def commands(self, user: str, commands: Iterable[tuple[str, ...]]) -> list[str]:
        """The servers on which a user is not refused one of these commands."""
        return [server for server in acl.SERVERS if any(self._may(user, server, command) for command in commands)]

    def asks(self, user: str) -> bool:
        """Whether a user can publish a question, or an order, to the workers."""
        return self._may(user, "broker", ASK)

    def _verbs(self, user: str, thing: Thing, key: str) -> Iterable[str]:
        kind = thing.kind
        self._lay(thing, key)
        try:
            if any(self._comes_to(user, thing, key, command) for command in READ[kind]):
                yield "read"
            elif self._comes_to(user, thing, key, (COUNT[kind], "{key}")):
                yield "count"
            changed = {self._comes_to(user, thing, key, command) for command in (*CHANGE[kind], *CHANGE_ANY)}
            if changed & {"changed", "gone"}:
                yield "change"
            if any(self._comes_to(user, thing, key, command) == "gone" for command in (*DELETE[kind], *DELETE_ANY)):
                yield "delete"
        finally:
            self._clients[acl.OPERATOR, thing.server].delete(key)

    def _lay(self, thing: Thing, key: str) -> None:
        with self._clients[acl.OPERATOR, thing.server].pipeline(transaction=True) as pipeline:
            pipeline.delete(key)
            pipeline.execute_command(*(part.replace("{key}", key) for part in MAKE[thing.kind]))
            pipeline.execute()

    def _comes_to(self, user: str, thing: Thing, key: str, command: tuple[str, ...]) -> str | None:
        """What a command does to a thing: none, as it is refused; or it leaves it the same, changed or gone."""
        try:
            self._clients[user, thing.server].execute_command(*(part.replace("{key}", key) for part in command))
        except NoPermissionError:
            return None
        except ResponseError:
            # No command of this server's release, or none for this kind.
            return None
        after = self._state(self._clients[acl.OPERATOR, thing.server], key)
        if after == AS_LAID[thing.kind]:
            return "same"
        self._lay(thing, key)
        return "changed" if after else "gone"

    @staticmethod
    def _state(operator: redis.Redis, key: str) -> object:
        kind = operator.type(key)
        if kind == "none":
            return None
        read = {
            "string": ("GET", key), "hash": ("HGETALL", key), "list": ("LRANGE", key, 0, -1),
            "zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
        }[kind]  # fmt: skip
        return operator.execute_command(*read), operator.ttl(key) > 0

    def _may(self, user: str, server: str, command: tuple[str, ...]) -> bool:
        if (user, server) not in self._signs_in:
            return False
        try:
            self._clients[user, server].execute_command(*command)
        except NoPermissionError:
            return False
        except ResponseError as error:
            # Unknown to this server, or allowed to nobody there (DEBUG, from 7 on); else wrong, and not refused.
            return not any(told in str(error).lower() for told in ("unknown command", "not allowed"))
        return True


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except AuthenticationError:
        return False


VERBS = ("read", "count", "change", "delete")
ALSO_BEFORE_7, NOT_BEFORE_7 = "¹", "²"


def table(insiders: Insiders) -> str:
    """The table, as measured on a Redis that can tell reading from changing."""
    rows = [_row("", COLUMNS), f"|{'---|' * (len(COLUMNS) + 1)}"]
    for thing in THINGS:
        cells = [_cell({insiders.can(user, thing) for user in users}) for users in COLUMNS.values()]
        marks = [_mark(users[0], thing) for users in COLUMNS.values()]
        rows.append(
            _row(f"{thing.server}: {thing.what}", [cell + mark for cell, mark in zip(cells, marks, strict=True)])
        )
    for what, commands in COMMANDS.items():
        told = [{", ".join(insiders.commands(user, commands)) for user in users} for users in COLUMNS.values()]
        rows.append(_row(what, [_only(one) or "no" for one in told]))
    asks = [_only({insiders.asks(user) for user in users}) for users in COLUMNS.values()]
    rows.append(_row("ask a worker something (`ping`, `stats`, `conf`, …)", ["yes" if one else "no" for one in asks]))
    return "\n".join(rows)


def as_before_7(shown: str) -> str:
    """The table as it is on a Redis that cannot tell reading from changing."""
    lines = []
    for line in shown.splitlines():
        cells = [
            "read, change, delete" if cell.endswith(ALSO_BEFORE_7) else "no" if cell.endswith(NOT_BEFORE_7) else cell
            for cell in line.split(" | ")
        ]
        lines.append(" | ".join(cells))
    return "\n".join(lines)


def without_marks(shown: str) -> str:
    """The table as it is measured on a Redis that can tell them apart."""
    return shown.replace(ALSO_BEFORE_7, "").replace(NOT_BEFORE_7, "")


def _row(what: str, cells: Iterable[str]) -> str:
    return f"| {what} | {' | '.join(cells)} |"


def _only(found: set) -> object:
    found = found - {None} or found
    if len(found) != 1:
        raise AssertionError(f"users of one kind can do different things: {found}")
    return found.pop()


def _cell(found: set[frozenset[str] | None]) -> str:
    can = _only(found)
    if can is None:
        return "·"
    return ", ".join(verb for verb in VERBS if verb in can) or "no"


def _mark(user: str, thing: Thing) -> str:
    """Whether a cell is another before Redis 7, by the list in registerbro/storage/acl.py; what it is there, is
    measured there."""
    grant = acl.GRANTS[user].get(thing.server, acl.Grant())
    keys = list(thing.keys(user))
    if any(fnmatch.fnmatchcase(key, pattern) for key in keys for pattern in _literal(grant.keys)):
        return ""
    # Where every command reads, a key is only read whatever the server can tell.
    also = "" if set(grant.commands) <= {"get"} else ALSO_BEFORE_7
    for patterns, mark in ((grant.reads, also), (grant.only_reads, NOT_BEFORE_7)):
        if any(fnmatch.fnmatchcase(key, pattern) for key in keys for pattern in _literal(patterns)):
            return mark
    return ""


def _literal(patterns: Iterable[str]) -> list[str]:
    return [pattern.replace("[", "[[]") for pattern in patterns]


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as directory, installation(Path(directory)) as here:
        here.use_users().start_redis()
        insiders = Insiders(lambda user, server: here.redis[server].url_for(user))
        print(table(insiders))
        insiders.close()


if __name__ == "__main__":
    main()
