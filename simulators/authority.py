"""Certificate authority for simulators and tests: issues the certificates that a case needs."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority:
    """Issues certificates, each as a file with its key. `file` is its own certificate, in PEM.

    That is signed by `below`, an authority above this one, or by itself.
    """

    def __init__(self, directory: Path, name: str, below: "Authority | None" = None) -> None:
        self._directory = directory
        self._key: Key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (below or self).sign(self._subject, self._key, DAY, "127.0.0.1", authority=True)
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        valid_for: timedelta = DAY,
        host: str = "127.0.0.1",
        passphrase: str | None = None,
        as_pkcs12: bool = False,
        with_rsa: bool = False,
    ) -> Path:
        """A file with a certificate for `name` and its key. A `valid_for` below nothing has expired."""
        key: Key = rsa.generate_private_key(65537, 2048) if with_rsa else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self.sign(subject, key, valid_for, host, authority=False)
        secret: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            secret = BestAvailableEncryption(passphrase.encode())
        if as_pkcs12:
            file = self._directory / f"{name}.p12"
            file.write_bytes(
                pkcs12.serialize_key_and_certificates(name.encode(), key, certificate, [self.certificate], secret)
            )
            return file
        file = self._directory / f"{name}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)
        file.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
        return file

    def revoke(self, *names: str, valid_for: timedelta = DAY, as_der: bool = False) -> Path:
        """A file with a revocation list that names the certificates which were issued under these names."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._subject)
        builder = builder.last_update(now - timedelta(days=400)).next_update(now + valid_for)
        for name in names:
            certificate = x509.load_pem_x509_certificate((self._directory / f"{name}.pem").read_bytes())
            one = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now)
            builder = builder.add_revoked_certificate(one.build())
        file = self._directory / "revoked.crl"
        made = builder.sign(self._key, hashes.SHA256())
        file.write_bytes(made.public_bytes(Encoding.DER if as_der else Encoding.PEM))
        return file

    def sign(
        self, subject: x509.Name, key: Key, valid_for: timedelta, host: str, *, authority: bool
    ) -> x509.Certificate:
        """A certificate for a key, of any kind and strength."""
        now = datetime.now(UTC)
        alternative = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + valid_for)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
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
