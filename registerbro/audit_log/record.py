"""Format of an audit record: one JSON object per line, with the previous line's hash, and its own hash at the end."""

import hashlib
import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from config.logging import redacted_text
from domain.hidden_characters import to_json
from registerbro.telemetry import random_ids

GENESIS = "0" * 64
"""Previous hash of a chain's first line."""
_HASH = b',"hash":"'
_END = b'"}'
_DIGITS = 64
_LETTERS = str.maketrans(string.hexdigits[:16], string.ascii_lowercase[:16])


class Damaged(ValueError):
    """The line is not as it was written. The message says how that shows, and holds nothing of the line."""


@dataclass(frozen=True, slots=True)
class Position:
    """Position in a chain: the number of a line, from 1, and its hash."""

    seq: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Record:
    """Intact line of a chain."""

    chain: str
    prev: str
    position: Position
    facts: Mapping[str, Any]
    """All other values, by name; docs/audit.md lists the names."""


def write(chain: str, after: Position, facts: Mapping[str, Any]) -> tuple[bytes, Position]:
    """The line that holds `facts` and follows `after`, with its line break, and its position."""
    values = {"chain": chain, "seq": after.seq + 1, "prev": after.hash, **facts}
    # Control characters and invalid Unicode become escapes: people read these files in a terminal.
    body = to_json(values, separators=(",", ":")).encode()
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + _HASH + digest.encode() + _END + b"\n", Position(after.seq + 1, digest)


def read(line: bytes) -> Record:
    """The record of a line without its line break. Raises Damaged.

    The hash covers the very bytes before it, so that not even a blank can change.
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
    """The current time in the format of records: UTC, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_id() -> str:
    """A random id (80 bits) of letters only, so that no part of it looks like a CPR number."""
    return random_ids.name(10).translate(_LETTERS)


def told(text: str) -> str:
    """Text that a person typed, as it may be recorded: without anything that looks like a CPR number."""
    return redacted_text(text)[:500]
