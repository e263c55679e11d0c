"""Sealer: AES-256-GCM encryption of stored values, each bound to the Redis key that it is stored under.

A sealed value is `version (1 byte) | key id (4 bytes) | nonce (12 bytes) | ciphertext and tag`. The key id is the start
of the key's SHA-256, so that any of several keys opens what it sealed. The associated data are the Redis key's name and
the field's, so that a value which is moved under another citizen's key does not open.
"""

import hashlib
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = b"\x01"
KEY_ID_BYTES = 4
NONCE_BYTES = 12
_HEADER_BYTES = len(VERSION) + KEY_ID_BYTES + NONCE_BYTES


class Unreadable(Exception):
    """The sealed value does not open: another key sealed it, it was moved, or it was altered."""


class Sealer:
    """Seals with the newest key and opens with any. `keys` are 32 bytes each, newest first.

    The sealer calls `look` before each use, so that the owner of the keys may replace them by `use`.
    """

    def __init__(self, keys: Sequence[bytes], look: Callable[[], None] = lambda: None) -> None:
        self._look = look
        self._keys: tuple[bytes, ...] = ()
        self.use(keys)

    def use(self, keys: Sequence[bytes]) -> None:
        """Replaces the keys. Raises ValueError without any."""
        if not keys:
            raise ValueError("at least one key is needed")
        if tuple(keys) == self._keys:
            return
        ciphers = {key_id(key): AESGCM(key) for key in reversed(keys)}
        # One assignment, so that no thread seals with one key under the name of another.
        self._newest, self._ciphers = (key_id(keys[0]), AESGCM(keys[0])), ciphers
        self._keys = tuple(keys)

    @property
    def key_ids(self) -> tuple[bytes, ...]:
        """The ids of the keys, newest first."""
        self._look()
        return tuple(dict.fromkeys(map(key_id, self._keys)))

    def seal(self, content: bytes, bound_to: str) -> bytes:
        """`content` sealed for the place `bound_to`."""
        self._look()
        nonce = os.urandom(NONCE_BYTES)
        name, cipher = self._newest
        return VERSION + name + nonce + cipher.encrypt(nonce, content, bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """The content of a value that was sealed for the place `bound_to`. Raises Unreadable."""
        self._look()
        cipher = self._ciphers.get(sealed_with(sealed) or b"")
        if cipher is None:
            raise Unreadable("sealed with a key that is not known here")
        nonce, ciphertext = sealed[_HEADER_BYTES - NONCE_BYTES : _HEADER_BYTES], sealed[_HEADER_BYTES:]
        try:
            return cipher.decrypt(nonce, ciphertext, bound_to.encode())
        except (InvalidTag, ValueError):
            raise Unreadable("altered, or moved from another place") from None


def sealed_with(sealed: bytes) -> bytes | None:
    """The id of the key that sealed a value; None when it is no sealed value."""
    if sealed[: len(VERSION)] != VERSION or len(sealed) < _HEADER_BYTES:
        return None
    return sealed[len(VERSION) : len(VERSION) + KEY_ID_BYTES]


def key_id(key: bytes) -> bytes:
    """The four bytes that name a key in the values it sealed."""
    return hashlib.sha256(key).digest()[:KEY_ID_BYTES]
