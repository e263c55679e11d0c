"""What is said of a file with certificates that cannot be used, at the start and while it is watched."""

from base64 import b64decode, b64encode
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from config.reloading import Watched
from config.settings import SettingsError, UpstreamSettings
from registerbro.upstreams.certificate_files import CertificateError, Identity, Trusted
from registerbro.upstreams.certificates import Certificates
from simulators.authority import Authority

KEY = b"-----BEGIN PRIVATE KEY-----"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def ours(authority):
    """A certificate and its key, in PEM."""
    return authority.issue("us").read_bytes()


@pytest.fixture(scope="module")
def files(authority, ours):
    certificate, key = ours.split(KEY)
    other_key = authority.issue("other").read_bytes().split(KEY)[1]
    ed25519 = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    der = b64decode(b"".join(certificate.split(b"\n")[1:-2]))
    of_version_8 = b64encode(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1))
    return {
        "whole": ours,
        "without a key": certificate,
        "two keys": ours + KEY + other_key,
        "another key": certificate + KEY + other_key,
        "a broken key": certificate + KEY + b"\nAAAA\n-----END PRIVATE KEY-----\n",
        "a broken certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + KEY + key,
        "of version 8": b"-----BEGIN CERTIFICATE-----\n" + of_version_8 + b"\n-----END CERTIFICATE-----\n" + KEY + key,
        "of another kind": certificate + ed25519,
        "cut short": ours[:-40],
        "encrypted": authority.issue("locked", passphrase="right").read_bytes(),
        "PKCS#12": authority.issue("locked", passphrase="right", as_pkcs12=True).read_bytes(),
        "PKCS#12 without a key": pkcs12.serialize_key_and_certificates(
            b"us", None, authority.certificate, None, NoEncryption()
        ),
        "neither": b"a text",
    }


def test_a_key_that_openssl_finds_too_weak_is_told_at_once(authority):
    weak = rsa.generate_private_key(65537, 1024)
    certificate = authority.sign(authority.certificate.subject, weak, timedelta(days=1), "127.0.0.1", authority=False)
    key = weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(CertificateError, match=r"^is refused by OpenSSL: EE_KEY_TOO_SMALL$"):
        Identity.parse(certificate.public_bytes(Encoding.PEM) + key, None)


@pytest.mark.parametrize(
    ("file", "passphrase", "said"),
    [
        ("without a key", None, "holds no private key"),
        ("two keys", None, "holds several private keys"),
        ("another key", None, "holds no certificate that goes with its key"),
        ("a broken key", None, "holds a key that cannot be read"),
        ("a broken key", "right", "holds a key that cannot be read, or its passphrase is another"),
        ("a broken certificate", None, "holds a certificate that cannot be read"),
        ("of version 8", None, "holds a certificate that cannot be read"),
        ("of another kind", None, "holds a key that is neither RSA nor EC"),
        ("cut short", None, "is cut short"),
        ("whole", "right", "holds a key that is not encrypted, though it has a passphrase"),
        ("encrypted", None, "needs a passphrase"),
        ("encrypted", "wrong", "holds a key that cannot be read, or its passphrase is another"),
        ("PKCS#12", None, "is no PEM file, and no PKCS#12 file that its passphrase would need"),
        ("PKCS#12", "wrong", "is no PEM file, and no PKCS#12 file that its passphrase opens"),
        ("PKCS#12 without a key", None, "holds no private key"),
        ("neither", None, "is no PEM file, and no PKCS#12 file that its passphrase would need"),
    ],
)
def test_what_is_wrong_with_a_file_of_ours_is_said(files, file, passphrase, said):
    with pytest.raises(CertificateError) as caught:
        Identity.parse(files[file], passphrase)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("file", "passphrase", "name"),
    [("whole", None, "CN=us"), ("encrypted", "right", "CN=locked"), ("PKCS#12", "right", "CN=locked")],
)
def test_a_file_of_ours_is_its_certificate_and_what_lies_between(files, authority, file, passphrase, name):
    identity = Identity.parse(files[file], passphrase)
    assert identity.certificate.subject.rfc4514_string() == name
    assert identity.chain == ((authority.certificate,) if file == "PKCS#12" else ())
    assert identity.expires == identity.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "is cut short"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "holds a certificate that cannot be read",
        ),
    ],
)
def test_what_is_wrong_with_a_file_of_others_is_said(content, said):
    with pytest.raises(CertificateError) as caught:
        Trusted.parse(content, None)
    assert str(caught.value) == said


def test_several_authorities_are_trusted_until_the_last_of_them_ends(authority):
    short, long = (authority.issue(f"for-{days}", valid_for=timedelta(days=days)).read_bytes() for days in (1, 9))
    trusted = Trusted.parse(long + short, None)
    assert len(trusted.certificates) == trusted.pem.count("BEGIN CERTIFICATE") == 2
    assert trusted.expires == trusted.certificates[0].not_valid_after_utc


def watched(path, told=None):
    """`told` gets what the file's owner is told of it."""
    told = [] if told is None else told
    return Watched(
        "REGISTERBRO_X",
        path,
        lambda content: Trusted.parse(content, None),
        reloaded=lambda setting: told.append(("reloaded", setting)),
        not_reloaded=lambda setting, why: told.append(("not_reloaded", setting, why)),
    )


def test_a_file_that_cannot_be_used_at_the_start_is_told_with_its_setting(tmp_path):
    with pytest.raises(SettingsError) as caught:
        watched(tmp_path / "absent.pem")
    assert str(caught.value) == "REGISTERBRO_X: cannot be read: No such file or directory"


def test_a_watched_file_is_read_again_when_it_changes_and_a_bad_one_is_told_once(tmp_path, authority, ours):
    path, events = tmp_path / "trusted.pem", []
    path.write_bytes(authority.file.read_bytes())
    file = watched(path, events)
    file.look()
    assert events == []
    reloaded, refused = ("reloaded", "REGISTERBRO_X"), ("not_reloaded", "REGISTERBRO_X")
    for change, told in (
        (lambda: path.write_bytes(ours), [reloaded]),
        (lambda: path.write_bytes(b"none at all"), [(*refused, "holds no certificate in PEM")]),
        (path.unlink, []),
        (lambda: path.write_bytes(ours + ours), [reloaded]),
        (path.unlink, [(*refused, "cannot be read: No such file or directory")]),
    ):
        before = file.value
        events.clear()
        change()
        file.look()
        file.look()
        assert events == told
        assert (file.value is not before) is (reloaded in told)


def test_certificates_of_no_named_upstream_are_told_of_by_the_settings_names(tmp_path):
    with pytest.raises(SettingsError, match=r"^REGISTERBRO_UPSTREAM__CA_BUNDLE"):
        Certificates(UpstreamSettings(ca_bundle=tmp_path / "missing"))
