"""WS-Security 1.0 with X.509 certificates: signs a question's parts, and checks that an answer's are signed.

(F) Skatteforvaltningen publishes the policy: Basic256, which is SHA-1 with RSA-SHA1, over Body, Timestamp and token; in
what was recorded, Body and Timestamp are signed, both ways. (A) That SHA-256 will do. The signing is signxml's, the
verifying is by hand (docs/decisions/0014-…): what an answer must look like is settled element by element, so that
nothing is believed that stands beside what was signed.
"""

import binascii
import hmac
import logging
import re
import uuid
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import BinaryIO, Final, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.x509 import verification
from lxml import etree
from lxml.etree import _Element as Element
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.signer import XMLSigner

from config.settings import EindkomstSettings, SettingsError, variable
from workers.eindkomst.extent import NODES
from workers.resilience.certificates import Certificates, Identity, Revoked, Trusted
from workers.resilience.errors import InvalidResponse, NotAuthorised

# It logs whatever it canonicalises, at DEBUG: no setting of ours may make it do so.
logging.getLogger("signxml").setLevel(logging.WARNING)

VALID_FOR: Final = timedelta(minutes=5)
"""How long a question's Timestamp holds. (F) No limit is published; it is 5 minutes in what was recorded."""
CLOCK: Final = timedelta(minutes=5)
"""How far an answer's time may be from ours, in either direction: the way here, and clocks that differ."""

CANONICAL: Final = 64 << 20
"""Bytes that a part of an answer may be when it is canonicalised: four times the longest answer. A namespace is written
out on each of the elements beside each other that use it."""
ATTRIBUTES: Final = 64
"""Attributes that one element may have: the contract knows of four at the most, and exclusive canonicalisation takes
time by their square."""
NAMESPACES: Final = 128
"""Namespace declarations that may be in scope at once, repeated ones too: the service's schemas name about thirty, and
a serializer may declare them at the top, and some again on the way down. Canonicalising takes time by their square,
and by their number for each attribute."""
PREFIXES: Final = 8
"""Namespaces that a canonicalisation may name besides those that are used: as many as an Envelope declares, and some.
Each of them is looked for at each element."""

_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE: Final = f"{{{_OASIS}wssecurity-secext-1.0.xsd}}"
WSU: Final = f"{{{_OASIS}wssecurity-utility-1.0.xsd}}"
DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
X509V3: Final = f"{_OASIS}x509-token-profile-1.0#X509v3"
BASE64: Final = f"{_OASIS}soap-message-security-1.0#Base64Binary"
"""(F) The names of WS-Security 1.0, its X.509 profile, and XML Signature."""

FAULTS: Final = frozenset({
    "UnsupportedSecurityToken", "UnsupportedAlgorithm", "InvalidSecurity", "InvalidSecurityToken",
    "FailedAuthentication", "FailedCheck", "SecurityTokenUnavailable", "MessageExpired",
})  # fmt: skip
"""(F) With which fault codes a gateway refuses a signature (WS-Security 1.0, section 12)."""

_ID = f"{WSU}Id"
_EXCLUSIVE = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
_INCLUSIVE_NAMESPACES = f"{{{_EXCLUSIVE.value}}}InclusiveNamespaces"
_REFERENCED = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
"""What a `wsu:Id` may be: of an NCName's letters, those that mean themselves in a URI too."""
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z")

_SIGNING_CERT, _SIGNATURE, _VERIFY_ALGORITHMS = (
    variable("eindkomst", name) for name in ("signing_cert", "signature", "verify_algorithms")
)


@dataclass(frozen=True, slots=True)
class Family:
    """The algorithms of XML Signature that go with one hash function: its digest, and its signature with each key.

    Without `ecdsa` there is none with an EC key.
    """

    hash: hashes.HashAlgorithm
    digest: DigestAlgorithm
    rsa: SignatureMethod
    ecdsa: SignatureMethod | None = None


FAMILIES: Final[Mapping[str, Family]] = {
    # The published policy knows RSA alone; nobody is helped by an older curve signature that no policy names.
    "sha1": Family(hashes.SHA1(), DigestAlgorithm.SHA1, SignatureMethod.RSA_SHA1),  # noqa: S303 - the policy's own
    "sha256": Family(hashes.SHA256(), DigestAlgorithm.SHA256, SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256),
    "sha384": Family(hashes.SHA384(), DigestAlgorithm.SHA384, SignatureMethod.RSA_SHA384, SignatureMethod.ECDSA_SHA384),
    "sha512": Family(hashes.SHA512(), DigestAlgorithm.SHA512, SignatureMethod.RSA_SHA512, SignatureMethod.ECDSA_SHA512),
}
"""What a signature may be made of, by its name in the settings."""

_BY_ALGORITHM = {
    algorithm.value: name
    for name, family in FAMILIES.items()
    for algorithm in (family.digest, family.rsa, family.ecdsa)
    if algorithm is not None
}


@dataclass(frozen=True, slots=True)
class Security:
    """What is signed with and what is verified with, as it is now; either may be missing, which leaves that out.

    Of itself it takes no SHA-1; that is for the settings to say.
    """

    signs_with: Identity | None = None
    verifies_with: Trusted | None = None
    subject: str | None = None
    """Whose certificates are meant, of all that an authority in `verifies_with` has issued."""
    algorithm: str = "sha256"
    """The family that is signed with."""
    signs_token: bool = True
    """Whether the BinarySecurityToken is signed too (ProtectTokens of WS-SecurityPolicy)."""
    accepts: frozenset[str] = frozenset({"sha256", "sha384", "sha512"})
    """The families that an answer may be signed with."""
    revoked: Revoked | None = None
    """Revocation lists of the authorities in `verifies_with`; none is asked when None."""

    @classmethod
    def of(cls, certificates: Certificates, settings: EindkomstSettings) -> "Security":
        """What the settings name, as the files are now."""
        signing, verifying = certificates.identities.get("signing_cert"), certificates.trusted.get("verify_with")
        return cls(
            signing.value if signing else None,
            verifying.value if verifying else None,
            settings.verify_subject,
            settings.signature,
            settings.sign_token,
            settings.verified,
            certificates.revocations("verify_crl_file"),
        )

    def check(self) -> None:
        """Raises SettingsError, which names both settings, when the key is of no kind to sign with as it is set."""
        if not self._has_the_right_key():
            raise SettingsError(_WRONG_KEY)

    def sign(self, envelope: Element, now: datetime) -> None:
        """Puts a Security header into `envelope`, unless there is nothing to sign with.

        Raises NotAuthorised when the key is of the wrong kind, which a file that was replaced meanwhile may hold: the
        register would refuse what it signs, and only an operator can help.
        """
        if not self._has_the_right_key():
            raise NotAuthorised(_WRONG_KEY)
        if self.signs_with:
            _sign(envelope, self.signs_with, FAMILIES[self.algorithm], now, with_token=self.signs_token)

    def verify(self, envelope: Element, now: datetime) -> None:
        """Raises InvalidResponse unless `envelope` is signed as it must be, or nothing is verified."""
        if self.verifies_with:
            _verify(envelope, self.verifies_with, self, now)

    def _has_the_right_key(self) -> bool:
        is_rsa = self.signs_with is None or isinstance(self.signs_with.key, RSAPrivateKey)
        return is_rsa or FAMILIES[self.algorithm].ecdsa is not None


_WRONG_KEY = (
    f"{_SIGNING_CERT}: holds an EC key, and {_SIGNATURE} is sha1, for which the published policy knows RSA alone: "
    "use a certificate with an RSA key, or sha256 if the register takes it"
)


class _Signer(XMLSigner):
    """signxml's, which refuses SHA-1 unless a subclass means it; this one means the one pair of the policy."""

    def check_deprecated_methods(self) -> None:
        """Raises InvalidInput for what is not to be used any more."""
        if (self.sign_alg, self.digest_alg) != (SignatureMethod.RSA_SHA1, DigestAlgorithm.SHA1):
            super().check_deprecated_methods()  # type: ignore[no-untyped-call]


def _sign(envelope: Element, identity: Identity, family: Family, now: datetime, *, with_token: bool) -> None:
    body, token_id = _child(envelope, f"{_SOAP}Body"), _new_id("X509")
    body.set(_ID, _new_id("Body"))
    header = etree.Element(f"{_SOAP}Header")
    envelope.insert(0, header)
    security = etree.SubElement(header, f"{WSSE}Security", nsmap={"wsse": WSSE[1:-1], "wsu": WSU[1:-1]})
    security.set(f"{_SOAP}mustUnderstand", "1")
    # What is signed stands before the signature: the layout »Strict« of the policy.
    token = etree.SubElement(security, f"{WSSE}BinarySecurityToken", EncodingType=BASE64, ValueType=X509V3)
    token.set(_ID, token_id)
    token.text = b64encode(identity.certificate.public_bytes(serialization.Encoding.DER)).decode()
    timestamp = etree.SubElement(security, f"{WSU}Timestamp")
    timestamp.set(_ID, _new_id("Timestamp"))
    etree.SubElement(timestamp, f"{WSU}Created").text = _instant(now)
    etree.SubElement(timestamp, f"{WSU}Expires").text = _instant(now + VALID_FOR)

    key_info = etree.Element(f"{DS}KeyInfo", nsmap={"ds": DS[1:-1]})
    reference = etree.SubElement(key_info, f"{WSSE}SecurityTokenReference", nsmap={"wsse": WSSE[1:-1]})
    etree.SubElement(reference, f"{WSSE}Reference", URI=f"#{token_id}", ValueType=X509V3)
    signer = _Signer(
        method=SignatureConstructionMethod.detached,
        signature_algorithm=family.rsa if isinstance(identity.key, RSAPrivateKey) else family.ecdsa or family.rsa,
        digest_algorithm=family.digest,
        c14n_algorithm=_EXCLUSIVE,
    )
    signed = [body, timestamp, *([token] if with_token else [])]
    references = [f"#{one.get(_ID)}" for one in signed]
    security.append(signer.sign(envelope, key=identity.key, key_info=key_info, reference_uri=references))


def _new_id(of: str) -> str:
    return f"{of}-{uuid.uuid4()}"


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@dataclass(frozen=True, slots=True)
class _Reference:
    """What a signature says of one element: its digest, how it was canonicalised, and with which hash function."""

    element: Element
    prefixes: list[str]
    family: Family
    digest: bytes


def _verify(envelope: Element, trusted: Trusted, secured: Security, now: datetime) -> None:
    _check_extent(envelope)
    _check_namespaces(envelope)
    # Where everything stands is looked at next: of each there is one, and it is where it belongs.
    header = _child(envelope, f"{_SOAP}Header")
    security = _child(header, f"{WSSE}Security")
    body, timestamp = _child(envelope, f"{_SOAP}Body"), _child(security, f"{WSU}Timestamp")
    signature, token = _child(security, f"{DS}Signature"), _child(security, f"{WSSE}BinarySecurityToken")
    places = (header, security, body, timestamp, signature, token)
    for tag, count in Counter(element.tag for element in envelope.iter(*(one.tag for one in places))).items():
        if count != 1:
            raise InvalidResponse(f"{_name(tag)} is there twice")
    info, value, key_info = _children(signature, "SignedInfo", "SignatureValue", "KeyInfo")
    _check_key_info(key_info, token)
    references = _references(info, (body, timestamp), token, secured.accepts)
    _check_timestamp(timestamp, now)
    certificate = _certificate(token)
    _check_signer(certificate, trusted, secured.subject, now)
    if secured.revoked:
        _check_not_revoked(certificate, trusted, secured.revoked, now)
    # Until this holds, nothing is canonicalised that is not small by what was looked at already.
    _check_signature(info, _bytes(value), certificate, secured.accepts)
    for reference in references:
        _check_digest(reference)


def _child(element: Element, tag: str) -> Element:
    found = element.findall(tag)
    if len(found) != 1:
        raise InvalidResponse(f"the answer is not signed as it must be: {_name(tag)} is there {len(found)} times")
    return found[0]


def _children(element: Element, *names: str, of: str = DS) -> list[Element]:
    """The children of a signature or what is in it, which are these and no others. Raises InvalidResponse."""
    children = list(element)
    if [child.tag for child in children] != [f"{of}{name}" for name in names]:
        raise InvalidResponse(f"the answer's signature is not of the usual form: {_name(element.tag)}")
    return children


def _name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _bytes(element: Element) -> bytes:
    """What an element holds in base64. Raises InvalidResponse."""
    try:
        return b64decode("" if len(element) else element.text or "")
    except (ValueError, binascii.Error):
        raise InvalidResponse(f"the answer's {_name(element.tag)} is not base64") from None


def _check_extent(envelope: Element) -> None:
    """The answer is no larger than it may be, holds elements and text alone, and no id twice.

    A reference means one element, whatever namespace its id is of. What else than elements there can be is left out
    when an element is canonicalised, but may cut its text in two for who reads it.
    """
    ids: set[str] = set()
    left = NODES
    for node in envelope.iter():
        if not isinstance(node.tag, str):
            raise InvalidResponse("the answer holds a comment, an instruction or an entity")
        # Not `items()`, which takes time by the square of their number.
        names = node.keys()
        left -= 1 + len(names)
        if left < 0:
            raise InvalidResponse(f"the answer has more than {NODES} elements and attributes")
        if len(names) > ATTRIBUTES:
            raise InvalidResponse(f"an element of the answer has more than {ATTRIBUTES} attributes")
        for name in names:
            if _name(str(name)).lower() == "id":
                value = str(node.get(name))
                if value in ids:
                    raise InvalidResponse("the answer has an id twice")
                ids.add(value)


def _check_namespaces(envelope: Element) -> None:
    in_scope = 0
    for event, _ in etree.iterwalk(envelope, events=("start-ns", "end-ns")):
        in_scope += 1 if event == "start-ns" else -1
        if in_scope > NAMESPACES:
            raise InvalidResponse(f"the answer declares more than {NAMESPACES} namespaces at once")


def _check_key_info(key_info: Element, token: Element) -> None:
    """The signature names the token that is there, and no key or certificate beside it."""
    (named,) = _children(key_info, "SecurityTokenReference", of=WSSE)
    (reference,) = _children(named, "Reference", of=WSSE)
    if reference.get("URI") != _uri(token):
        raise InvalidResponse("the answer's signature names another token than the one that is there")


def _uri(element: Element) -> str:
    """How a reference names the element: by its `wsu:Id`. Raises InvalidResponse when it has none."""
    value = element.get(_ID)
    if value is None or not _REFERENCED.fullmatch(value):
        raise InvalidResponse(f"the answer's {_name(element.tag)} has no id by which a signature could name it")
    return f"#{value}"


def _references(info: Element, must: tuple[Element, ...], may: Element, accepts: frozenset[str]) -> list[_Reference]:
    """What was signed: `must`, and perhaps `may`, as they stand, and nothing else. Raises InvalidResponse."""
    named = info.findall(f"{DS}Reference")
    _children(info, "CanonicalizationMethod", "SignatureMethod", *["Reference"] * len(named))
    by_uri = {reference.get("URI"): reference for reference in named}
    wanted = {_uri(element): element for element in must}
    allowed = wanted | {_uri(may): may}
    if len(by_uri) != len(named) or not wanted.keys() <= by_uri.keys() <= allowed.keys():
        raise InvalidResponse("the answer's signature is not over Body and Timestamp, and at most the token")
    return [_reference(by_uri[uri], element, accepts) for uri, element in allowed.items() if uri in by_uri]


def _reference(reference: Element, element: Element, accepts: frozenset[str]) -> _Reference:
    transforms, method, value = _children(reference, "Transforms", "DigestMethod", "DigestValue")
    (transform,) = _children(transforms, "Transform")
    family = _family(method, accepts)
    if method.get("Algorithm") != family.digest.value:
        raise InvalidResponse("the answer has a digest of no known algorithm")
    return _Reference(element, _prefixes(transform), family, _bytes(value))


_HASHED_AT_ONCE = 256 * 1024
"""Bytes, which take longer to write than the 5 ms after which a thread that waits is let in."""


class _Hashing:
    """Takes a canonical form as it is written, and keeps the digest of it alone.

    It is written in parts of some KiB; between them, other threads have their turn. They are hashed many at a time: to
    hash lets the interpreter go and takes it again at once, and who waits for it begins to wait anew each time.
    """

    def __init__(self, of: hashes.HashAlgorithm) -> None:
        self._digest = hashes.Hash(of)
        self._left = CANONICAL
        self._waiting = bytearray()

    def write(self, part: bytes) -> int:
        """Raises InvalidResponse when it becomes too long; what follows then is not written."""
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


def _check_digest(reference: _Reference) -> None:
    hashing = _Hashing(reference.family.hash)
    _canonicalise(reference.element, reference.prefixes, hashing)
    if not hmac.compare_digest(hashing.finalize(), reference.digest):
        name = _name(reference.element.tag)
        raise InvalidResponse(f"the answer's signature does not hold: {name} is not what was signed")


def _check_signature(info: Element, value: bytes, certificate: x509.Certificate, accepts: frozenset[str]) -> None:
    """The signature over `info` is the certificate's."""
    canonicalization, method = info[0], info[1]
    family, algorithm = _family(method, accepts), method.get("Algorithm")
    signed = _canonical(info, _prefixes(canonicalization))
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


def _family(method: Element, accepts: frozenset[str]) -> Family:
    """The family of an algorithm. Raises InvalidResponse when it is none, or not to be accepted."""
    if len(method):
        raise InvalidResponse("the answer's signature has an algorithm with parameters")
    name = _BY_ALGORITHM.get(method.get("Algorithm", ""))
    if name is None:
        raise InvalidResponse("the answer's signature is of no known algorithm")
    if name not in accepts:
        raise InvalidResponse(f"the answer is signed with {name}, which {_VERIFY_ALGORITHMS} does not name")
    return FAMILIES[name]


def _prefixes(method: Element) -> list[str]:
    """The namespaces that an exclusive canonicalisation declares though they are not used (InclusiveNamespaces).

    Raises InvalidResponse when `method` is anything else than exclusive canonicalisation without comments.
    """
    named = method.findall(_INCLUSIVE_NAMESPACES)
    if method.get("Algorithm") != _EXCLUSIVE.value or len(method) != len(named) or any(len(one) for one in named):
        raise InvalidResponse("the answer's signature is not over the elements as they stand")
    prefixes = [prefix for one in named for prefix in one.get("PrefixList", "").split()]
    if len(prefixes) > PREFIXES:
        raise InvalidResponse(f"the answer's signature names more than {PREFIXES} namespaces")
    return prefixes


def _canonical(element: Element, prefixes: list[str]) -> bytes:
    """The canonical form of an element that is small."""
    written = BytesIO()
    _canonicalise(element, prefixes, written)
    return written.getvalue()


def _canonicalise(element: Element, prefixes: list[str], to: BytesIO | _Hashing) -> None:
    """Writes the element under exclusive canonicalisation without comments.

    `#default` among the prefixes is nothing to lxml; where it changes something, a signature does not hold.
    """
    with suppress(etree.LxmlError):
        etree.ElementTree(element).write(
            cast("BinaryIO", to), method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes
        )
        return
    # As for a namespace that is no absolute URI. Not chained, since the error may quote the answer.
    raise InvalidResponse(f"the answer's {_name(element.tag)} cannot be canonicalised")


def _check_timestamp(timestamp: Element, now: datetime) -> None:
    """It was made just now. One that has ended since could be of a clock that goes slow."""
    created = _moment(_child(timestamp, f"{WSU}Created"))
    expires = _moment(_child(timestamp, f"{WSU}Expires")) if timestamp.find(f"{WSU}Expires") is not None else None
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
    """The certificate is one of those that are trusted, or such an authority's that names the subject meant.

    Of an authority alone nothing follows: everybody in Denmark may have a certificate of OCES'.
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
    """What the subject names, as `CN=…` and as `2.5.4.3=…`."""
    return {
        f"{name}={attribute.value!s}"
        for attribute in certificate.subject
        for name in (attribute.rfc4514_attribute_name, attribute.oid.dotted_string)
    }
