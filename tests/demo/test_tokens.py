"""The tokens of the demo's log-in."""

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from demo.tokens import SCOPE, jwks, new_key, sign
from domain.cpr import Cpr

CPR = Cpr("6102991234")


def token(key, **more):
    return sign(key, issuer="i", audience="a", cpr=CPR, contact_groups={12, 1}, education_order=True, **more)


def test_a_token_is_checked_with_the_published_key_alone():
    key = new_key()
    published = jwks(key)
    found = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(token(key))["kid"]]
    claims = jwt.decode(token(key), found, ["ES256"], issuer="i", audience="a")
    assert claims["cpr"] == "6102991234"
    assert claims["contact_groups"] == [1, 12]
    assert claims["education_order"] is True
    assert claims["scope"] == SCOPE
    assert claims["exp"] - claims["iat"] == 3600
    assert abs(claims["iat"] - time.time()) < 60
    assert "d" not in published["keys"][0]


def test_no_two_tokens_tell_that_they_are_of_the_same_citizen():
    key = new_key()
    subjects = {jwt.decode(token(key), options={"verify_signature": False})["sub"] for _ in range(5)}
    assert len(subjects) == 5
    assert not any("6102991234" in subject for subject in subjects)


def test_another_key_does_not_open_the_door():
    theirs = jwt.PyJWK(jwks(new_key())["keys"][0])
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token(new_key()), theirs, ["ES256"], issuer="i", audience="a")


def test_the_key_id_is_the_keys_thumbprint():
    """RFC 7638, computed here by the letter."""
    import base64
    import hashlib

    jwk = jwks(new_key())["keys"][0]
    members = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(members.encode()).digest()
    assert jwk["kid"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_a_key_of_another_kind_is_refused():
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValueError, match="P-256"):
        jwks(other)
