"""Seals what is kept of citizens, AES-256-GCM, bound to the key that it is kept under.

A sealed value is `version (1 byte) | key id (4 bytes) | nonce (12 bytes) | ciphertext and tag`. The key id is the start
of the key's SHA-256, so that any of several keys opens what it sealed. The associated data are the Redis key's name and
the field's, so that a value which is moved under another citizen's key does not open.
"""

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = b"\x01"
KEY_ID_BYTES = 4
NONCE_BYTES = 12
_HEADER_BYTES = len(VERSION) + KEY_ID_BYTES + NONCE_BYTES


class Unreadable(Exception):
    """A sealed value that does not open: another key sealed it, it was moved, or it was altered."""


class Sealer:
    """Seals with the newest key and opens with any. `keys` are 32 bytes each, newest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        self._ciphers = {key_id(key): AESGCM(key) for key in reversed(keys)}
        self._newest = key_id(keys[0])

    def seal(self, content: bytes, bound_to: str) -> bytes:
        """`content` sealed for the place `bound_to`."""
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + self._newest + nonce + self._ciphers[self._newest].encrypt(nonce, content, bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """What was sealed for the place `bound_to`. Raises Unreadable."""
        cipher = self._ciphers.get(sealed[len(VERSION) : len(VERSION) + KEY_ID_BYTES])
        if sealed[: len(VERSION)] != VERSION or cipher is None:
            raise Unreadable("sealed with a key that is not known here")
        nonce, ciphertext = sealed[_HEADER_BYTES - NONCE_BYTES : _HEADER_BYTES], sealed[_HEADER_BYTES:]
        try:
            return cipher.decrypt(nonce, ciphertext, bound_to.encode())
        except (InvalidTag, ValueError):
            raise Unreadable("altered, or moved from another place") from None


def key_id(key: bytes) -> bytes:
    """The four bytes that name a key in what it sealed."""
    return hashlib.sha256(key).digest()[:KEY_ID_BYTES]
