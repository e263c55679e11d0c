"""Verification: an answer's Body and Timestamp are signed, just now, with a certificate that is trusted.

By hand, element by element (docs/decisions/0014-…): structure first, then time and signer, then the signature, and the
digests of what it covers last, since only a trusted signer may have large elements canonicalised.
"""

import binascii
import hmac
import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import verification
from lxml.etree import _Element as Element

from registerbro.upstreams.certificate_files import Revoked, Trusted
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.ws_security.canonical_form import Hashing, canonical, canonicalise, prefixes_of
from registerbro.upstreams.ws_security.structure import Reference, signed_parts
from registerbro.upstreams.ws_security.vocabulary import WSU, base64_of, child, family_of, local_name

CLOCK: Final = timedelta(minutes=5)
"""How far an answer's time may be from ours, in either direction: the way here, and clocks that differ."""

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z")


def verify(
    envelope: Element,
    trusted: Trusted,
    now: datetime,
    *,
    subject: str | None,
    accepts: frozenset[str],
    revoked: Revoked | None,
) -> None:
    """Verifies the signature of an answer's envelope.

    Args:
        envelope: the answer's root.
        trusted: certificates of signers, and of authorities whose certificates may sign when they name `subject`.
        now: our time, from which the answer's may differ by CLOCK.
        subject: an attribute of the signer's subject, such as `CN=…`; None when `trusted` are the signers themselves.
        accepts: names of the algorithm families that the answer may be signed with.
        revoked: revocation lists of the authorities in `trusted`; None to ask none.

    Raises:
        InvalidResponse: the answer is not signed as it must be.

    """
    signed = signed_parts(envelope, accepts)
    _check_timestamp(signed.timestamp, now)
    certificate = _certificate(signed.token)
    _check_signer(certificate, trusted, subject, now)
    if revoked:
        _check_not_revoked(certificate, trusted, revoked, now)
    # Until the signature holds, only elements that are known to be small are canonicalised.
    _check_signature(signed.info, base64_of(signed.value), certificate, accepts)
    for reference in signed.references:
        _check_digest(reference)


def _check_digest(reference: Reference) -> None:
    hashing = Hashing(reference.family.hash)
    canonicalise(reference.element, reference.prefixes, hashing)
    if not hmac.compare_digest(hashing.finalize(), reference.digest):
        name = local_name(reference.element.tag)
        raise InvalidResponse(f"the answer's signature does not hold: {name} is not what was signed")


def _check_signature(info: Element, value: bytes, certificate: x509.Certificate, accepts: frozenset[str]) -> None:
    """The signature over `info` is the certificate's."""
    canonicalization, method = info[0], info[1]
    family, algorithm = family_of(method, accepts), method.get("Algorithm")
    signed = canonical(info, prefixes_of(canonicalization))
    try:
        key = certificate.public_key()
        if isinstance(key, RSAPublicKey) and algorithm == family.rsa.value:
            key.verify(value, signed, padding.PKCS1v15(), family.hash)
        elif isinstance(key, EllipticCurvePublicKey) and family.ecdsa and algorithm == family.ecdsa.value:
            key.verify(_der(value, key), signed, ec.ECDSA(family.hash))
        else:
            raise InvalidResponse("the answer's signature is of no algorithm that goes with its certificate")
    except InvalidSignature:
        raise InvalidResponse("the answer's signature does not hold: its value is another") from None
    except (UnsupportedAlgorithm, ValueError):
        raise InvalidResponse("the answer's signature is of a key that cannot be used") from None


def _der(value: bytes, key: EllipticCurvePublicKey) -> bytes:
    """The two numbers of a signature with an EC key as OpenSSL has them; XML Signature has them side by side."""
    half = (key.key_size + 7) // 8
    if len(value) != 2 * half:
        raise InvalidSignature
    return utils.encode_dss_signature(*(int.from_bytes(one, "big") for one in (value[:half], value[half:])))


def _check_timestamp(timestamp: Element, now: datetime) -> None:
    """It was made just now. One that has ended since could be of a clock that goes slow."""
    created = _moment(child(timestamp, f"{WSU}Created"))
    expires = _moment(child(timestamp, f"{WSU}Expires")) if timestamp.find(f"{WSU}Expires") is not None else None
    if abs(now - created) > CLOCK or (expires is not None and expires <= created):
        raise InvalidResponse("the answer's Timestamp is not of now")


def _moment(element: Element) -> datetime:
    matched = _INSTANT.fullmatch((element.text or "").strip())
    try:
        return datetime.fromisoformat(matched[1]).replace(tzinfo=UTC) if matched else _no_moment()
    except ValueError:
        return _no_moment()


def _no_moment() -> datetime:
    raise InvalidResponse("the answer's Timestamp is none")


def _certificate(token: Element) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(b64decode(token.text or ""))
    except (ValueError, binascii.Error, x509.InvalidVersion):
        raise InvalidResponse("the answer's BinarySecurityToken is no certificate") from None


def _check_signer(certificate: x509.Certificate, trusted: Trusted, subject: str | None, now: datetime) -> None:
    """Checks that the certificate is trusted itself, or issued by a trusted authority to the expected subject.

    The authority alone proves nothing: anyone in Denmark can get an OCES certificate.
    """
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise InvalidResponse("the answer is signed with a certificate that is not valid now")
    authorities = [one for one in trusted.certificates if _is_authority(one)]
    if certificate in trusted.certificates and certificate not in authorities:
        return
    if subject is None and authorities:
        raise InvalidResponse("the answer's signer is not in VERIFY_WITH, and VERIFY_SUBJECT names nobody else")
    if subject is None or subject not in _subjects(certificate) or not authorities:
        raise InvalidResponse("the answer is signed by somebody else")
    policy = verification.PolicyBuilder().store(verification.Store(authorities)).time(now)
    anything = verification.ExtensionPolicy.permit_all()
    verifier = policy.extension_policies(
        ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(), ee_policy=anything
    ).build_client_verifier()
    try:
        verifier.verify(certificate, [])
    except verification.VerificationError:
        raise InvalidResponse("the answer is signed by somebody else") from None


def _check_not_revoked(certificate: x509.Certificate, trusted: Trusted, revoked: Revoked, now: datetime) -> None:
    """A list in force, signed by the certificate's own authority, does not name it."""
    if revoked.expires <= now:
        raise InvalidResponse("the answer's signer cannot be looked up: the revocation list's time is over")
    match revoked.tells_of(certificate, filter(_is_authority, trusted.certificates)):
        case True:
            raise InvalidResponse("the answer is signed with a certificate that was revoked")
        case None:
            raise InvalidResponse("the answer's signer cannot be looked up: no revocation list is its authority's")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _subjects(certificate: x509.Certificate) -> set[str]:
    """The attributes of the subject, as `CN=…` and as `2.5.4.3=…`."""
    return {
        f"{name}={attribute.value!s}"
        for attribute in certificate.subject
        for name in (attribute.rfc4514_attribute_name, attribute.oid.dotted_string)
    }
