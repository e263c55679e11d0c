"""eIndkomst's gateway as to WS-Security: checks a question's signature, signs answers, and signs them wrongly.

The published policy is Basic256, which is SHA-1 with RSA-SHA1; that SHA-256 will do is an assumption, and a switch.
Body and Timestamp are signed, as recorded; that the token must be too, as the policy says, is another switch. All of it
by hand from the standards (exclusive canonicalisation by lxml, the rest by `cryptography`), and with no code
of the project's own or of the library that it signs with, so that two errors would have to agree. Over 350 lines,
since it is one standard, written down once.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from lxml import etree
from lxml.etree import _Element as Element

from simulators.protocol import Breach

FRESH = timedelta(minutes=5)
"""How long a Timestamp holds, as recorded."""
LONG_AGO = timedelta(hours=1)
SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE = f"{{{OASIS}wssecurity-secext-1.0.xsd}}"
WSU = f"{{{OASIS}wssecurity-utility-1.0.xsd}}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA1 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
PREFIXES = f"{{{EXCLUSIVE}}}InclusiveNamespaces"
Digest = Literal["sha1", "sha256"]
EITHER: frozenset[str] = frozenset({"sha1", "sha256"})
TOKEN = f"{OASIS}x509-token-profile-1.0#X509v3"
BASE64 = f"{OASIS}soap-message-security-1.0#Base64Binary"


@dataclass(frozen=True, slots=True)
class Suite:
    """The algorithms that go with one hash function, by the names that XML Signature has for them."""

    hash: hashes.HashAlgorithm
    digest: str
    rsa: str
    ecdsa: str


SUITES: Mapping[str, Suite] = {
    "sha1": Suite(hashes.SHA1(), SHA1, RSA_SHA1, ECDSA_SHA1),  # noqa: S303 - it is what the policy says
    "sha256": Suite(hashes.SHA256(), SHA256, RSA_SHA256, ECDSA_SHA256),
}


class NotSigned(Breach):
    """A question that is not signed as it must be; `code` is the fault's, of WS-Security 1.0 section 12."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(f"{code}: {what}", 500)


@dataclass(frozen=True, slots=True)
class Signer:
    """A key and its certificate."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def load(cls, file: Path) -> Self:
        """From a PEM file without a passphrase. Raises ValueError when there is none in it."""
        content = file.read_bytes()
        key = serialization.load_pem_private_key(content[content.index(b"-----BEGIN PRIVATE") :], None)
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError("a key that is neither RSA nor EC")  # noqa: TRY004 - it is the file that is wrong
        return cls(key, x509.load_pem_x509_certificate(content))


def canonical(element: Element, prefixes: list[str] | None = None) -> bytes:
    """The element under exclusive canonicalisation without comments; `prefixes` are declared wherever they hold."""
    return etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes or None
    )


def check(
    envelope: Element,
    expected: x509.Certificate,
    now: datetime,
    accepts: frozenset[str] = EITHER,
    *,
    expects_token: bool = False,
) -> None:
    """Raises NotSigned unless Body and Timestamp are signed by `expected`, just now, and nothing else but the token is.

    `accepts` are the hash functions that will do. With `expects_token` the BinarySecurityToken must be signed too.
    """
    try:
        _check(envelope, expected, now, [SUITES[name] for name in sorted(accepts)], expects_token=expects_token)
    except (ValueError, TypeError):
        # A date without a zone, a certificate that is none, what is not Base64.
        raise NotSigned("InvalidSecurity", "something in the header cannot be read") from None


def _check(
    envelope: Element, expected: x509.Certificate, now: datetime, suites: list[Suite], *, expects_token: bool
) -> None:
    security = _only(envelope, f"{SOAP}Header/{WSSE}Security")
    token = _only(security, f"{WSSE}BinarySecurityToken")
    if x509.load_der_x509_certificate(b64decode(token.text or "")) != expected:
        raise NotSigned("FailedAuthentication", "the certificate is not the one that was agreed on")
    named = _only(security, f"{DS}Signature/{DS}KeyInfo/{WSSE}SecurityTokenReference/{WSSE}Reference")
    if named.get("URI") != f"#{token.get(f'{WSU}Id')}" or (token.get("EncodingType"), token.get("ValueType")) != (
        BASE64,
        TOKEN,
    ):
        raise NotSigned("InvalidSecurityToken", "the signature does not name the certificate")
    timestamp = _only(security, f"{WSU}Timestamp")
    created, expires = (
        datetime.fromisoformat(str(_only(timestamp, WSU + name).text).strip()) for name in ("Created", "Expires")
    )
    if not timedelta(seconds=-1) <= now - created <= FRESH or expires <= now:
        raise NotSigned("MessageExpired", "the Timestamp is not of now")
    named_so = (f"{WSU}Id", "Id", "ID", "id")
    ids = [found for element in envelope.iter(etree.Element) for name in named_so if (found := element.get(name))]
    if len(ids) != len(set(ids)):
        raise NotSigned("InvalidSecurity", "an id is there twice")
    info = _only(security, f"{DS}Signature/{DS}SignedInfo")
    wanted = [timestamp, _only(envelope, f"{SOAP}Body"), *([token] if expects_token else [])]
    _check_references(info, wanted, token, suites)
    value = b64decode(_only(security, f"{DS}Signature/{DS}SignatureValue").text or "")
    prefixes = _prefixes(info, f"{DS}CanonicalizationMethod")
    method = str(_only(info, f"{DS}SignatureMethod").get("Algorithm"))
    try:
        _check_value(expected, method, suites, value, canonical(info, prefixes))
    except InvalidSignature:
        raise NotSigned("FailedCheck", "the signature does not hold") from None


def _check_references(info: Element, wanted: list[Element], token: Element, suites: list[Suite]) -> None:
    """Raises NotSigned unless the references are to what is wanted, or to the token, and their digests are right."""
    signed = {f"#{one.get(f'{WSU}Id')}": one for one in (*wanted, token)}
    references = info.findall(f"{DS}Reference")
    named = [str(one.get("URI")) for one in references]
    needed = {f"#{one.get(f'{WSU}Id')}" for one in wanted}
    if len(set(named)) != len(named) or not needed <= set(named) <= set(signed):
        raise NotSigned("InvalidSecurity", "the signature is not over Body and Timestamp, and the token where it must")
    for reference in references:
        method = _only(reference, f"{DS}DigestMethod").get("Algorithm")
        suite = next((one for one in suites if one.digest == method), None)
        if suite is None:
            raise NotSigned("UnsupportedAlgorithm", "a digest is of no hash function that will do")
        prefixes = _prefixes(reference, f"{DS}Transforms/{DS}Transform")
        found = hashes.Hash(suite.hash)
        found.update(canonical(signed[str(reference.get("URI"))], prefixes))
        if b64decode(_only(reference, f"{DS}DigestValue").text or "") != found.finalize():
            raise NotSigned("FailedCheck", "a digest is another")


def _prefixes(element: Element, path: str) -> list[str]:
    """The prefixes that an exclusive canonicalisation names. Raises NotSigned when it is no such thing."""
    method = _only(element, path)
    if method.get("Algorithm") != EXCLUSIVE:
        raise NotSigned("UnsupportedAlgorithm", "not exclusive canonicalisation")
    named = method.find(PREFIXES)
    return [] if named is None else str(named.get("PrefixList", "")).split()


def _check_value(certificate: x509.Certificate, method: str, suites: list[Suite], value: bytes, signed: bytes) -> None:
    key = certificate.public_key()
    suite = next((one for one in suites if method in {one.rsa, one.ecdsa}), None)
    if suite is not None and isinstance(key, rsa.RSAPublicKey) and method == suite.rsa:
        key.verify(value, signed, padding.PKCS1v15(), suite.hash)
    elif suite is not None and isinstance(key, ec.EllipticCurvePublicKey) and method == suite.ecdsa:
        half = len(value) // 2
        pair = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
        key.verify(utils.encode_dss_signature(*pair), signed, ec.ECDSA(suite.hash))
    else:
        raise NotSigned("UnsupportedAlgorithm", "not of the certificate's kind of key, or of no hash that will do")


def _only(element: Element, path: str) -> Element:
    found = element.findall(path)
    if len(found) != 1:
        raise NotSigned("InvalidSecurity", f"{path.rpartition('}')[2]} is there {len(found)} times")
    return found[0]


def sign(
    envelope: Element,
    signer: Signer,
    now: datetime,
    over: tuple[str, ...] = ("body", "timestamp"),
    digest: Digest = "sha1",
) -> None:
    """Signs Body and Timestamp, or what `over` says; in the recorded order of token, Signature and Timestamp."""
    body = envelope.find(f"{SOAP}Body")
    if body is None:
        raise ValueError("no Body to sign")
    suite = SUITES[digest]
    header = etree.Element(f"{SOAP}Header")
    envelope.insert(0, header)
    security = etree.SubElement(header, f"{WSSE}Security")
    token = _add_token(security, signer.certificate)
    signature = etree.SubElement(security, f"{DS}Signature")
    timestamp = _add_timestamp(security, now)
    for element, name in ((token, "the-token"), (timestamp, "the-timestamp"), (body, "the-body")):
        element.set(f"{WSU}Id", name)
    info = etree.SubElement(signature, f"{DS}SignedInfo")
    etree.SubElement(info, f"{DS}CanonicalizationMethod", Algorithm=EXCLUSIVE)
    is_rsa = isinstance(signer.key, rsa.RSAPrivateKey)
    etree.SubElement(info, f"{DS}SignatureMethod", Algorithm=suite.rsa if is_rsa else suite.ecdsa)
    for name in over:
        element = {"body": body, "timestamp": timestamp, "token": token}[name]
        reference = etree.SubElement(info, f"{DS}Reference", URI=f"#{element.get(f'{WSU}Id')}")
        etree.SubElement(etree.SubElement(reference, f"{DS}Transforms"), f"{DS}Transform", Algorithm=EXCLUSIVE)
        etree.SubElement(reference, f"{DS}DigestMethod", Algorithm=suite.digest)
        found = hashes.Hash(suite.hash)
        found.update(canonical(element))
        etree.SubElement(reference, f"{DS}DigestValue").text = b64encode(found.finalize()).decode()
    value = _value(signer, canonical(info), suite)
    etree.SubElement(signature, f"{DS}SignatureValue").text = b64encode(value).decode()
    key_info = etree.SubElement(signature, f"{DS}KeyInfo")
    named = etree.SubElement(key_info, f"{WSSE}SecurityTokenReference")
    etree.SubElement(named, f"{WSSE}Reference", URI="#the-token", ValueType=TOKEN)


def _add_token(security: Element, certificate: x509.Certificate) -> Element:
    token = etree.SubElement(security, f"{WSSE}BinarySecurityToken", EncodingType=BASE64, ValueType=TOKEN)
    token.text = b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    return token


def _add_timestamp(security: Element, now: datetime) -> Element:
    timestamp = etree.SubElement(security, f"{WSU}Timestamp")
    for name, moment in (("Created", now), ("Expires", now + FRESH)):
        etree.SubElement(timestamp, f"{WSU}{name}").text = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return timestamp


def _value(signer: Signer, signed: bytes, suite: Suite) -> bytes:
    if isinstance(signer.key, rsa.RSAPrivateKey):
        return signer.key.sign(signed, padding.PKCS1v15(), suite.hash)
    size = (signer.key.key_size + 7) // 8
    pair = utils.decode_dss_signature(signer.key.sign(signed, ec.ECDSA(suite.hash)))
    return b"".join(number.to_bytes(size, "big") for number in pair)


def _altered(envelope: Element) -> None:
    """Says something else: of every period that is told, and of the answer itself."""
    for text in envelope.iter("{*}StartDate", "{*}EndDate"):
        text.text = "2020-12-31"
    for text in envelope.iter("{*}ServiceIdentifikator"):
        text.text = "AnsaettelseForholdPersonHent"


def _wrapped(envelope: Element) -> None:
    """What was signed stands aside, where its reference still finds it, and something else in its place."""
    body = envelope[-1]
    other = deepcopy(body)
    del other.attrib[f"{WSU}Id"]
    _altered(other)
    envelope.replace(body, other)
    _put_aside(envelope, body)


def _wrapped_with_its_id(envelope: Element) -> None:
    body = envelope[-1]
    _wrapped(envelope)
    envelope[-1].set(f"{WSU}Id", str(body.get(f"{WSU}Id")))


def _wrapped_timestamp(envelope: Element) -> None:
    """The Timestamp that was signed, of long ago, stands aside, and one of now in its place."""
    security = _only(envelope, f"{SOAP}Header/{WSSE}Security")
    _put_aside(envelope, _only(security, f"{WSU}Timestamp"))
    _add_timestamp(security, datetime.now(UTC))


def _put_aside(envelope: Element, element: Element) -> None:
    etree.SubElement(envelope[0], "{urn:aside}Aside").append(element)


def _without_value(envelope: Element) -> None:
    for value in envelope.iter(f"{DS}SignatureValue"):
        value.text = ""


SPOILT: Mapping[str, Callable[[Element], None]] = {
    "altered": _altered,
    "wrapped": _wrapped,
    "wrapped_with_its_id": _wrapped_with_its_id,
    "wrapped_timestamp": _wrapped_timestamp,
    "without_value": _without_value,
}
"""Changes to an answer after it was signed."""
OVER: Mapping[str, tuple[str, ...]] = {
    "body_alone": ("body",),
    "timestamp_alone": ("timestamp",),
    "token_too": ("body", "timestamp", "token"),
}
"""What else than Body and Timestamp, and the token where it is agreed on, is signed."""


@dataclass(frozen=True, slots=True)
class Signatures:
    """What the gateway expects and how it signs; either may be missing. `stranger` signs what is `foreign`.

    Answers are signed with the hash function `digest`, over the token too when `token_signed`. Questions are to be
    signed with one of `accepts`, over the token too when `expects_token`; otherwise it may be signed or not.
    """

    expects: x509.Certificate | None = None
    signs_with: Signer | None = None
    stranger: Signer | None = None
    digest: Digest = "sha1"
    accepts: frozenset[str] = EITHER
    expects_token: bool = False
    token_signed: bool = False

    def check(self, envelope: Element) -> None:
        """Raises NotSigned."""
        if self.expects is not None:
            now = datetime.now(UTC)
            check(envelope, self.expects, now, self.accepts, expects_token=self.expects_token)

    def seal(self, body: bytes, spoilt: str | None = None) -> bytes:
        """An answer as it is sent, signed if we sign, and spoilt in one way if that is wanted."""
        if self.signs_with is None or spoilt == "unsigned":
            return body
        envelope = etree.fromstring(body)
        now = datetime.now(UTC) - (LONG_AGO if spoilt in {"stale", "wrapped_timestamp"} else timedelta(0))
        agreed = ("body", "timestamp", *(("token",) if self.token_signed else ()))
        signer = self.stranger if spoilt in {"foreign", "wrapped_token"} and self.stranger else self.signs_with
        digest = self.digest
        if spoilt == "other_digest":
            digest = "sha256" if digest == "sha1" else "sha1"
        sign(envelope, signer, now, OVER.get(spoilt or "", agreed), digest)
        if spoilt == "wrapped_token":
            _wrap_token(envelope, self.signs_with.certificate)
        elif spoilt is not None and spoilt in SPOILT:
            SPOILT[spoilt](envelope)
        return etree.tostring(envelope, xml_declaration=True, encoding="utf-8")


def _wrap_token(envelope: Element, shown: x509.Certificate) -> None:
    """The signer's token stands aside, where the signature finds it, and the gateway's in its place."""
    security = _only(envelope, f"{SOAP}Header/{WSSE}Security")
    _put_aside(envelope, _only(security, f"{WSSE}BinarySecurityToken"))
    security.insert(0, _add_token(security, shown))
