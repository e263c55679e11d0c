"""Calls over TLS with a client certificate: both sides show who they are, or nothing is said."""

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.settings import UpstreamSettings
from workers.resilience.client import HttpClient, Question
from workers.resilience.errors import ConnectionLost, NotAuthorised


class Authority:
    """Issues certificates, each as a PEM file with its key."""

    def __init__(self, directory, name):
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(self._subject, self._key.public_key(), authority=True)
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key.public_key(), authority=False)
        file = self._directory / f"{name}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return file

    def _sign(self, subject, public_key, *, authority):
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
                    key_agreement=False, key_cert_sign=authority, crl_sign=authority, encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(self._key, hashes.SHA256())
        )  # fmt: skip


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "authority")


@pytest.fixture
def register(authority):
    """A register that wants to see a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("register"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        # Not asyncio's server, which closes the connection before the alert is out; a gateway sends it, and hears
        # the client out, so that no reset overtakes the alert.
        def finish_request(self, request, client_address):
            with context.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as secured:
                try:
                    secured.do_handshake()
                except ssl.SSLError:
                    with socket.socket(fileno=secured.detach()) as plain, suppress(OSError):
                        plain.shutdown(socket.SHUT_WR)
                        while plain.recv(4096):
                            pass
                else:
                    super().finish_request(secured, client_address)

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


async def call(url, **files):
    async with HttpClient(url, UpstreamSettings(**files)) as http:
        return await http.send(Question("GET", "/"), {}, 10)


async def test_with_the_right_certificates_there_is_an_answer(register, authority):
    answer = await call(register, ca_bundle=authority.file, client_cert=authority.issue("us"))
    assert answer.json() == {}


async def test_a_register_of_another_authority_is_not_spoken_to(register, authority, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    with pytest.raises(ConnectionLost):
        await call(register, ca_bundle=stranger.file, client_cert=authority.issue("us"))


async def test_without_our_certificate_an_operator_must_act(register, authority):
    with pytest.raises(NotAuthorised, match="client certificate was refused"):
        await call(register, ca_bundle=authority.file)


async def test_with_a_certificate_that_is_not_trusted_an_operator_must_act(register, authority, tmp_path):
    ours = Authority(tmp_path, "stranger").issue("us")
    with pytest.raises(NotAuthorised, match="client certificate was refused"):
        await call(register, ca_bundle=authority.file, client_cert=ours)
