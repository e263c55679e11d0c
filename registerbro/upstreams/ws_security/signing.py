"""Signing: puts a Security header into a question, with token, Timestamp and a detached signature.

The signature is signxml's (docs/decisions/0014-…).
"""

import logging
import uuid
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree
from lxml.etree import _Element as Element
from signxml.algorithms import DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.signer import XMLSigner

from registerbro.upstreams.certificate_files import Identity
from registerbro.upstreams.ws_security.vocabulary import (
    BASE64,
    DS,
    EXCLUSIVE,
    ID,
    SOAP,
    WSSE,
    WSU,
    X509V3,
    Family,
    child,
)

# signxml logs whatever it canonicalises, at DEBUG: no setting of ours may make it do so.
logging.getLogger("signxml").setLevel(logging.WARNING)

VALID_FOR: Final = timedelta(minutes=5)
"""How long a question's Timestamp holds. (F) No limit is published; it is 5 minutes in what was recorded."""


class _Signer(XMLSigner):
    """signxml's, which refuses SHA-1 unless a subclass means it; this one means the one pair of the policy."""

    def check_deprecated_methods(self) -> None:
        """Raises InvalidInput for what is not to be used any more."""
        if (self.sign_alg, self.digest_alg) != (SignatureMethod.RSA_SHA1, DigestAlgorithm.SHA1):
            super().check_deprecated_methods()  # type: ignore[no-untyped-call]


def sign(envelope: Element, identity: Identity, family: Family, now: datetime, *, with_token: bool) -> None:
    body, token_id = child(envelope, f"{SOAP}Body"), _new_id("X509")
    body.set(ID, _new_id("Body"))
    header = etree.Element(f"{SOAP}Header")
    envelope.insert(0, header)
    security = etree.SubElement(header, f"{WSSE}Security", nsmap={"wsse": WSSE[1:-1], "wsu": WSU[1:-1]})
    security.set(f"{SOAP}mustUnderstand", "1")
    # What is signed stands before the signature: the layout »Strict« of the policy.
    token = etree.SubElement(security, f"{WSSE}BinarySecurityToken", EncodingType=BASE64, ValueType=X509V3)
    token.set(ID, token_id)
    token.text = b64encode(identity.certificate.public_bytes(serialization.Encoding.DER)).decode()
    timestamp = etree.SubElement(security, f"{WSU}Timestamp")
    timestamp.set(ID, _new_id("Timestamp"))
    etree.SubElement(timestamp, f"{WSU}Created").text = _instant(now)
    etree.SubElement(timestamp, f"{WSU}Expires").text = _instant(now + VALID_FOR)

    key_info = etree.Element(f"{DS}KeyInfo", nsmap={"ds": DS[1:-1]})
    reference = etree.SubElement(key_info, f"{WSSE}SecurityTokenReference", nsmap={"wsse": WSSE[1:-1]})
    etree.SubElement(reference, f"{WSSE}Reference", URI=f"#{token_id}", ValueType=X509V3)
    signer = _Signer(
        method=SignatureConstructionMethod.detached,
        signature_algorithm=family.rsa if isinstance(identity.key, RSAPrivateKey) else family.ecdsa or family.rsa,
        digest_algorithm=family.digest,
        c14n_algorithm=EXCLUSIVE,
    )
    signed = [body, timestamp, *([token] if with_token else [])]
    references = [f"#{one.get(ID)}" for one in signed]
    security.append(signer.sign(envelope, key=identity.key, key_info=key_info, reference_uri=references))


def _new_id(of: str) -> str:
    return f"{of}-{uuid.uuid4()}"


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
