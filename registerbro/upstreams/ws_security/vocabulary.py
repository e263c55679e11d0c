"""Vocabulary of WS-Security and XML Signature: namespaces, fault codes, algorithms, and access to elements by name."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from lxml.etree import _Element as Element
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod

from config.settings import variable
from registerbro.upstreams.errors import InvalidResponse

SOAP: Final = "{http://schemas.xmlsoap.org/soap/envelope/}"
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

_VERIFY_ALGORITHMS = variable("eindkomst", "verify_algorithms")

ID: Final = f"{WSU}Id"

EXCLUSIVE: Final = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0


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
    # The published policy knows RSA alone; no policy names an older curve signature.
    "sha1": Family(hashes.SHA1(), DigestAlgorithm.SHA1, SignatureMethod.RSA_SHA1),  # noqa: S303 - the policy's own
    "sha256": Family(hashes.SHA256(), DigestAlgorithm.SHA256, SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256),
    "sha384": Family(hashes.SHA384(), DigestAlgorithm.SHA384, SignatureMethod.RSA_SHA384, SignatureMethod.ECDSA_SHA384),
    "sha512": Family(hashes.SHA512(), DigestAlgorithm.SHA512, SignatureMethod.RSA_SHA512, SignatureMethod.ECDSA_SHA512),
}
"""Algorithm families by their name in the settings."""

_BY_ALGORITHM = {
    algorithm.value: name
    for name, family in FAMILIES.items()
    for algorithm in (family.digest, family.rsa, family.ecdsa)
    if algorithm is not None
}


def child(element: Element, tag: str) -> Element:
    found = element.findall(tag)
    if len(found) != 1:
        raise InvalidResponse(f"the answer is not signed as it must be: {local_name(tag)} is there {len(found)} times")
    return found[0]


def children(element: Element, *names: str, of: str = DS) -> list[Element]:
    """The children of an element, which must be exactly these. Raises InvalidResponse."""
    children = list(element)
    if [child.tag for child in children] != [f"{of}{name}" for name in names]:
        raise InvalidResponse(f"the answer's signature is not of the usual form: {local_name(element.tag)}")
    return children


def local_name(tag: str) -> str:
    return tag.rpartition("}")[2]


def base64_of(element: Element) -> bytes:
    """Decodes an element's base64 text. Raises InvalidResponse."""
    try:
        return b64decode("" if len(element) else element.text or "")
    except (ValueError, binascii.Error):
        raise InvalidResponse(f"the answer's {local_name(element.tag)} is not base64") from None


def family_of(method: Element, accepts: frozenset[str]) -> Family:
    """The family of an algorithm. Raises InvalidResponse for one that is unknown or not accepted."""
    if len(method):
        raise InvalidResponse("the answer's signature has an algorithm with parameters")
    name = _BY_ALGORITHM.get(method.get("Algorithm", ""))
    if name is None:
        raise InvalidResponse("the answer's signature is of no known algorithm")
    if name not in accepts:
        raise InvalidResponse(f"the answer is signed with {name}, which {_VERIFY_ALGORITHMS} does not name")
    return FAMILIES[name]


def algorithms_in(envelope: Element) -> tuple[str, ...]:
    """Names of the algorithm families that the signatures and digests in an envelope say they are of, verified or not.

    `unknown` stands for any other; empty without a signature.
    """
    methods = envelope.iter(f"{DS}SignatureMethod", f"{DS}DigestMethod")
    return tuple(sorted({_BY_ALGORITHM.get(method.get("Algorithm", ""), "unknown") for method in methods}))
