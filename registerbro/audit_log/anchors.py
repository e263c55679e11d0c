"""Anchors of the audit log on the ledger: the head of each chain, and its floor, from where on it is kept.

A chain shows by itself that a line was changed, or removed from its middle. Its head on another machine shows that the
end was cut off, or that all of it is gone.

Each service that writes chains has two hashes of its own, by chain, named after the user that it signs in to the ledger
as: so no service can change or delete the anchors of another. Former releases had two for all services, without a name;
the process that has a chain's files moves its anchor from there (`adopt`).
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from redis.exceptions import NoPermissionError

from config.celery import REGISTERS, service_of
from registerbro.audit_log.record import Position
from registerbro.storage.keys import floors_key, heads_key
from registerbro.storage.ledger.connection import Ledger
from registerbro.storage.lua import Scripts

NOBODY = "default"
"""Writer where services do not sign in, or sign in as an unknown user."""
WRITERS = (NOBODY, "portal", "operator", *map(service_of, REGISTERS))
"""Users on the ledger that write chains."""
READERS = (NOBODY, "portal", "operator")
"""Users that may read all anchors. The others read their own, and their folders hold no other chains."""


@dataclass(frozen=True, slots=True)
class Head:
    """Anchor of a chain: its last line that the ledger knows; `floor` is its last line that is no longer kept."""

    position: Position
    closed: bool
    """Whether the chain was closed in order: then no line follows its head."""
    floor: Position


class Anchors:
    """Anchors of all chains that this process may read. Every method raises REDIS_DOWN errors."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._writer = ledger.user if ledger.user in WRITERS else NOBODY
        self._seen = WRITERS if self._writer in READERS else (self._writer,)
        scripts = Scripts(ledger.redis, __file__)
        self._put = scripts.load("anchors_put")
        self._raise_floor = scripts.load("anchors_raise_floor")
        self._forget = scripts.load("anchors_forget")

    async def read(self) -> Mapping[str, Head]:
        """The anchors by chain, of every writer; of its own service only, in a worker that signs in as itself.

        When two writers claim a chain, the higher head and the lower floor win: verification then expects more lines.
        """
        told = await self._told((*self._seen, ""))
        before = told.pop("", {})
        found: dict[str, Head] = {}
        for heads in told.values():
            for chain, head in heads.items():
                found[chain] = _both(head, found[chain]) if chain in found else head
        for chain, head in before.items():
            if chain not in found or found[chain].position.seq < head.position.seq:
                found[chain] = head
        return found

    async def own(self) -> Mapping[str, Head]:
        """The anchors of this process's own service, by chain."""
        return (await self._told((self._writer,)))[self._writer]

    async def adopt(self, chains: Collection[str]) -> None:
        """Moves the anchors of these chains from the hashes that former releases had for all services.

        A process that may also write there removes every anchor that any process has moved.
        """
        told = await self._told((*self._seen, ""))
        before = told.pop("", {})
        for chain in before.keys() & set(chains) - told[self._writer].keys():
            head = before[chain]
            if head.floor.seq:
                await self.raise_floor(chain, head.floor)
            await self.put(chain, head.position, closed=head.closed)
            told[self._writer] = {**told[self._writer], chain: head}
        taken = [
            chain
            for chain, head in before.items()
            if any(chain in heads and heads[chain].position.seq >= head.position.seq for heads in told.values())
        ]
        if taken:
            try:
                await self._ledger.redis.hdel(heads_key(), *taken)
                await self._ledger.redis.hdel(floors_key(), *taken)
            except NoPermissionError:
                # The portal does it, at its next start.
                return

    async def today(self) -> date:
        """Today in UTC, by the ledger's clock."""
        seconds, _ = await self._ledger.redis.time()
        return datetime.fromtimestamp(seconds, UTC).date()

    async def put(self, chain: str, position: Position, *, closed: bool) -> bool:
        """Moves a chain's head forward. False when it is further already: then another process writes this chain."""
        call = self._put.call(
            heads=heads_key(self._writer),
            chain=chain,
            seq=position.seq,
            hash=position.hash,
            closed="true" if closed else "false",
        )
        return bool(await self._ledger.durably(call, repeatable=True))

    async def raise_floor(self, chain: str, floor: Position) -> None:
        """Records the last line of a chain that is no longer kept."""
        call = self._raise_floor.call(floors=floors_key(self._writer), chain=chain, seq=floor.seq, hash=floor.hash)
        await self._ledger.durably(call, repeatable=True)

    async def forget(self, chain: str) -> None:
        """Removes a chain's anchor, when no line of it is kept."""
        call = self._forget.call(heads=heads_key(self._writer), floors=floors_key(self._writer), chain=chain)
        await self._ledger.durably(call, repeatable=True)

    async def _told(self, writers: Collection[str]) -> dict[str, dict[str, Head]]:
        """The anchors by writer and chain that this process may read; "" is the writer of former releases."""
        async with self._ledger.redis.pipeline(transaction=False) as pipeline:
            # Read the heads last: their lines are on the disks by then, and no floor is older than its head.
            for key_of in (floors_key, heads_key):
                for writer in writers:
                    pipeline.hgetall(key_of(writer))
            answers = await pipeline.execute(raise_on_error=False)
        told = {}
        for writer, floors, heads in zip(writers, answers[: len(writers)], answers[len(writers) :], strict=True):
            for answer in (floors, heads):
                if isinstance(answer, Exception) and not isinstance(answer, NoPermissionError):
                    raise answer
            if not isinstance(floors, Exception) and not isinstance(heads, Exception):
                told[writer] = dict(_read(floors, heads))
        return told


def _read(floors: dict[Any, Any], heads: dict[Any, Any]) -> Iterator[tuple[str, Head]]:
    for chain, text in heads.items():
        head, floor = json.loads(text), json.loads(floors.get(chain, b"{}"))
        yield (
            chain.decode(),
            Head(
                Position(head["seq"], head["hash"]),
                head["closed"],
                Position(floor["seq"], floor["hash"]) if floor else Position(),
            ),
        )


def _both(one: Head, other: Head) -> Head:
    higher = max(one, other, key=lambda head: head.position.seq)
    return Head(higher.position, higher.closed, min(one.floor, other.floor, key=lambda floor: floor.seq))
