"""WS-Security 1.0 with X.509 certificates: signs a question's Body and Timestamp, and checks that an answer's are.

(F) Skatteforvaltningen's gateway wants just that, with a Timestamp that is at most 60 seconds old. The signing itself
is signxml's (docs/decisions/0014-…); what an answer must look like around its signature is settled here, element by
element, so that nothing is believed that stands beside what was signed.
"""

import binascii
import logging
import re
import uuid
from base64 import b64decode, b64encode
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import signxml.exceptions
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509 import verification
from lxml import etree
from lxml.etree import _Element as Element
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

from workers.resilience.certificates import Certificates, Identity, Trusted
from workers.resilience.errors import InvalidResponse

# It logs whatever it canonicalises, at DEBUG: no setting of ours may make it do so.
logging.getLogger("signxml").setLevel(logging.WARNING)

VALID_FOR: Final = timedelta(seconds=60)
"""(F) How old a Timestamp may be. It is also how far the gateway's clock may be ahead of ours."""

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
_METHODS = frozenset({
    SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512,
    SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384, SignatureMethod.ECDSA_SHA512,
})  # fmt: skip
_DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_LOCATION = f"./{_SOAP}Header/{WSSE}Security/"
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z")


@dataclass(frozen=True, slots=True)
class Security:
    """What is signed with and what is verified with, as it is now; either may be missing, which leaves that out."""

    signs_with: Identity | None = None
    verifies_with: Trusted | None = None
    subject: str | None = None
    """Whose certificates are meant, of all that an authority in `verifies_with` has issued."""

    @classmethod
    def of(cls, certificates: Certificates, subject: str | None) -> "Security":
        """What the settings name, as the files are now."""
        signing, verifying = certificates.identities.get("signing_cert"), certificates.trusted.get("verify_with")
        return cls(signing.value if signing else None, verifying.value if verifying else None, subject)

    def sign(self, envelope: Element, now: datetime) -> None:
        """Puts a Security header into `envelope`, unless there is nothing to sign with."""
        if self.signs_with:
            _sign(envelope, self.signs_with, now)

    def verify(self, envelope: Element, now: datetime) -> None:
        """Raises InvalidResponse unless `envelope` is signed as it must be, or nothing is verified."""
        if self.verifies_with:
            _verify(envelope, self.verifies_with, self.subject, now)


def _sign(envelope: Element, identity: Identity, now: datetime) -> None:
    body, token_id = _child(envelope, f"{_SOAP}Body"), _new_id("X509")
    body.set(_ID, _new_id("Body"))
    header = etree.Element(f"{_SOAP}Header")
    envelope.insert(0, header)
    security = etree.SubElement(header, f"{WSSE}Security", nsmap={"wsse": WSSE[1:-1], "wsu": WSU[1:-1]})
    security.set(f"{_SOAP}mustUnderstand", "1")
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
    is_rsa = isinstance(identity.key, RSAPrivateKey)
    signer = XMLSigner(
        method=SignatureConstructionMethod.detached,
        signature_algorithm=SignatureMethod.RSA_SHA256 if is_rsa else SignatureMethod.ECDSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=_EXCLUSIVE,
    )
    references = [f"#{signed.get(_ID)}" for signed in (body, timestamp)]
    security.append(signer.sign(envelope, key=identity.key, key_info=key_info, reference_uri=references))


def _new_id(of: str) -> str:
    return f"{of}-{uuid.uuid4()}"


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _verify(envelope: Element, trusted: Trusted, subject: str | None, now: datetime) -> None:
    # Where everything stands is looked at first: of each there is one, and it is where it belongs.
    security = _child(_child(envelope, f"{_SOAP}Header"), f"{WSSE}Security")
    body, timestamp = _child(envelope, f"{_SOAP}Body"), _child(security, f"{WSU}Timestamp")
    signature, token = _child(security, f"{DS}Signature"), _child(security, f"{WSSE}BinarySecurityToken")
    for element in (body, timestamp, signature, token):
        if sum(1 for _ in envelope.iter(element.tag)) != 1:
            raise InvalidResponse(f"{_name(element)} is there twice")
    _check_ids(envelope)
    _check_references(_child(signature, f"{DS}SignedInfo"), {str(body.get(_ID)), str(timestamp.get(_ID))})
    _check_timestamp(timestamp, now)
    certificate = _certificate(token)
    _check_signer(certificate, trusted, subject, now)
    config = SignatureConfiguration(
        location=_LOCATION,
        expect_references=2,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        verification_time=now,
    )
    try:
        XMLVerifier().verify(envelope, x509_cert=certificate, expect_config=config)
    except (signxml.exceptions.SignXMLException, etree.LxmlError, ValueError, AttributeError, TypeError) as error:
        # Not chained, since it may quote the answer. What is not of XML Signature fails in signxml in several ways.
        kind = type(error).__name__
    else:
        return
    raise InvalidResponse(f"the answer's signature does not hold: {kind}")


def _child(element: Element, tag: str) -> Element:
    found = element.findall(tag)
    if len(found) != 1:
        name = tag.rpartition("}")[2]
        raise InvalidResponse(f"the answer is not signed as it must be: {name} is there {len(found)} times")
    return found[0]


def _name(element: Element) -> str:
    return etree.QName(element).localname


def _check_ids(envelope: Element) -> None:
    """No two elements have the same id, whatever namespace it is of: a reference means one element."""
    ids = Counter(
        value
        for element in envelope.iter(etree.Element)
        for name, value in element.items()
        if etree.QName(name).localname.lower() == "id"
    )
    if any(count > 1 for count in ids.values()):
        raise InvalidResponse("the answer has an id twice")


def _check_references(signed_info: Element, ids: set[str]) -> None:
    """What was signed is Body and Timestamp, and as they stand: canonicalised, and not transformed into anything."""
    references = signed_info.findall(f"{DS}Reference")
    if len(references) != 2 or {reference.get("URI") for reference in references} != {f"#{one}" for one in ids}:
        raise InvalidResponse("the answer's signature is not over Body and Timestamp")
    transforms = [transform for one in references for transform in one.findall(f"{DS}Transforms/{DS}Transform")]
    methods = [*transforms, _child(signed_info, f"{DS}CanonicalizationMethod")]
    if len(transforms) != 2 or {method.get("Algorithm") for method in methods} != {_EXCLUSIVE.value}:
        raise InvalidResponse("the answer's signature is not over the elements as they stand")


def _check_timestamp(timestamp: Element, now: datetime) -> None:
    created = _moment(_child(timestamp, f"{WSU}Created"))
    expires = _moment(_child(timestamp, f"{WSU}Expires")) if timestamp.find(f"{WSU}Expires") is not None else None
    if abs(now - created) > VALID_FOR or (expires is not None and expires <= now):
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
