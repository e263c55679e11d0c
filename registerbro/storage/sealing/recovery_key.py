"""Recovery key: a key pair that opens fault reports after the sealing keys are lost. Its private half is locked away.

HPKE (RFC 9180), base mode: X25519, HKDF-SHA-256, AES-256-GCM; `info` is the place that the value belongs to. Keys are
32 bytes in urlsafe base64.
"""

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from registerbro.storage.sealing.sealer import Unreadable

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class RecoveryKey:
    """Public half: no process can open what it seals."""

    def __init__(self, text: str) -> None:
        """Raises ValueError."""
        self._key = X25519PublicKey.from_public_bytes(_decoded(text))

    def seal(self, content: bytes, bound_to: str) -> bytes:
        """`content` sealed for the place `bound_to`."""
        return _SUITE.encrypt(content, self._key, info=bound_to.encode())


class PrivateRecoveryKey:
    """Private half, which an operator brings when it is needed."""

    def __init__(self, text: str) -> None:
        """Raises ValueError."""
        self._key = X25519PrivateKey.from_private_bytes(_decoded(text))

    @classmethod
    def new(cls) -> "PrivateRecoveryKey":
        """A new pair."""
        return cls(_encoded(X25519PrivateKey.generate().private_bytes_raw()))

    @property
    def text(self) -> str:
        """The private half as text, to be locked away."""
        return _encoded(self._key.private_bytes_raw())

    @property
    def public(self) -> str:
        """The public half as text, for the setting."""
        return _encoded(self._key.public_key().public_bytes_raw())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """The content of a value that was sealed for the place `bound_to`. Raises Unreadable."""
        try:
            return _SUITE.decrypt(sealed, self._key, info=bound_to.encode())
        except (InvalidTag, ValueError):
            raise Unreadable("sealed for another key, altered, or moved from another place") from None


def _encoded(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def _decoded(text: str) -> bytes:
    try:
        key = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise ValueError("is not 32 bytes in urlsafe base64") from None
    return key
