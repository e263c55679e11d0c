"""The other side of WS-Security, for tests: signs and checks by hand, with any algorithm and over any parts.

Exclusive canonicalisation is lxml's, the rest `cryptography`'s; nothing is the project's or signxml's, so that two
errors would have to agree. It signs what nobody should, and its `holds` believes what only looks signed.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from lxml import etree

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE = f"{{{_OASIS}wssecurity-secext-1.0.xsd}}"
WSU = f"{{{_OASIS}wssecurity-utility-1.0.xsd}}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
X509V3 = f"{_OASIS}x509-token-profile-1.0#X509v3"
BASE64 = f"{_OASIS}soap-message-security-1.0#Base64Binary"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_DSIG, _MORE, _XMLENC = (
    "http://www.w3.org/2000/09/xmldsig#",
    "http://www.w3.org/2001/04/xmldsig-more#",
    "http://www.w3.org/2001/04/xmlenc#",
)
DIGESTS = {
    "sha1": f"{_DSIG}sha1",
    "sha256": f"{_XMLENC}sha256",
    "sha384": f"{_MORE}sha384",
    "sha512": f"{_XMLENC}sha512",
}
METHODS = {
    "RSA": {"sha1": f"{_DSIG}rsa-sha1"} | {name: f"{_MORE}rsa-{name}" for name in ("sha256", "sha384", "sha512")},
    "EC": {name: f"{_MORE}ecdsa-{name}" for name in DIGESTS},
    "HMAC": {"sha1": f"{_DSIG}hmac-sha1"} | {name: f"{_MORE}hmac-{name}" for name in ("sha256", "sha384", "sha512")},
}
_NAMES = {uri: name for table in (DIGESTS, *METHODS.values()) for name, uri in table.items()}
_HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
RECORDED = ("token", "signature", "timestamp")
"""The order in which a recorded answer has them."""


@dataclass(frozen=True)
class Signer:
    """A key and its certificate."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def load(cls, file):
        content = file.read_bytes()
        key = serialization.load_pem_private_key(content[content.index(b"-----BEGIN PRIVATE") :], None)
        return cls(key, x509.load_pem_x509_certificate(content))

    @property
    def kind(self):
        return "RSA" if isinstance(self.key, rsa.RSAPrivateKey) else "EC"

    def sign(self, data, algorithm):
        if self.kind == "RSA":
            return self.key.sign(data, padding.PKCS1v15(), _HASHES[algorithm])
        size = (self.key.key_size + 7) // 8
        pair = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(_HASHES[algorithm])))
        return b"".join(number.to_bytes(size, "big") for number in pair)


def canonical(element, prefixes=()):
    return etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=list(prefixes) or None
    )


def base64(data):
    return b64encode(data).decode()


def parts(envelope):
    """What may be signed, by name; of each the one that is in its place."""
    security = envelope.find(f"{SOAP}Header/{WSSE}Security")
    return {
        "body": envelope.find(f"{SOAP}Body"),
        "timestamp": security.find(f"{WSU}Timestamp"),
        "token": security.find(f"{WSSE}BinarySecurityToken"),
    }


def secure(envelope, signer, algorithm="sha256", over=("body", "timestamp"), *, order=RECORDED, now=None, prefixes=()):
    """Puts a Security header with a signature over some parts into the envelope, and returns it."""
    now = now or datetime.now(UTC)
    header = etree.Element(f"{SOAP}Header")
    envelope.insert(0, header)
    security = etree.SubElement(header, f"{WSSE}Security", nsmap={"wsse": WSSE[1:-1], "wsu": WSU[1:-1]})
    token = etree.Element(f"{WSSE}BinarySecurityToken", EncodingType=BASE64, ValueType=X509V3)
    token.text = base64(signer.certificate.public_bytes(serialization.Encoding.DER))
    timestamp = etree.Element(f"{WSU}Timestamp")
    etree.SubElement(timestamp, f"{WSU}Created").text = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    etree.SubElement(timestamp, f"{WSU}Expires").text = f"{now + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    signature = etree.Element(f"{DS}Signature", nsmap={"ds": DS[1:-1]})
    for name in order:
        security.append({"token": token, "signature": signature, "timestamp": timestamp}[name])
    for name, element in parts(envelope).items():
        element.set(f"{WSU}Id", f"the-{name}")
    info = etree.SubElement(signature, f"{DS}SignedInfo")
    method(info, "CanonicalizationMethod", EXCLUSIVE, prefixes)
    method(info, "SignatureMethod", METHODS[signer.kind][algorithm])
    for name in over:
        reference = etree.SubElement(info, f"{DS}Reference", URI=f"#the-{name}")
        method(etree.SubElement(reference, f"{DS}Transforms"), "Transform", EXCLUSIVE, prefixes)
        method(reference, "DigestMethod", DIGESTS[algorithm])
        digest = etree.SubElement(reference, f"{DS}DigestValue")
        digest.text = base64(hashlib.new(algorithm, canonical(parts(envelope)[name], prefixes)).digest())
    etree.SubElement(signature, f"{DS}SignatureValue")
    key_info = etree.SubElement(signature, f"{DS}KeyInfo")
    named = etree.SubElement(key_info, f"{WSSE}SecurityTokenReference")
    etree.SubElement(named, f"{WSSE}Reference", URI="#the-token", ValueType=X509V3)
    resign(envelope, signer, algorithm, prefixes)
    return envelope


def method(parent, name, algorithm, prefixes=()):
    """An element that names an algorithm."""
    named = etree.SubElement(parent, f"{DS}{name}", Algorithm=algorithm)
    if prefixes:
        of_it = etree.SubElement(named, f"{{{EXCLUSIVE}}}InclusiveNamespaces", nsmap={"ec": EXCLUSIVE})
        of_it.set("PrefixList", " ".join(prefixes))
    return named


def resign(envelope, signer, algorithm, prefixes=()):
    """Makes the signature's value anew, over its SignedInfo as that is now."""
    info = next(envelope.iter(f"{DS}SignedInfo"))
    value = next(envelope.iter(f"{DS}SignatureValue"))
    value.text = base64(signer.sign(canonical(info, prefixes), algorithm))


def holds(envelope, certificate):
    """Whether the first signature is the certificate's, and each digest that of the first element with its id.

    This is how a careless verifier looks: it asks nothing of where the elements are, or of what is signed.
    """
    info = next(envelope.iter(f"{DS}SignedInfo"))
    for reference in info.findall(f"{DS}Reference"):
        name = reference.get("URI").removeprefix("#")
        found = [
            element
            for element in envelope.iter(etree.Element)
            if any(value == name for key, value in element.attrib.items() if key.rpartition("}")[2].lower() == "id")
        ]
        digest = hashlib.new(_NAMES[reference.find(f"{DS}DigestMethod").get("Algorithm")])
        if not found:
            return False
        digest.update(canonical(found[0], _prefixes(reference.find(f"{DS}Transforms/{DS}Transform"))))
        if b64decode(reference.findtext(f"{DS}DigestValue")) != digest.digest():
            return False
    algorithm = info.find(f"{DS}SignatureMethod").get("Algorithm")
    value = b64decode(next(envelope.iter(f"{DS}SignatureValue")).text or "")
    signed = canonical(info, _prefixes(info.find(f"{DS}CanonicalizationMethod")))
    return _is_of(certificate.public_key(), algorithm, value, signed)


def _prefixes(element):
    return [prefix for child in element for prefix in child.get("PrefixList", "").split()]


def _is_of(key, algorithm, value, signed):
    used = _HASHES[_NAMES[algorithm]]
    try:
        if algorithm in METHODS["HMAC"].values():
            return hmac.compare_digest(value, hmac.digest(public(key), signed, _NAMES[algorithm]))
        if algorithm in METHODS["RSA"].values():
            key.verify(value, signed, padding.PKCS1v15(), used)
        else:
            half = len(value) // 2
            pair = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
            key.verify(utils.encode_dss_signature(*pair), signed, ec.ECDSA(used))
    except InvalidSignature:
        return False
    return True


def public(key):
    """A public key as whoever confuses it with a secret would have it."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
