"""WS-Security against `xmlsec1`, which shares no code with ours: it verifies what we sign, we believe what it signs.

A Debian package; without the command these tests are skipped, and with `CI=true` they fail.
"""

import os
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from lxml import etree

from registerbro.upstreams.certificate_files import Identity, Trusted
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.ws_security import Security
from simulators.authority import Authority
from tests.registerbro.upstreams import signing
from tests.registerbro.upstreams.signing import DS, SOAP, WSSE, WSU, Signer
from tests.workers.eindkomst.answers import about, company, report, wages

pytestmark = pytest.mark.skipif(
    shutil.which("xmlsec1") is None and os.environ.get("CI") != "true", reason="there is no xmlsec1 on this machine"
)

WITHIN_SECONDS = 60
"""Far more than a command that reads one file takes on a busy machine."""
ALGORITHMS = [("RSA", "sha1"), ("RSA", "sha256"), ("EC", "sha256")]
IDS = [
    option
    for name in (f"{SOAP}Body", f"{WSU}Timestamp", f"{WSSE}BinarySecurityToken")
    for option in ("--id-attr:Id", name[1:].replace("}", ":"))
]
"""It knows of no id that it is not told of."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"), "authority")
    return {kind: authority.issue(f"signer-{kind}", with_rsa=kind == "RSA") for kind in ("RSA", "EC")}


@pytest.fixture
def xmlsec1(tmp_path):
    def run(command, envelope, *options):
        """Its exit status, and what it says or makes."""
        given, made = tmp_path / "given.xml", tmp_path / "made.xml"
        given.write_bytes(etree.tostring(envelope, xml_declaration=True, encoding="utf-8"))
        output = ["--output", str(made)] if command == "--sign" else []
        ended = subprocess.run(
            ["xmlsec1", command, *options, *IDS, "--enabled-reference-uris", "same-doc", *output, str(given)],
            capture_output=True, text=True, timeout=WITHIN_SECONDS, check=False,
        )  # fmt: skip
        print(ended.stdout + ended.stderr)
        return ended.returncode, made.read_bytes() if made.exists() else (ended.stdout + ended.stderr).encode()

    return run


def answer():
    return etree.fromstring(about(company(report(wages()))))


def question(file, algorithm, *, token):
    envelope = answer()
    Security(Identity.parse(file.read_bytes(), None), algorithm=algorithm, signs_token=token).sign(
        envelope, datetime.now(UTC)
    )
    return envelope


@pytest.mark.parametrize("token", [True, False])
@pytest.mark.parametrize(("kind", "algorithm"), ALGORITHMS)
def test_what_we_sign_holds(files, xmlsec1, kind, algorithm, token):
    envelope = question(files[kind], algorithm, token=token)
    status, said = xmlsec1("--verify", envelope, "--pubkey-cert-pem", str(files[kind]))
    references = 3 if token else 2
    assert status == 0
    assert f"SignedInfo References (ok/all): {references}/{references}" in said.decode()


@pytest.mark.parametrize("path", [f"{SOAP}Body", f".//{WSU}Timestamp", f".//{WSSE}BinarySecurityToken"])
@pytest.mark.parametrize(("kind", "algorithm"), ALGORITHMS)
def test_it_notices_what_is_changed(files, xmlsec1, kind, algorithm, path):
    envelope = question(files[kind], algorithm, token=True)
    envelope.find(path).set("more", "")
    status, said = xmlsec1("--verify", envelope, "--pubkey-cert-pem", str(files[kind]))
    assert status != 0
    assert "SignedInfo References (ok/all): 3/3" not in said.decode()


@pytest.mark.parametrize("prefixes", [(), ("soap", "e", "k"), ("#default", "e")])
@pytest.mark.parametrize("over", [("body", "timestamp"), ("body", "timestamp", "token")])
@pytest.mark.parametrize(("kind", "algorithm"), [*ALGORITHMS, ("RSA", "sha384"), ("RSA", "sha512"), ("EC", "sha512")])
def test_what_it_signs_is_believed(files, xmlsec1, kind, algorithm, over, prefixes):
    signer = Signer.load(files[kind])
    template = signing.secure(answer(), signer, algorithm, over, prefixes=prefixes)
    for value in template.iter(f"{DS}DigestValue", f"{DS}SignatureValue"):
        value.text = None
    status, made = xmlsec1("--sign", template, "--privkey-pem", str(files[kind]))
    assert status == 0
    trusting = Security(verifies_with=Trusted((signer.certificate,)), accepts=frozenset({algorithm}))
    trusting.verify(etree.fromstring(made), datetime.now(UTC))
    with pytest.raises(InvalidResponse, match="does not hold"):
        trusting.verify(etree.fromstring(made.replace(b"</soap:Body>", b" </soap:Body>")), datetime.now(UTC))
