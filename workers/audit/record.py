"""The format of a record: one JSON object a line, which names the line before it and ends with its own hash."""

import hashlib
import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from config.logging import redacted_text
from config.visible import to_json
from workers import names

GENESIS = "0" * 64
"""What the first line of a chain names as the hash of the line before it."""
_HASH = b',"hash":"'
_END = b'"}'
_DIGITS = 64
_LETTERS = str.maketrans(string.hexdigits[:16], string.ascii_lowercase[:16])


class Damaged(ValueError):
    """A line is not as it was written; the message says how that is known, and holds nothing of the line."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a chain has come to: the number of its last line, which begin at 1, and that line's hash."""

    seq: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Record:
    """One intact line."""

    chain: str
    prev: str
    position: Position
    facts: Mapping[str, Any]
    """Everything else that it says, by name; docs/audit.md lists the names."""


def write(chain: str, after: Position, facts: Mapping[str, Any]) -> tuple[bytes, Position]:
    """The line that says `facts` after that one, with its line break, and where the chain has come to by it."""
    values = {"chain": chain, "seq": after.seq + 1, "prev": after.hash, **facts}
    # What a terminal would obey, or is no Unicode, becomes an escape: people look at these files as they are.
    body = to_json(values, separators=(",", ":")).encode()
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + _HASH + digest.encode() + _END + b"\n", Position(after.seq + 1, digest)


def read(line: bytes) -> Record:
    """The record of a line without its line break. Raises Damaged.

    The hash is over the very bytes before it, so that not a blank of them can be another.
    """
    body, found, told = line.rpartition(_HASH)
    if not found or len(told) != _DIGITS + len(_END) or not told.endswith(_END):
        raise Damaged("it is no record")
    digest = hashlib.sha256(body + b"}").hexdigest()
    if digest.encode() != told[:_DIGITS]:
        raise Damaged("it was changed")
    try:
        values = json.loads(line)
        values.pop("hash")
        chain, seq, prev = values.pop("chain"), values.pop("seq"), values.pop("prev")
    except (ValueError, KeyError, AttributeError):
        raise Damaged("it is no record") from None
    if not isinstance(chain, str) or not isinstance(seq, int) or not isinstance(prev, str):
        raise Damaged("it is no record")
    return Record(chain, prev, Position(seq, digest), values)


def now() -> str:
    """The time, as records have it: UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_id() -> str:
    """A random id (80 bits) of letters alone, so that none of it ever looks like a CPR number."""
    return names.name(10).translate(_LETTERS)


def told(text: str) -> str:
    """What a person has typed, as it may be written down: whatever looks like a CPR number is taken out."""
    return redacted_text(text)[:500]
