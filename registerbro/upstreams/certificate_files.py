"""Certificate files: certificates with their keys, trusted certificates and revocation lists.

Each `parse` checks that OpenSSL takes what it has read, so that a file which is replaced by a broken one is not used.
A private key stays on the disk where it was put and on no other: OpenSSL reads keys from files alone, so it gets one in
memory, encrypted (docs/decisions/0013-…). No error quotes what a file holds.
"""

import os
import re
import secrets
import ssl
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import pkcs12

from config.reloading import Unusable

_PEM_BEGIN = re.compile(rb"^-----BEGIN ", re.MULTILINE)
_PEM_BLOCK = re.compile(rb"^-----BEGIN ([A-Z0-9 ]+)-----\r?$.*?^-----END \1-----\r?$", re.MULTILINE | re.DOTALL)

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey


class CertificateError(Unusable):
    """A file holds no certificate that can be used; the message continues »the file …«."""


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """A certificate of ours, its key, and the certificates between it and its authority."""

    certificate: x509.Certificate
    key: PrivateKey
    chain: tuple[x509.Certificate, ...]

    @property
    def expires(self) -> datetime:
        """When the certificate ends."""
        return self.certificate.not_valid_after_utc

    @classmethod
    def parse(cls, content: bytes, passphrase: str | None) -> Self:
        """Reads a PEM or PKCS#12 file. Raises CertificateError."""
        secret = passphrase.encode() if passphrase else None
        key, certificates = (_from_pem if _PEM_BEGIN.search(content) else _from_pkcs12)(content, secret)
        if not isinstance(key, PrivateKey):
            raise CertificateError("holds a key that is neither RSA nor EC")
        ours = [certificate for certificate in certificates if certificate.public_key() == key.public_key()]
        if not ours:
            raise CertificateError("holds no certificate that goes with its key")
        identity = cls(ours[0], key, tuple(other for other in certificates if other not in ours))
        identity.show_in(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return identity

    def show_in(self, context: ssl.SSLContext) -> None:
        """Has connections of `context` show this certificate. Raises CertificateError when OpenSSL refuses it."""
        passphrase = secrets.token_hex(32)
        certificates = (self.certificate, *self.chain)
        content = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)
        content += self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()),
        )
        with _in_memory(content) as path:
            try:
                context.load_cert_chain(path, password=passphrase)
            except ssl.SSLError as error:
                raise CertificateError(f"is refused by OpenSSL: {error.reason}") from None


@dataclass(frozen=True, slots=True, repr=False)
class Trusted:
    """Certificates of others."""

    certificates: tuple[x509.Certificate, ...]

    @property
    def expires(self) -> datetime:
        """When the last of them ends."""
        return max(certificate.not_valid_after_utc for certificate in self.certificates)

    @property
    def pem(self) -> str:
        """All of them, as OpenSSL reads them."""
        return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in self.certificates)

    @classmethod
    def parse(cls, content: bytes, _: str | None) -> Self:
        """Reads a PEM file. Raises CertificateError."""
        certificates = [_certificate(block) for label, block in _pem_blocks(content) if label.endswith(b"CERTIFICATE")]
        if not certificates:
            raise CertificateError("holds no certificate in PEM")
        return cls(tuple(certificates))


@dataclass(frozen=True, slots=True, repr=False)
class Revoked:
    """Revocation lists of authorities (RFC 5280, section 5)."""

    lists: tuple[x509.CertificateRevocationList, ...]
    expires: datetime
    """The first list's nextUpdate, in UTC: from then on the lists prove nothing."""

    @property
    def count(self) -> int:
        """How many certificates are revoked."""
        return sum(map(len, self.lists))

    @property
    def pem(self) -> bytes:
        """All of them, as OpenSSL reads them."""
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in self.lists)

    @classmethod
    def parse(cls, content: bytes, _: str | None) -> Self:
        """Reads a PEM or DER file. Raises CertificateError."""
        blocks = [block for label, block in _pem_blocks(content) if label == b"X509 CRL"]
        try:
            lists = tuple(map(x509.load_pem_x509_crl, blocks)) or (x509.load_der_x509_crl(content),)
            ends = [one.next_update_utc for one in lists]
        except ValueError:
            raise CertificateError("holds no revocation list in PEM or DER that can be read") from None
        known = [end for end in ends if end is not None]
        if len(known) != len(ends):
            # It could never be out of date, which RFC 5280 (5.1.2.5) forbids.
            raise CertificateError("holds a revocation list that does not say when the next one comes")
        revoked = cls(lists, min(known))
        revoked.check_in(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return revoked

    def check_in(self, context: ssl.SSLContext) -> None:
        """Makes `context` refuse a certificate that is revoked, or that no list in force covers.

        Raises CertificateError when OpenSSL refuses the lists.
        """
        with _in_memory(self.pem) as path:
            try:
                context.load_verify_locations(path)
            except ssl.SSLError as error:
                raise CertificateError(f"is refused by OpenSSL: {error.reason}") from None
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF

    def tells_of(self, certificate: x509.Certificate, authorities: Iterable[x509.Certificate]) -> bool | None:
        """Whether a certificate is revoked; None where no list that is signed by its own authority tells of it."""
        said: bool | None = None
        authorities = tuple(authorities)
        for one in self.lists:
            if one.issuer == certificate.issuer and any(_has_signed(authority, one) for authority in authorities):
                said = bool(said) or one.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
        return said


def _has_signed(authority: x509.Certificate, revoked: x509.CertificateRevocationList) -> bool:
    key = authority.public_key()
    if authority.subject != revoked.issuer or not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        return False
    try:
        return revoked.is_signature_valid(key)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _from_pem(content: bytes, passphrase: bytes | None) -> tuple[object, list[x509.Certificate]]:
    blocks = _pem_blocks(content)
    keys = [block for label, block in blocks if label.endswith(b"PRIVATE KEY")]
    if len(keys) != 1:
        raise CertificateError("holds no private key" if not keys else "holds several private keys")
    certificates = [_certificate(block) for label, block in blocks if label.endswith(b"CERTIFICATE")]
    try:
        return serialization.load_pem_private_key(keys[0], passphrase), certificates
    except TypeError:
        # The library raises the same error for both; whether there was a passphrase tells them apart.
        fault = "holds a key that is not encrypted, though it has a passphrase" if passphrase else "needs a passphrase"
    except (ValueError, UnsupportedAlgorithm):
        fault = "holds a key that cannot be read" + (", or its passphrase is another" if passphrase else "")
    raise CertificateError(fault)


def _from_pkcs12(content: bytes, passphrase: bytes | None) -> tuple[object, list[x509.Certificate]]:
    try:
        found = pkcs12.load_pkcs12(content, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        opened = "opens" if passphrase else "would need"
        raise CertificateError(f"is no PEM file, and no PKCS#12 file that its passphrase {opened}") from None
    if found.key is None:
        raise CertificateError("holds no private key")
    held = [found.cert, *found.additional_certs]
    return found.key, [one.certificate for one in held if one is not None]


def _pem_blocks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The blocks of a PEM file, each with its label. Raises CertificateError when one has no end."""
    blocks = [(match[1], match[0]) for match in _PEM_BLOCK.finditer(content)]
    if len(blocks) != len(_PEM_BEGIN.findall(content)):
        raise CertificateError("is cut short")
    return blocks


def _certificate(block: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(block)
    except (ValueError, x509.InvalidVersion):
        raise CertificateError("holds a certificate that cannot be read") from None


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file with `content` that only this process can open; on no disk, where the system has such files."""
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("certificate", os.MFD_CLOEXEC), "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name
