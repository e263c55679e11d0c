"""Exclusive canonicalisation (XML-C14N) of an answer's elements: written out, or hashed without being kept.

Time and memory are bounded: the canonical form of an element may be many times as long as the element.
"""

from contextlib import suppress
from io import BytesIO
from typing import BinaryIO, Final, cast

from cryptography.hazmat.primitives import hashes
from lxml import etree
from lxml.etree import _Element as Element

from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.ws_security.vocabulary import EXCLUSIVE, local_name

CANONICAL: Final = 64 << 20
"""Bytes that a part of an answer may be when it is canonicalised: four times the longest answer. A namespace is written
out on each of the elements beside each other that use it."""

PREFIXES: Final = 8
"""Namespaces that a canonicalisation may name besides those that are used: as many as an Envelope declares, and some.
Each of them is looked for at each element."""

_INCLUSIVE_NAMESPACES = f"{{{EXCLUSIVE.value}}}InclusiveNamespaces"

_HASHED_AT_ONCE = 256 * 1024
"""Bytes, which take longer to write than the 5 ms after which a thread that waits is let in."""


class Hashing:
    """File-like object that hashes a canonical form as it is written, and keeps the digest alone.

    lxml writes parts of some KiB; between them, other threads have their turn. The parts are hashed many at a time:
    hashing releases the interpreter and takes it again at once, so that a waiting thread begins to wait anew each time.
    """

    def __init__(self, of: hashes.HashAlgorithm) -> None:
        self._digest = hashes.Hash(of)
        self._left = CANONICAL
        self._waiting = bytearray()

    def write(self, part: bytes) -> int:
        """Takes one part. Raises InvalidResponse beyond CANONICAL bytes, and lxml writes no more then."""
        self._left -= len(part)
        if self._left < 0:
            raise InvalidResponse(f"a part of the answer has a canonical form of more than {CANONICAL} bytes")
        self._waiting += part
        if len(self._waiting) > _HASHED_AT_ONCE:
            self._hash()
        return len(part)

    def finalize(self) -> bytes:
        """The digest."""
        self._hash()
        return self._digest.finalize()

    def _hash(self) -> None:
        self._digest.update(bytes(self._waiting))
        self._waiting.clear()


def prefixes_of(method: Element) -> list[str]:
    """The namespaces that an exclusive canonicalisation declares though they are not used (InclusiveNamespaces).

    Raises InvalidResponse when `method` is anything else than exclusive canonicalisation without comments.
    """
    named = method.findall(_INCLUSIVE_NAMESPACES)
    if method.get("Algorithm") != EXCLUSIVE.value or len(method) != len(named) or any(len(one) for one in named):
        raise InvalidResponse("the answer's signature is not over the elements as they stand")
    prefixes = [prefix for one in named for prefix in one.get("PrefixList", "").split()]
    if len(prefixes) > PREFIXES:
        raise InvalidResponse(f"the answer's signature names more than {PREFIXES} namespaces")
    return prefixes


def canonical(element: Element, prefixes: list[str]) -> bytes:
    """The canonical form of an element that is small."""
    written = BytesIO()
    canonicalise(element, prefixes, written)
    return written.getvalue()


def canonicalise(element: Element, prefixes: list[str], to: BytesIO | Hashing) -> None:
    """Writes the element under exclusive canonicalisation without comments.

    `#default` among the prefixes is nothing to lxml; where it changes something, a signature does not hold.
    """
    with suppress(etree.LxmlError):
        etree.ElementTree(element).write(
            cast("BinaryIO", to), method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes
        )
        return
    # As for a namespace that is no absolute URI. Not chained, since the error may quote the answer.
    raise InvalidResponse(f"the answer's {local_name(element.tag)} cannot be canonicalised")
