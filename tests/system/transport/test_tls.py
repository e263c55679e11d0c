"""The transport over TLS, with a certificate that a client checks."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis
from kombu import Connection

from tests.redis_transport.conftest import Connect
from tests.redis_transport.inbox import Inbox, publish_with
from tests.redis_transport.servers import RedisServer


def test_it_works_over_tls(connect: Connect, server: RedisServer, client: redis.Redis, tmp_path: Path) -> None:
    certificate = _certificate(tmp_path)
    with _tls_before(server.port, certificate) as port, ExitStack() as stack:
        options = {"ssl_cert_reqs": "required", "ssl_ca_certs": str(certificate)}
        url = f"rediss://127.0.0.1:{port}/0?" + "&".join(f"{name}={value}" for name, value in options.items())
        inbox = Inbox(stack.enter_context(Connection(url)), "q")
        publish_with(stack.enter_context(Connection(url)), 1)
        inbox.wait(1)[0].ack()
        assert not client.exists("q", "unacked", "unacked_index")
        inbox.consumer.cancel()
        inbox.channel.close()


def _certificate(directory: Path) -> Path:
    """A file with a key, and a certificate for 127.0.0.1 that signs itself."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "redis.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def _tls_before(port: int, certificate: Path) -> Iterator[int]:
    """A listener that speaks TLS, and hands on to a Redis that was built without it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))
    sockets: list[socket.socket] = [listener]

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
                secure = context.wrap_socket(plain, server_side=True)
            except OSError:
                return
            behind = socket.create_connection(("127.0.0.1", port))
            sockets.extend([secure, behind])
            for ends in ((secure, behind), (behind, secure)):
                threading.Thread(target=carry, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        for each in sockets:
            each.close()
