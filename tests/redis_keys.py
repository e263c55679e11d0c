"""Keys that tests leave on the three Redis servers, held against the keys that a service may touch there.

Where ACLs are on, a key that no service is granted works in no installation. ACLs derive from
`registerbro/storage/keys.py`, so a key that is named elsewhere shows here.
"""

import re
from collections.abc import Iterator
from fnmatch import translate

from redis import Redis, RedisError

from demo.installation import RedisServer
from registerbro.storage.acl import GRANTS, OPERATOR

OF_TESTS = (
    "k", "key*", "count", "text", "set", "other set", "hash", "sorted", "places", "stream", "list", "{k}*",
    "a:clock", "another", "page:*", "leak:*",
)  # fmt: skip
"""Names that stand for any key, in tests of what does not care for names."""


def granted(server: str) -> tuple[str, ...]:
    """The patterns of all keys that any service but the operator may touch on a server."""
    grants = [servers[server] for service, servers in GRANTS.items() if service != OPERATOR and server in servers]
    return tuple({pattern for grant in grants for pattern in (*grant.keys, *grant.reads, *grant.only_reads)})


KNOWN = {
    server: re.compile("|".join(map(translate, (*granted(server), *OF_TESTS))))
    for server in ("broker", "ledger", "cache")
}


def strangers(server: str, client: Redis) -> Iterator[str]:
    """The keys on a server that no service may touch."""
    for key in client.scan_iter(count=1000):
        name = key.decode("utf-8", "backslashreplace")
        if not KNOWN[server].fullmatch(name):
            yield name


def left_behind(role: str, server: RedisServer) -> list[str]:
    """The same of a test's server; none of one that a test has stopped, frozen or made refuse."""
    try:
        with server.client() as client:
            return sorted(strangers(role, client))
    except RedisError:
        return []
