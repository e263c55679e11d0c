"""The gateway's signatures: those that it makes are verified by others' code, and those that it takes are made here."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod
from signxml.verifier import XMLVerifier

from simulators.authority import Authority
from simulators.signatures import FRESH, SPOILT, NotSigned, Signatures, Signer
from tests.simulators.calls import NS, call
from tests.simulators.test_eindkomst import fault

OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE, WSU = f"{OASIS}wssecurity-secext-1.0.xsd", f"{OASIS}wssecurity-utility-1.0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
NAMES = {**NS, "wsse": WSSE, "wsu": WSU, "ds": DS}
ID = f"{{{WSU}}}Id"
ALGORITHMS = {
    "sha1": ("http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#sha1"),
    "sha256": ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256"),
}
HASHES = {"sha1": (hashlib.sha1, hashes.SHA1()), "sha256": (hashlib.sha256, hashes.SHA256())}
EACH = pytest.mark.parametrize("digest", ["sha1", "sha256"])
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def signers(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"), "authority")
    return {name: Signer.load(authority.issue(name, with_rsa=True)) for name in ("us", "gateway", "stranger")}


@pytest.fixture
def gateway(simulation, signers):
    """Has the running simulator expect and sign as is said."""

    def signing(**more):
        return simulation.signing(
            Signatures(signers["us"].certificate, signers["gateway"], signers["stranger"], **more)
        )

    return signing


def found(root, path):
    (element,) = root.findall(path, NAMES)
    return element


def c14n(element, prefixes=None):
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes)


def signed(
    content, signer, *, digest="sha1", method=None, over=("body", "timestamp"), at=None, life=FRESH, prefixes=()
):
    """A question signed by hand; in one string, so that nothing of the simulator's is used."""
    at = at or datetime.now(UTC)
    envelope = etree.fromstring(content)
    body = found(envelope, "soap:Body")
    body.set(ID, "b")
    token = base64.b64encode(signer.certificate.public_bytes(Encoding.DER)).decode()
    inclusive = f'<x:InclusiveNamespaces xmlns:x="{EXCLUSIVE}" PrefixList="{" ".join(prefixes)}"/>' if prefixes else ""
    references = "".join(
        f'<ds:Reference URI="#{one}">'
        f'<ds:Transforms><ds:Transform Algorithm="{EXCLUSIVE}">{inclusive}</ds:Transform></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{ALGORITHMS[digest][1]}"/><ds:DigestValue>{one}</ds:DigestValue></ds:Reference>'
        for one in ({"body": "b", "timestamp": "s", "token": "t"}[name] for name in over)
    )
    header = f"""
<soap:Header xmlns:soap="{NS["soap"]}" xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}" xmlns:ds="{DS}"><wsse:Security>
  <wsse:BinarySecurityToken wsu:Id="t" EncodingType="{OASIS}soap-message-security-1.0#Base64Binary"
    ValueType="{OASIS}x509-token-profile-1.0#X509v3">{token}</wsse:BinarySecurityToken>
  <wsu:Timestamp wsu:Id="s"><wsu:Created>{at:%Y-%m-%dT%H:%M:%SZ}</wsu:Created>
    <wsu:Expires>{at + life:%Y-%m-%dT%H:%M:%SZ}</wsu:Expires></wsu:Timestamp>
  <ds:Signature><ds:SignedInfo>
    <ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>
    <ds:SignatureMethod Algorithm="{ALGORITHMS[method or digest][0]}"/>
    {references}
  </ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI="#t"/>
  </wsse:SecurityTokenReference></ds:KeyInfo></ds:Signature>
</wsse:Security></soap:Header>"""
    header = etree.fromstring(header.strip())
    for old in envelope.findall("soap:Header", NAMES):
        envelope.remove(old)
    envelope.insert(0, header)
    for value in header.iter(f"{{{DS}}}DigestValue"):
        (element,) = (one for one in envelope.iter() if one.get(ID) == value.text)
        value.text = base64.b64encode(HASHES[digest][0](c14n(element, list(prefixes) or None)).digest()).decode()
    info, algorithm = found(header, ".//ds:SignedInfo"), HASHES[method or digest][1]
    value = signer.key.sign(c14n(info), padding.PKCS1v15(), algorithm)
    found(header, ".//ds:SignatureValue").text = base64.b64encode(value).decode()
    return etree.tostring(envelope)


def ask(signer, **how):
    right = call("eindkomst")
    return right.but(content=signed(right.content, signer, **how))


def verified(answer, certificate, digest):
    """The ids of what a signature is over, verified by hand. Raises when anything does not hold."""
    root = etree.fromstring(answer)
    security = found(root, "soap:Header/wsse:Security")
    token = found(security, "wsse:BinarySecurityToken")
    assert x509.load_der_x509_certificate(base64.b64decode(token.text)) == certificate
    assert found(security, "ds:Signature/ds:KeyInfo/wsse:SecurityTokenReference/wsse:Reference").get("URI") == (
        f"#{token.get(ID)}"
    )
    info = found(security, "ds:Signature/ds:SignedInfo")
    method, hashed = ALGORITHMS[digest]
    assert found(info, "ds:CanonicalizationMethod").get("Algorithm") == EXCLUSIVE
    assert found(info, "ds:SignatureMethod").get("Algorithm") == method
    over = []
    for reference in info.findall("ds:Reference", NAMES):
        (element,) = (one for one in root.iter() if f"#{one.get(ID)}" == reference.get("URI"))
        assert [one.get("Algorithm") for one in reference.iter(f"{{{DS}}}Transform")] == [EXCLUSIVE]
        assert found(reference, "ds:DigestMethod").get("Algorithm") == hashed
        right = HASHES[digest][0](c14n(element)).digest()
        if base64.b64decode(found(reference, "ds:DigestValue").text) != right:
            raise InvalidSignature
        over.append(etree.QName(element).localname)
    value = base64.b64decode(found(security, "ds:Signature/ds:SignatureValue").text or "")
    certificate.public_key().verify(value, c14n(info), padding.PKCS1v15(), HASHES[digest][1])
    return over


# What the gateway signs


@EACH
def test_an_answer_is_signed_over_body_and_timestamp(send, gateway, signers, digest):
    with gateway(digest=digest):
        answer = send("eindkomst", ask(signers["us"]))
    assert verified(answer.content, signers["gateway"].certificate, digest) == ["Body", "Timestamp"]


def test_an_answer_is_signed_as_published_unless_it_is_said_otherwise(send, gateway, signers):
    with gateway():
        answer = send("eindkomst", ask(signers["us"]))
    assert verified(answer.content, signers["gateway"].certificate, "sha1")


def test_an_answer_can_be_signed_over_its_token_too(send, gateway, signers):
    with gateway(token_signed=True):
        answer = send("eindkomst", ask(signers["us"]))
    assert verified(answer.content, signers["gateway"].certificate, "sha1") == [
        "Body", "Timestamp", "BinarySecurityToken",
    ]  # fmt: skip


@EACH
def test_an_answer_is_verified_by_a_library_that_did_not_make_it(send, gateway, signers, digest):
    with gateway(digest=digest):
        answer = send("eindkomst", ask(signers["us"]))
    expected = {
        "sha1": (SignatureMethod.RSA_SHA1, DigestAlgorithm.SHA1),
        "sha256": (SignatureMethod.RSA_SHA256, DigestAlgorithm.SHA256),
    }[digest]
    result = XMLVerifier().verify(
        etree.fromstring(answer.content),
        x509_cert=signers["gateway"].certificate,
        id_attribute="Id",
        expect_config=SignatureConfiguration(
            signature_methods=frozenset(expected[:1]), digest_algorithms=frozenset(expected[1:]), expect_references=2,
            location=".//",
        ),
    )  # fmt: skip
    assert [etree.QName(one.signed_xml).localname for one in result] == ["Body", "Timestamp"]


def test_the_header_has_the_recorded_order_and_a_life_of_five_minutes(send, gateway, signers):
    with gateway():
        root = etree.fromstring(send("eindkomst", ask(signers["us"])).content)
    security = found(root, "soap:Header/wsse:Security")
    assert [etree.QName(one).localname for one in security] == ["BinarySecurityToken", "Signature", "Timestamp"]
    created, expires = (
        datetime.fromisoformat(found(security, f"wsu:Timestamp/wsu:{name}").text) for name in ("Created", "Expires")
    )
    assert expires - created == timedelta(minutes=5)


ENVELOPE = (
    f'<s:Envelope xmlns:s="{NS["soap"]}" xmlns:k="{NS["k"]}"><s:Body>'
    "<k:ServiceIdentifikator>x</k:ServiceIdentifikator></s:Body></s:Envelope>"
).encode()


@pytest.fixture
def seal(signers):
    return Signatures(None, signers["gateway"], signers["stranger"]).seal


def looks(answer):
    """How it looks to a reader who trusts what stands in its place: the token shown, the Timestamp, the Body."""
    root = etree.fromstring(answer)
    security = found(root, "soap:Header/wsse:Security")
    token = x509.load_der_x509_certificate(base64.b64decode(found(security, "wsse:BinarySecurityToken").text))
    expires = datetime.fromisoformat(found(security, "wsu:Timestamp/wsu:Expires").text)
    return token, expires > datetime.now(UTC), "".join(found(root, "soap:Body").itertext())


def targets(answer):
    """For each reference: the names of the elements that have its id, and whether one stands in its own place."""
    root = etree.fromstring(answer)
    security = found(root, "soap:Header/wsse:Security")
    proper = [*security, found(root, "soap:Body")]
    return {
        reference.get("URI"): [
            element in proper for element in root.iter() if f"#{element.get(ID)}" == reference.get("URI")
        ]
        for reference in root.iter(f"{{{DS}}}Reference", f"{{{WSSE}}}Reference")
    }


def test_a_plain_answer_has_each_signed_part_in_its_place(seal, signers):
    assert looks(seal(ENVELOPE)) == (signers["gateway"].certificate, True, "x")
    assert targets(seal(ENVELOPE)) == {"#the-body": [True], "#the-timestamp": [True], "#the-token": [True]}


@pytest.mark.parametrize(
    ("how", "moved", "where"),
    [
        ("wrapped", "#the-body", [False]),
        ("wrapped_with_its_id", "#the-body", [False, True]),
        ("wrapped_timestamp", "#the-timestamp", [False]),
        ("wrapped_token", "#the-token", [False]),
    ],
)
def test_what_is_wrapped_looks_right_in_its_place_and_what_was_signed_is_aside(seal, signers, how, moved, where):
    answer = seal(ENVELOPE, how)
    token, is_fresh, _ = looks(answer)
    assert (token, is_fresh) == (signers["gateway"].certificate, True)
    assert targets(answer)[moved] == where
    assert [places for uri, places in targets(answer).items() if uri != moved] == [[True], [True]]


def test_a_wrapped_body_says_something_else(seal):
    assert looks(seal(ENVELOPE, "wrapped"))[2] != "x"


def test_a_wrapped_token_is_of_who_signed_and_the_signature_is_not_the_gateways(seal, signers):
    root = etree.fromstring(seal(ENVELOPE, "wrapped_token"))
    info, value = found(root, ".//ds:SignedInfo"), base64.b64decode(found(root, ".//ds:SignatureValue").text)
    how = (value, c14n(info), padding.PKCS1v15(), hashes.SHA1())
    signers["stranger"].certificate.public_key().verify(*how)
    with pytest.raises(InvalidSignature):
        signers["gateway"].certificate.public_key().verify(*how)


@pytest.mark.parametrize("how", ["altered", "without_value", "foreign"])
def test_what_is_spoilt_does_not_hold(seal, signers, how):
    with pytest.raises((InvalidSignature, ValueError, AssertionError)):
        verified(seal(ENVELOPE, how), signers["gateway"].certificate, "sha1")


def test_a_stale_answer_holds_and_has_expired_long_ago(seal, signers):
    assert verified(seal(ENVELOPE, "stale"), signers["gateway"].certificate, "sha1")
    root = etree.fromstring(seal(ENVELOPE, "stale"))
    expires = datetime.fromisoformat(found(root, ".//wsu:Expires").text)
    assert datetime.now(UTC) - expires > timedelta(minutes=30)


@pytest.mark.parametrize(
    ("how", "over"),
    [
        ("body_alone", ["Body"]),
        ("timestamp_alone", ["Timestamp"]),
        ("token_too", ["Body", "Timestamp", "BinarySecurityToken"]),
    ],
)
def test_a_signature_can_be_over_less_and_more(seal, signers, how, over):
    assert verified(seal(ENVELOPE, how), signers["gateway"].certificate, "sha1") == over


@pytest.mark.parametrize(("agreed", "other"), [("sha1", "sha256"), ("sha256", "sha1")])
def test_an_answer_can_be_signed_with_the_other_hash_function(signers, agreed, other):
    seal = Signatures(None, signers["gateway"], digest=agreed).seal
    assert verified(seal(ENVELOPE, "other_digest"), signers["gateway"].certificate, other)


def test_an_answer_can_be_unsigned(seal):
    assert seal(ENVELOPE, "unsigned") == ENVELOPE


def test_every_way_to_spoil_an_answer_can_be_asked_for_while_it_runs(control, send, gateway, signers):
    with gateway():
        for how in (*SPOILT, "wrapped_token", "other_digest", "stale", "foreign", "unsigned", "token_too"):
            control.fault("eindkomst", {"kind": "signature", "how": how})
            assert send("eindkomst", ask(signers["us"])).status_code == 200


# What the gateway takes


@EACH
@pytest.mark.parametrize("over", [("body", "timestamp"), ("timestamp", "body"), ("body", "timestamp", "token")])
def test_a_question_that_is_signed_is_taken(send, gateway, signers, digest, over):
    with gateway():
        answer = send("eindkomst", ask(signers["us"], digest=digest, over=over))
    assert (answer.status_code, fault(answer)) == (200, None)


def test_a_question_may_declare_prefixes_in_its_canonical_form(send, gateway, signers):
    with gateway():
        assert send("eindkomst", ask(signers["us"], prefixes=["s", "e"])).status_code == 200


def code(answer):
    return fault(answer)[0] if fault(answer) else None


@pytest.mark.parametrize("accepts", [{"sha1"}, {"sha256"}])
@EACH
def test_which_hash_functions_will_do_is_a_switch(send, gateway, signers, accepts, digest):
    with gateway(accepts=frozenset(accepts)):
        answer = send("eindkomst", ask(signers["us"], digest=digest))
    assert code(answer) == (None if digest in accepts else "wsse:UnsupportedAlgorithm")


def test_neither_digest_nor_signature_may_be_of_a_hash_function_that_will_not_do(send, gateway, signers):
    with gateway(accepts=frozenset({"sha256"})):
        for digest, method in (("sha1", "sha256"), ("sha256", "sha1")):
            answer = send("eindkomst", ask(signers["us"], digest=digest, method=method))
            assert code(answer) == "wsse:UnsupportedAlgorithm"


@pytest.mark.parametrize(
    ("over", "taken"),
    [(("body", "timestamp"), False), (("body", "timestamp", "token"), True), (("body", "token"), False)],
)
def test_that_the_token_must_be_signed_is_a_switch(send, gateway, signers, over, taken):
    with gateway(expects_token=True):
        answer = send("eindkomst", ask(signers["us"], over=over))
    assert code(answer) == (None if taken else "wsse:InvalidSecurity")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"over": ("body",)}, "wsse:InvalidSecurity"),
        ({"over": ("timestamp",)}, "wsse:InvalidSecurity"),
        ({"over": ("body", "body", "timestamp")}, "wsse:InvalidSecurity"),
        ({"at": NOW - timedelta(days=1)}, "wsse:MessageExpired"),
        ({"at": NOW + timedelta(days=1)}, "wsse:MessageExpired"),
        ({"life": timedelta(0)}, "wsse:MessageExpired"),
    ],
)
def test_a_question_that_is_not_signed_as_it_must_be_is_refused(control, send, gateway, signers, how, expected):
    with gateway():
        answer = send("eindkomst", ask(signers["us"], **how))
    assert (answer.status_code, code(answer)) == (500, expected)
    assert control.calls("eindkomst").calls[-1].broke_contract


def test_a_question_of_a_stranger_is_refused(send, gateway, signers):
    with gateway():
        assert code(send("eindkomst", ask(signers["stranger"]))) == "wsse:FailedAuthentication"


def test_a_question_without_a_signature_is_refused(send, gateway):
    with gateway():
        assert code(send("eindkomst")) == "wsse:InvalidSecurity"


@pytest.mark.parametrize("old", [b"6102991234", b"</wsu:Expires>", b">202611<"])
def test_a_question_that_was_altered_is_refused(send, gateway, signers, old):
    right = ask(signers["us"])
    new = {b"</wsu:Expires>": b" </wsu:Expires>"}.get(old, old.replace(b"1", b"0"))
    assert right.content.count(old) == 1
    with gateway():
        assert code(send("eindkomst", right.but(content=right.content.replace(old, new)))) == "wsse:FailedCheck"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<wsu:Created>", b"<wsu:Created>x"),
        (b"Z</wsu:Expires>", b"</wsu:Expires>"),
        (b"<ds:SignatureValue>", b"<ds:SignatureValue>x"),
        (b'#X509v3">', b'#X509v3">x'),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(send, gateway, signers, old, new):
    right = ask(signers["us"])
    assert right.content.count(old) == 1
    with gateway():
        assert code(send("eindkomst", right.but(content=right.content.replace(old, new)))).startswith("wsse:")


def test_an_id_that_is_there_twice_is_refused(send, gateway, signers):
    right = ask(signers["us"])
    with gateway():
        answer = send(
            "eindkomst", right.but(content=right.content.replace(b"<wsse:Security>", b'<wsse:Security Id="b">'))
        )
    assert code(answer) == "wsse:InvalidSecurity"


def test_what_is_wrong_with_a_signature_is_an_error_of_a_breach():
    with pytest.raises(NotSigned) as error:
        raise NotSigned("FailedCheck", "a digest is another")
    assert (error.value.status, error.value.what) == (500, "FailedCheck: a digest is another")
