"""TLS between services: every Redis speaks nothing else, and a refresh goes all the way, with certificates checked."""

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.system.smoke.conftest import CONTAINERS, SERVICES
from tests.system.smoke.test_smoke import ask, citizen, settled

pytestmark = pytest.mark.skipif(
    not CONTAINERS, reason="the redis-server that Python packages bring has no TLS; the containers' has"
)


def issue(name, key, *, issuer=None, issuer_key=None, names=()):
    """A certificate for an hour; its own issuer, unless another is given."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if names:
        alternatives = [*map(x509.DNSName, names), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256())


@pytest.fixture
def certificates(tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = issue("authority", authority_key)
    server = issue("redis", server_key, issuer=authority, issuer_key=authority_key, names=("broker", "ledger", "cache"))
    (folder / "ca.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    for path in tmp_path, folder, *folder.iterdir():
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@pytest.fixture
def here(tmp_path, certificates):
    from tests.system.smoke import containers

    with containers.installation(tmp_path, certificates) as it:
        yield it


async def test_a_refresh_goes_through_with_tls_everywhere(celery_setup, here, services, reader, control):
    asked = await ask(services, citizen())
    await settled(reader, [citizen()])
    assert {name: answer.state for name, answer in asked.items()} == dict.fromkeys(SERVICES, "pending")


def test_without_tls_nothing_is_heard_and_a_stranger_is_not_believed(here):
    url = here.url("broker").replace("rediss://", "redis://").partition("?")[0]
    with redis.Redis.from_url(url) as plain, pytest.raises(redis.RedisError):
        plain.ping()
    with redis.Redis.from_url(url.replace("redis://", "rediss://")) as strict, pytest.raises(redis.RedisError):
        strict.ping()
