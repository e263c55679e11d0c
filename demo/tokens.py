"""Tokens of the demo, which a real portal gets from its log-in broker: ES256, with a key that the demo makes."""

import secrets
import time
from collections.abc import Collection
from datetime import timedelta
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode

from domain.cpr import Cpr

ALGORITHM = "ES256"
SCOPE = "overview:read overview:refresh fault-report:write calendar:read profile:read booking:write banner:write"
"""The scopes of the API that a citizen's own pages need."""
LASTS = timedelta(hours=1)


def new_key() -> bytes:
    """A new private key (EC P-256), as PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def jwks(pem: bytes) -> dict[str, Any]:
    """The JWKS (RFC 7517) with the public half of a private key. Raises ValueError when it is none of EC P-256."""
    public = _public_jwk(_load(pem))
    return {"keys": [{**public, "kid": _thumbprint(public), "use": "sig", "alg": ALGORITHM}]}


def sign(
    pem: bytes,
    *,
    issuer: str,
    audience: str,
    cpr: Cpr,
    contact_groups: Collection[int],
    education_order: bool,
    scope: str = SCOPE,
    lasts: timedelta = LASTS,
) -> str:
    """A token for one citizen, as the HTTP API takes it. Raises ValueError when the key is none of EC P-256."""
    key = _load(pem)
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": audience,
        "iat": now,
        "exp": now + int(lasts.total_seconds()),
        "sub": secrets.token_urlsafe(16),
        "cpr": cpr.digits,
        "contact_groups": sorted(contact_groups),
        "education_order": education_order,
        "scope": scope,
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": _thumbprint(_public_jwk(key))})


def _load(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("the key is not a private key of EC P-256")  # noqa: TRY004 - it is its content that is wrong
    return key


def _public_jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)


def _thumbprint(jwk: dict[str, Any]) -> str:
    """RFC 7638: the hash of the required members, in this order, without white space."""
    canonical = '{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}'.format(**jwk)
    return base64url_encode(sha256(canonical.encode()).digest()).decode()
