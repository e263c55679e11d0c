"""eIndkomst's gateway as to WS-Security: checks a question's signature, signs answers, and signs them wrongly.

All of it by hand from the standards (exclusive canonicalisation by lxml, the rest by `cryptography`), and with no code
of the project's own or of the library that it signs with, so that two errors would have to agree.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from lxml import etree
from lxml.etree import _Element as Element

from simulators.protocol import Breach

FRESH = timedelta(seconds=60)
SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE = f"{{{OASIS}wssecurity-secext-1.0.xsd}}"
WSU = f"{{{OASIS}wssecurity-utility-1.0.xsd}}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
TOKEN = f"{OASIS}x509-token-profile-1.0#X509v3"
BASE64 = f"{OASIS}soap-message-security-1.0#Base64Binary"


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


def canonical(element: Element) -> bytes:
    """The element under exclusive canonicalisation without comments."""
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def check(envelope: Element, expected: x509.Certificate, now: datetime) -> None:
    """Raises NotSigned unless Body and Timestamp are signed by `expected`, just now, and nothing else is."""
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
        datetime.fromisoformat(str(_only(timestamp, WSU + name).text)) for name in ("Created", "Expires")
    )
    if not timedelta(seconds=-1) <= now - created <= FRESH or expires <= now:
        raise NotSigned("MessageExpired", "the Timestamp is not of now")
    named_so = (f"{WSU}Id", "Id", "ID", "id")
    ids = [found for element in envelope.iter(etree.Element) for name in named_so if (found := element.get(name))]
    if len(ids) != len(set(ids)):
        raise NotSigned("InvalidSecurity", "an id is there twice")
    signed = {f"#{one.get(f'{WSU}Id')}": one for one in (timestamp, _only(envelope, f"{SOAP}Body"))}
    info = _only(security, f"{DS}Signature/{DS}SignedInfo")
    references = info.findall(f"{DS}Reference")
    if {one.get("URI") for one in references} != set(signed) or len(references) != 2:
        raise NotSigned("InvalidSecurity", "the signature is not over Body and Timestamp")
    for reference in references:
        digest = hashlib.sha256(canonical(signed[str(reference.get("URI"))])).digest()
        algorithms = [
            one.get("Algorithm") for one in (*reference.iter(f"{DS}Transform"), _only(reference, f"{DS}DigestMethod"))
        ]
        if algorithms != [EXCLUSIVE, SHA256]:
            raise NotSigned("UnsupportedAlgorithm", "not exclusive canonicalisation and SHA-256")
        if b64decode(_only(reference, f"{DS}DigestValue").text or "") != digest:
            raise NotSigned("FailedCheck", "a digest is another")
    value = b64decode(_only(security, f"{DS}Signature/{DS}SignatureValue").text or "")
    try:
        _check_value(expected, str(_only(info, f"{DS}SignatureMethod").get("Algorithm")), value, canonical(info))
    except InvalidSignature:
        raise NotSigned("FailedCheck", "the signature does not hold") from None


def _check_value(certificate: x509.Certificate, method: str, value: bytes, signed: bytes) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and method == RSA_SHA256:
        key.verify(value, signed, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePublicKey) and method == ECDSA_SHA256:
        half = len(value) // 2
        pair = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
        key.verify(utils.encode_dss_signature(*pair), signed, ec.ECDSA(hashes.SHA256()))
    else:
        raise NotSigned("UnsupportedAlgorithm", "not RSA or ECDSA with SHA-256")


def _only(element: Element, path: str) -> Element:
    found = element.findall(path)
    if len(found) != 1:
        raise NotSigned("InvalidSecurity", f"{path.rpartition('}')[2]} is there {len(found)} times")
    return found[0]


def sign(envelope: Element, signer: Signer, now: datetime, over: tuple[str, ...] = ("body", "timestamp")) -> None:
    """Signs Body and Timestamp, or what `over` says."""
    body = envelope.find(f"{SOAP}Body")
    if body is None:
        raise ValueError("no Body to sign")
    header = etree.Element(f"{SOAP}Header")
    envelope.insert(0, header)
    security = etree.SubElement(header, f"{WSSE}Security")
    token = etree.SubElement(security, f"{WSSE}BinarySecurityToken", EncodingType=BASE64, ValueType=TOKEN)
    token.text = b64encode(signer.certificate.public_bytes(serialization.Encoding.DER)).decode()
    timestamp = etree.SubElement(security, f"{WSU}Timestamp")
    etree.SubElement(timestamp, f"{WSU}Created").text = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    etree.SubElement(timestamp, f"{WSU}Expires").text = f"{now + FRESH:%Y-%m-%dT%H:%M:%SZ}"
    for element, name in ((token, "the-token"), (timestamp, "the-timestamp"), (body, "the-body")):
        element.set(f"{WSU}Id", name)
    signature = etree.SubElement(security, f"{DS}Signature")
    info = etree.SubElement(signature, f"{DS}SignedInfo")
    etree.SubElement(info, f"{DS}CanonicalizationMethod", Algorithm=EXCLUSIVE)
    is_rsa = isinstance(signer.key, rsa.RSAPrivateKey)
    etree.SubElement(info, f"{DS}SignatureMethod", Algorithm=RSA_SHA256 if is_rsa else ECDSA_SHA256)
    for name in over:
        element = {"body": body, "timestamp": timestamp, "token": token}[name]
        reference = etree.SubElement(info, f"{DS}Reference", URI=f"#{element.get(f'{WSU}Id')}")
        etree.SubElement(etree.SubElement(reference, f"{DS}Transforms"), f"{DS}Transform", Algorithm=EXCLUSIVE)
        etree.SubElement(reference, f"{DS}DigestMethod", Algorithm=SHA256)
        digest = hashlib.sha256(canonical(element)).digest()
        etree.SubElement(reference, f"{DS}DigestValue").text = b64encode(digest).decode()
    etree.SubElement(signature, f"{DS}SignatureValue").text = b64encode(_value(signer, canonical(info))).decode()
    key_info = etree.SubElement(signature, f"{DS}KeyInfo")
    named = etree.SubElement(key_info, f"{WSSE}SecurityTokenReference")
    etree.SubElement(named, f"{WSSE}Reference", URI="#the-token", ValueType=TOKEN)


def _value(signer: Signer, signed: bytes) -> bytes:
    if isinstance(signer.key, rsa.RSAPrivateKey):
        return signer.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    size = (signer.key.key_size + 7) // 8
    pair = utils.decode_dss_signature(signer.key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return b"".join(number.to_bytes(size, "big") for number in pair)


def _altered(envelope: Element) -> None:
    for text in envelope.iter("{*}AngivelsePeriodeTilDato", "{*}AdvisIdentifikator"):
        text.text = "2020-12-31" if "Dato" in str(text.tag) else "101"


def _wrapped(envelope: Element) -> None:
    """What was signed stands aside, where its reference still finds it, and something else in its place."""
    body = envelope[-1]
    other = deepcopy(body)
    del other.attrib[f"{WSU}Id"]
    _altered(other)
    envelope.replace(body, other)
    etree.SubElement(envelope[0], "{urn:aside}Aside").append(body)


def _wrapped_with_its_id(envelope: Element) -> None:
    body = envelope[-1]
    _wrapped(envelope)
    envelope[-1].set(f"{WSU}Id", str(body.get(f"{WSU}Id")))


def _without_value(envelope: Element) -> None:
    for value in envelope.iter(f"{DS}SignatureValue"):
        value.text = ""


SPOILT: Mapping[str, Callable[[Element], None]] = {
    "altered": _altered,
    "wrapped": _wrapped,
    "wrapped_with_its_id": _wrapped_with_its_id,
    "without_value": _without_value,
}
"""What becomes of an answer after it was signed."""


@dataclass(frozen=True, slots=True)
class Signatures:
    """What the gateway expects and how it signs; either may be missing. `stranger` signs what is `foreign`."""

    expects: x509.Certificate | None = None
    signs_with: Signer | None = None
    stranger: Signer | None = None

    def check(self, envelope: Element) -> None:
        """Raises NotSigned."""
        if self.expects is not None:
            check(envelope, self.expects, datetime.now(UTC))

    def seal(self, body: bytes, spoilt: str | None = None) -> bytes:
        """An answer as it is sent, signed if we sign, and spoilt in one way if that is wanted."""
        if self.signs_with is None or spoilt == "unsigned":
            return body
        envelope = etree.fromstring(body)
        now = datetime.now(UTC) - (2 * FRESH if spoilt == "stale" else timedelta(0))
        over = {"body_alone": ("body",), "timestamp_alone": ("timestamp",), "token_too": ("body", "timestamp", "token")}
        signer = self.stranger if spoilt == "foreign" and self.stranger else self.signs_with
        sign(envelope, signer, now, over.get(spoilt or "", ("body", "timestamp")))
        if spoilt is not None and spoilt in SPOILT:
            SPOILT[spoilt](envelope)
        return etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
