"""WS-Security: what we sign holds when other code checks it, and what others signed is believed only if it holds."""

import hmac
import logging
import re
import subprocess
import sys
import time
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from config import settings as every_setting
from config.settings import EindkomstSettings, SettingsError
from registerbro.upstreams.certificate_files import Identity, Revoked, Trusted
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.errors import BadRequest, InvalidResponse, NotAuthorised, UpstreamUnavailable
from registerbro.upstreams.ws_security import Security, verification
from simulators.authority import Authority
from tests.registerbro.upstreams import signing
from tests.registerbro.upstreams.signing import DS, EXCLUSIVE, SOAP, WSSE, WSU, Signer, holds, resign, secure
from tests.workers.eindkomst.answers import (
    BLOWN_UP_SECONDS,
    CPR,
    MARKED,
    Form,
    about,
    answer,
    company,
    error,
    fault,
    outcome,
    report,
    response,
    wages,
)
from workers.eindkomst import question as questions
from workers.eindkomst import wire

REPORTS = about(company(report(wages())))
POLICY = ("sha1", "sha256")
EVERY = frozenset({"sha1", "sha256", "sha384", "sha512"})
WITH_TOKEN = ("body", "timestamp", "token")
XML = "{http://www.w3.org/XML/1998/namespace}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def files(authority):
    return {kind: authority.issue(f"us-{kind}", with_rsa=kind == "RSA") for kind in ("RSA", "EC")}


@pytest.fixture(scope="module")
def gateway(authority):
    return Signer.load(authority.issue("gateway", with_rsa=True))


@pytest.fixture(scope="module")
def stranger(authority):
    return Signer.load(authority.issue("stranger", with_rsa=True))


@pytest.fixture
def trusting(gateway):
    return believing(gateway)


def believing(signer, *accepts, **more):
    return Security(verifies_with=Trusted((signer.certificate,)), accepts=frozenset(accepts) or EVERY, **more)


def plain(body=REPORTS):
    return etree.fromstring(body)


def question(file, algorithm="sha256", *, token=True, now=None):
    envelope = plain()
    ours = Security(Identity.parse(file.read_bytes(), None), algorithm=algorithm, signs_token=token)
    ours.sign(envelope, now or datetime.now(UTC))
    return etree.fromstring(etree.tostring(envelope))


def verify(secured, envelope, now=None):
    """As what arrives: parsed anew, so that it is what was written that counts."""
    secured.verify(etree.fromstring(etree.tostring(envelope)), now or datetime.now(UTC))


def refusal(secured, envelope):
    """The message with which it is refused."""
    with pytest.raises(InvalidResponse) as refused:
        verify(secured, envelope)
    return str(refused.value)


def algorithms(envelope):
    return {
        element.get("Algorithm")
        for name in ("SignatureMethod", "DigestMethod")
        for element in envelope.iter(f"{DS}{name}")
    }


def signed_parts(envelope):
    by_uri = {f"#{part.get(f'{WSU}Id')}": name for name, part in signing.parts(envelope).items()}
    return [by_uri[reference.get("URI")] for reference in envelope.iter(f"{DS}Reference")]


def without_white_space(envelope):
    for element in envelope.iter():
        element.tail = None


class TestQuestions:
    @pytest.mark.parametrize("token", [True, False])
    @pytest.mark.parametrize(("kind", "algorithm"), [("RSA", "sha1"), ("RSA", "sha256"), ("EC", "sha256")])
    def test_a_question_is_signed_as_it_is_set(self, files, kind, algorithm, token):
        asked = question(files[kind], algorithm, token=token)
        assert holds(asked, Signer.load(files[kind]).certificate)
        assert algorithms(asked) == {signing.METHODS[kind][algorithm], signing.DIGESTS[algorithm]}
        assert signed_parts(asked) == ["body", "timestamp", *(["token"] if token else [])]
        assert {
            element.get("Algorithm") for element in asked.iter(f"{DS}Transform", f"{DS}CanonicalizationMethod")
        } == {EXCLUSIVE}

    def test_the_signature_names_the_token_which_is_the_certificate(self, files):
        asked = question(files["RSA"])
        token = signing.parts(asked)["token"]
        assert signing.b64decode(token.text) == Signer.load(files["RSA"]).certificate.public_bytes(Encoding.DER)
        assert (token.get("EncodingType"), token.get("ValueType")) == (signing.BASE64, signing.X509V3)
        (named,) = asked.find(f".//{DS}KeyInfo").iter(f"{WSSE}Reference")
        assert (named.get("URI"), named.get("ValueType")) == (f"#{token.get(f'{WSU}Id')}", signing.X509V3)

    def test_what_is_signed_stands_before_the_signature(self, files):
        children = [etree.QName(child).localname for child in question(files["RSA"]).find(f"{SOAP}Header")[0]]
        assert children == ["BinarySecurityToken", "Timestamp", "Signature"]

    def test_a_question_holds_for_five_minutes_from_now(self, files):
        now = datetime(2026, 6, 30, 12, 0, 0, 123456, tzinfo=UTC)
        timestamp = signing.parts(question(files["RSA"], now=now))["timestamp"]
        assert [element.text for element in timestamp] == ["2026-06-30T12:00:00.123Z", "2026-06-30T12:05:00.123Z"]

    def test_every_question_has_ids_of_its_own(self, files):
        ids = [value for _ in range(2) for value in question(files["RSA"]).xpath("//@*[local-name() = 'Id']")]
        assert len(ids) == len(set(ids)) == 6

    def test_without_a_certificate_nothing_is_added(self):
        envelope = plain()
        Security().sign(envelope, datetime.now(UTC))
        assert [etree.QName(child).localname for child in envelope] == ["Body"]

    @pytest.mark.parametrize("algorithm", POLICY)
    @pytest.mark.parametrize(
        "path",
        [
            ".//{*}PersonCivilRegistrationIdentifier",
            f".//{WSU}Expires",
            f".//{WSSE}BinarySecurityToken",
            f".//{DS}SignatureValue",
            f".//{DS}DigestValue",
        ],
    )
    def test_whatever_is_changed_is_noticed(self, files, algorithm, path):
        asked = question(files["RSA"], algorithm)
        element = asked.find(path)
        at = next(index for index, letter in reversed(list(enumerate(element.text))) if letter.isdigit())
        element.text = element.text[:at] + ("1" if element.text[at] != "1" else "2") + element.text[at + 1 :]
        assert not holds(asked, Signer.load(files["RSA"]).certificate)

    def test_an_ec_key_does_not_sign_with_sha1_and_an_operator_is_told_by_both_settings(self, files):
        ours = Security(Identity.parse(files["EC"].read_bytes(), None), algorithm="sha1")
        for refused, attempt in ((NotAuthorised, lambda: question(files["EC"], "sha1")), (SettingsError, ours.check)):
            with pytest.raises(refused) as told:
                attempt()
            assert "REGISTERBRO_EINDKOMST__SIGNING_CERT" in str(told.value)
            assert "REGISTERBRO_EINDKOMST__SIGNATURE is sha1" in str(told.value)

    @pytest.mark.parametrize(("kind", "algorithm"), [("RSA", "sha1"), ("RSA", "sha256"), ("EC", "sha256")])
    def test_every_other_key_is_right(self, files, kind, algorithm):
        Security(Identity.parse(files[kind].read_bytes(), None), algorithm=algorithm).check()
        Security(algorithm=algorithm).check()

    def test_no_log_line_holds_the_question_whatever_its_level(self, files, caplog):
        with caplog.at_level(logging.DEBUG):
            question(files["RSA"], "sha1")
        assert CPR.digits not in caplog.text

    @pytest.mark.parametrize("kind", ["RSA", "EC"])
    def test_signing_takes_too_little_time_to_hold_up_others(self, files, kind):
        ours, times = Security(Identity.parse(files[kind].read_bytes(), None)), 50
        envelopes = [plain() for _ in range(times)]
        took = spent(lambda: [ours.sign(envelope, datetime.now(UTC)) for envelope in envelopes])
        print(f"signing with {kind}: {took / times * 1000:.2f} ms of CPU")


class TestSettings:
    def of(self, files, **own):
        settings = EindkomstSettings(signing_cert=files["RSA"], verify_with=files["RSA"], **own)
        return Security.of(Certificates(settings), settings)

    def test_unless_it_is_set_otherwise_the_published_policy_is_followed(self, files):
        ours = self.of(files)
        assert (ours.algorithm, ours.signs_token, ours.accepts) == ("sha1", True, {"sha1"})
        assert ours.signs_with is not None
        assert ours.verifies_with is not None

    def test_answers_are_verified_as_questions_are_signed_unless_it_is_set_otherwise(self, files):
        assert self.of(files, signature="sha256").accepts == {"sha256"}
        ours = self.of(files, signature="sha256", verify_algorithms="sha1, sha512,", sign_token=False)
        assert (ours.algorithm, ours.signs_token, ours.accepts) == ("sha256", False, {"sha1", "sha512"})

    def test_the_subject_is_that_of_the_settings(self, files):
        assert self.of(files, verify_subject="CN=gateway").subject == "CN=gateway"

    def test_without_files_nothing_is_signed_or_verified(self):
        ours = Security.of(Certificates(EindkomstSettings()), EindkomstSettings())
        assert (ours.signs_with, ours.verifies_with) == (None, None)

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("SIGNATURE", "sha384", "'sha1' or 'sha256'"),
            ("SIGNATURE", "SHA1", "'sha1' or 'sha256'"),
            ("SIGN_TOKEN", "perhaps", "boolean"),
            ("VERIFY_ALGORITHMS", "md5", "not a comma-separated list of sha1, sha256, sha384, sha512"),
            ("VERIFY_ALGORITHMS", "sha1 sha256", "not a comma-separated list of sha1, sha256, sha384, sha512"),
            ("VERIFY_ALGORITHMS", ",", "not a comma-separated list of sha1, sha256, sha384, sha512"),
        ],
    )
    def test_what_cannot_be_meant_is_one_line_that_names_the_setting(
        self, monkeypatch, make_settings, name, value, said
    ):
        make_settings()
        monkeypatch.setenv(f"REGISTERBRO_EINDKOMST__{name}", value)
        with pytest.raises(SettingsError) as refused:
            every_setting.load()
        (line,) = str(refused.value).splitlines()
        assert line.startswith(f"REGISTERBRO_EINDKOMST__{name}: ")
        assert said in line

    def test_they_are_read_from_the_environment(self, monkeypatch, make_settings):
        make_settings()
        for name, value in (("SIGNATURE", "sha256"), ("SIGN_TOKEN", "false"), ("VERIFY_ALGORITHMS", "sha1,sha256")):
            monkeypatch.setenv(f"REGISTERBRO_EINDKOMST__{name}", value)
        read = every_setting.load().eindkomst
        assert (read.signature, read.sign_token, read.verified) == ("sha256", False, {"sha1", "sha256"})


class TestAnswers:
    @pytest.mark.parametrize("over", [("body", "timestamp"), WITH_TOKEN, ("token", "timestamp", "body")])
    @pytest.mark.parametrize(
        ("kind", "algorithm"),
        [("RSA", name) for name in sorted(EVERY)] + [("EC", name) for name in sorted(EVERY - {"sha1"})],
    )
    def test_a_signed_answer_is_believed(self, files, kind, algorithm, over):
        signer = Signer.load(files[kind])
        verify(believing(signer, algorithm), secure(plain(), signer, algorithm, over))

    def test_an_answer_is_believed_as_it_was_recorded(self, gateway):
        """Token, Signature over Body and Timestamp, Timestamp; RSA-SHA1 and SHA-1; 5 minutes."""
        made = datetime(2026, 6, 30, 12, 0, tzinfo=UTC)
        envelope = secure(plain(), gateway, "sha1", order=("token", "signature", "timestamp"), now=made)
        assert [etree.QName(child).localname for child in envelope.find(f"{SOAP}Header")[0]] == [
            "BinarySecurityToken", "Signature", "Timestamp",
        ]  # fmt: skip
        assert algorithms(envelope) == {
            "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
            "http://www.w3.org/2000/09/xmldsig#sha1",
        }
        assert [element.text for element in signing.parts(envelope)["timestamp"]] == [
            "2026-06-30T12:00:00Z",
            "2026-06-30T12:05:00Z",
        ]
        verify(believing(gateway, "sha1"), envelope, made + timedelta(seconds=2))

    @pytest.mark.parametrize(
        "order",
        [
            ("token", "signature", "timestamp"), ("token", "timestamp", "signature"),
            ("signature", "token", "timestamp"), ("signature", "timestamp", "token"),
            ("timestamp", "token", "signature"), ("timestamp", "signature", "token"),
        ],
    )  # fmt: skip
    def test_the_order_in_the_header_is_of_no_matter(self, gateway, trusting, order):
        verify(trusting, secure(plain(), gateway, over=WITH_TOKEN, order=order))

    def test_namespaces_that_are_declared_though_not_used_are_canonicalised_so(self, gateway, trusting):
        prefixes = ("soap", "e", "k", "wsse")
        envelope = secure(plain(), gateway, prefixes=prefixes)
        verify(trusting, envelope)
        for named in envelope.iter(f"{{{EXCLUSIVE}}}InclusiveNamespaces"):
            named.set("PrefixList", "soap e k v")
        assert "does not hold" in refusal(trusting, envelope)

    @pytest.mark.parametrize("signed", sorted(EVERY))
    @pytest.mark.parametrize("accepted", [{name} for name in sorted(EVERY)] + [{"sha1", "sha256"}, EVERY - {"sha1"}])
    def test_only_algorithms_that_are_set_are_believed(self, gateway, signed, accepted):
        envelope = secure(plain(), gateway, signed)
        if signed in accepted:
            verify(believing(gateway, *accepted), envelope)
            return
        said = refusal(believing(gateway, *accepted), envelope)
        assert (
            said == f"the answer is signed with {signed}, which REGISTERBRO_EINDKOMST__VERIFY_ALGORITHMS does not name"
        )

    @pytest.mark.parametrize("weak", ["DigestMethod", "SignatureMethod"])
    def test_one_weak_algorithm_is_enough_to_be_refused(self, gateway, weak):
        envelope = secure(plain(), gateway, "sha1" if weak == "DigestMethod" else "sha256")
        name = "sha256" if weak == "DigestMethod" else "sha1"
        envelope.find(f".//{DS}SignatureMethod").set("Algorithm", signing.METHODS["RSA"][name])
        resign(envelope, gateway, name)
        assert holds(envelope, gateway.certificate)
        verify(believing(gateway, "sha1", "sha256"), envelope)
        assert "signed with sha1, which" in refusal(believing(gateway, "sha256"), envelope)
        assert "signed with sha256, which" in refusal(believing(gateway, "sha1"), envelope)

    def test_sha1_is_not_believed_unless_somebody_says_so(self, gateway):
        secured = Security(verifies_with=Trusted((gateway.certificate,)))
        verify(secured, secure(plain(), gateway, "sha256"))
        assert "signed with sha1" in refusal(secured, secure(plain(), gateway, "sha1"))

    def test_no_policy_has_sha1_with_an_ec_key(self, files):
        signer = Signer.load(files["EC"])
        assert "no known algorithm" in refusal(believing(signer), secure(plain(), signer, "sha1"))

    def test_no_text_of_the_body_can_be_changed(self, gateway, trusting):
        signed = etree.tostring(secure(plain(), gateway))
        texts = len([text for text in etree.fromstring(signed).find(f"{SOAP}Body").iter() if text.text])
        assert texts > 8
        for changed in range(texts):
            envelope = etree.fromstring(signed)
            element = [text for text in envelope.find(f"{SOAP}Body").iter() if text.text][changed]
            element.text += " "
            assert refusal(trusting, envelope).endswith("does not hold: Body is not what was signed")

    @pytest.mark.parametrize(
        "how", ["renamed", "removed", "moved", "added", "given an attribute", "followed by a text"]
    )
    def test_no_element_of_the_body_can_be_changed(self, gateway, trusting, how):
        envelope = secure(plain(), gateway)
        element = [inner for inner in envelope.find(f"{SOAP}Body").iter() if len(inner)][3]
        if how == "renamed":
            element.tag = "other"
        elif how == "removed":
            element.getparent().remove(element)
        elif how == "moved":
            envelope.find(f"{SOAP}Body").append(element)
        elif how == "added":
            etree.SubElement(element, "more")
        elif how == "given an attribute":
            element.set("more", "")
        else:
            element.tail = "more"
        assert "does not hold" in refusal(trusting, envelope)

    def test_an_id_that_is_there_twice_is_refused_whatever_it_is_called(self, gateway, trusting):
        for name in ("Id", "ID", "id", "iD", f"{WSU}Id", f"{XML}id", "{urn:x}Id"):
            envelope = secure(plain(), gateway)
            etree.SubElement(envelope.find(f"{SOAP}Header"), "{urn:x}Other").set(name, "the-body")
            assert refusal(trusting, envelope) == "the answer has an id twice"

    @pytest.mark.parametrize(
        "tag",
        [
            f"{SOAP}Header", f"{SOAP}Body", f"{WSSE}Security", f"{WSU}Timestamp", f"{DS}Signature",
            f"{WSSE}BinarySecurityToken",
        ],
    )  # fmt: skip
    def test_a_second_one_anywhere_is_refused(self, gateway, trusting, tag):
        envelope = secure(plain(), gateway)
        etree.SubElement(etree.SubElement(envelope.find(f"{SOAP}Header"), "{urn:x}Other"), tag)
        assert refusal(trusting, envelope).endswith("twice")

    @pytest.mark.parametrize("off", [-299, 299])
    def test_clocks_may_differ_by_five_minutes(self, gateway, trusting, off):
        now = datetime.now(UTC).replace(microsecond=0)
        verify(trusting, secure(plain(), gateway, now=now), now + timedelta(seconds=off))

    @pytest.mark.parametrize("off", [-301, 301])
    def test_an_answer_is_of_now(self, gateway, trusting, off):
        now = datetime.now(UTC).replace(microsecond=0)
        with pytest.raises(InvalidResponse, match="not of now"):
            verify(trusting, secure(plain(), gateway, now=now), now + timedelta(seconds=off))

    @pytest.mark.parametrize(
        "text", ["", "yesterday", "2022-13-01T00:00:00Z", "2022-01-01T00:00:00", "20220101T000000Z"]
    )
    @pytest.mark.parametrize("name", ["Created", "Expires"])
    def test_a_time_that_is_none_is_refused(self, gateway, trusting, name, text):
        envelope = secure(plain(), gateway)
        envelope.find(f".//{WSU}{name}").text = text
        assert refusal(trusting, envelope) == "the answer's Timestamp is none"

    def test_an_answer_that_never_held_is_refused(self, gateway, trusting):
        envelope = secure(plain(), gateway)
        envelope.find(f".//{WSU}Expires").text = envelope.findtext(f".//{WSU}Created")
        assert refusal(trusting, envelope) == "the answer's Timestamp is not of now"

    @pytest.mark.parametrize("text", ["", "AAAA", "*", "æ", None])
    def test_a_certificate_that_is_none_is_refused(self, gateway, trusting, text):
        envelope = secure(plain(), gateway)
        envelope.find(f".//{WSSE}BinarySecurityToken").text = text
        assert "no certificate" in refusal(trusting, envelope)

    def test_an_authority_is_trusted_for_the_subject_that_is_meant(self, authority, gateway):
        envelope = secure(plain(), gateway)
        trusted = Trusted((authority.certificate,))
        for subject in ("CN=gateway", "2.5.4.3=gateway"):
            verify(Security(None, trusted, subject), envelope)
        assert "VERIFY_SUBJECT names nobody" in refusal(Security(None, trusted), envelope)
        for subject in ("CN=other", "CN=gate"):
            assert "by somebody else" in refusal(Security(None, trusted, subject), envelope)

    def test_the_subject_alone_is_not_enough(self, gateway, tmp_path):
        other = Trusted((Authority(tmp_path, "authority").certificate,))
        assert "by somebody else" in refusal(Security(None, other, "CN=gateway"), secure(plain(), gateway))

    def test_a_certificate_that_has_expired_signs_nothing(self, authority):
        expired = Signer.load(authority.issue("expired", valid_for=timedelta(hours=-1)))
        assert "not valid now" in refusal(believing(expired), secure(plain(), expired))

    @pytest.mark.parametrize(
        ("named", "signed_by", "over", "said"),
        [
            ((), "authority", False, None),
            (("stranger",), "authority", False, None),
            (("gateway",), "authority", False, "with a certificate that was revoked"),
            ((), "another of the same name", False, "no revocation list is its authority's"),
            ((), "authority", True, "the revocation list's time is over"),
        ],
    )
    def test_a_signer_who_was_revoked_or_of_whom_no_list_tells_is_not_believed(
        self, authority, gateway, stranger, tmp_path, named, signed_by, over, said
    ):
        envelope = secure(plain(), gateway)
        signs = authority if signed_by == "authority" else Authority(tmp_path, "authority")
        file = signs.revoke(*named, valid_for=timedelta(hours=-1 if over else 1))
        listed = Revoked.parse(file.read_bytes(), None)
        pinned = Security(None, Trusted((gateway.certificate, authority.certificate)), revoked=listed)
        trusting = Security(None, Trusted((authority.certificate,)), "CN=gateway", revoked=listed)
        for secured in (pinned, trusting):
            if said is None:
                verify(secured, envelope)
            else:
                assert said in refusal(secured, envelope)

    def test_the_list_is_the_settings(self, make_settings, authority):
        file = authority.revoke("gateway")
        settings = make_settings(EINDKOMST__VERIFY_CRL_FILE=str(file))
        ours = Security.of(Certificates.of(settings, "eindkomst"), settings.eindkomst)
        assert ours.revoked.count == 1

    def test_nothing_of_what_is_refused_is_told(self, gateway, stranger, trusting, caplog):
        for spoil in ATTACKS.values():
            envelope = secure(plain(), gateway, over=WITH_TOKEN)
            spoil(envelope, gateway, stranger, "sha256")
            with caplog.at_level(logging.DEBUG):
                assert CPR.digits not in refusal(trusting, envelope)
        assert CPR.digits not in caplog.text


def forged(part, stranger):
    """What somebody would rather have believed than the part that was signed."""
    twin = deepcopy(part)
    for element in twin.iter("{*}PersonCivilRegistrationIdentifier", "{*}AngivelseFeltIndholdTekst"):
        element.text = "0000000000"
    for element in twin.iter(f"{WSU}Expires"):
        element.text = element.text.replace("20", "21", 1)
    if twin.tag.endswith("BinarySecurityToken"):
        twin.text = signing.base64(stranger.certificate.public_bytes(Encoding.DER))
    assert etree.tostring(twin) != etree.tostring(part)
    return twin


def under(path):
    def place(envelope, original):
        etree.SubElement(envelope.find(path), "{urn:aside}Aside").append(original)

    return place


ASIDE = {
    "in the Header": under(f"{SOAP}Header"),
    "in the Security header": under(f"{SOAP}Header/{WSSE}Security"),
    "in the Signature": under(f".//{DS}Signature"),
    "in the KeyInfo": under(f".//{DS}KeyInfo"),
    "beside the Body": lambda envelope, original: envelope.append(original),
    "before the Body": lambda envelope, original: envelope.insert(1, original),
    "before all": lambda envelope, original: envelope.insert(0, original),
}
NO_ID = {f"{WSU}Id": None}
TWIN = {
    "without an id": NO_ID,
    "with another id": {f"{WSU}Id": "another"},
    "with its id": {},
    "with its id as Id": NO_ID | {"Id": True},
    "with its id as ID": NO_ID | {"ID": True},
    "with its id as xml:id": NO_ID | {f"{XML}id": True},
}


@pytest.mark.parametrize("algorithm", POLICY)
@pytest.mark.parametrize("twin", TWIN)
@pytest.mark.parametrize("aside", ASIDE)
@pytest.mark.parametrize("part", ["body", "timestamp", "token"])
def test_what_was_signed_cannot_be_put_aside_for_something_else(
    gateway, stranger, trusting, part, aside, twin, algorithm
):
    envelope = secure(plain(), gateway, algorithm, WITH_TOKEN)
    original = signing.parts(envelope)[part]
    other = forged(original, stranger)
    original.getparent().replace(original, other)
    ASIDE[aside](envelope, original)
    for name, value in TWIN[twin].items():
        if value is None:
            del other.attrib[name]
        else:
            other.set(name, original.get(f"{WSU}Id") if value is True else value)
    said = refusal(trusting, envelope)
    # It is not by its digest that it is noticed: what was signed is there, as it was.
    assert holds(envelope, gateway.certificate) or "id" in twin
    assert "does not hold" not in said


def security_of(envelope):
    return envelope.find(f"{SOAP}Header/{WSSE}Security")


def info_of(envelope):
    return envelope.find(f".//{DS}SignedInfo")


def reference_to_body(envelope):
    return next(reference for reference in envelope.iter(f"{DS}Reference") if reference.get("URI") == "#the-body")


def signed_anew(spoil):
    """What the gateway itself would have signed so: everything holds, but for its form."""

    def attack(envelope, gateway, stranger, algorithm):
        spoil(envelope)
        resign(envelope, gateway, algorithm)

    return attack


def only(spoil):
    return lambda envelope, *_: spoil(envelope)


def uri(form):
    return signed_anew(lambda envelope: reference_to_body(envelope).set("URI", form))


def transform(algorithm, at):
    def spoil(envelope):
        transforms = reference_to_body(envelope).find(f"{DS}Transforms")
        transforms.insert(at, etree.Element(f"{DS}Transform", Algorithm=algorithm))

    return signed_anew(spoil)


def algorithm_of(name, other):
    def spoil(envelope):
        for element in envelope.iter(f"{DS}{name}"):
            element.set("Algorithm", other)

    return signed_anew(spoil)


def again(name, over):
    def attack(envelope, gateway, _, algorithm):
        envelope.remove(envelope.find(f"{SOAP}Header"))
        secure(envelope, gateway, algorithm, over)

    return attack


def a_second_security_header(first, **attributes):
    def attack(envelope, gateway, stranger, algorithm):
        theirs = secure(plain(), stranger, algorithm)[0][0]
        for element in theirs.iter():
            if element.get(f"{WSU}Id"):
                element.set(f"{WSU}Id", "their-" + element.get(f"{WSU}Id"))
        for name, value in attributes.items():
            theirs.set(f"{SOAP}{name}", value)
        envelope.find(f"{SOAP}Header").insert(0 if first else 1, theirs)

    return attack


def their_own(how):
    """A stranger's signature, and a certificate of theirs somewhere that the signature names."""

    def attack(envelope, gateway, stranger, algorithm):
        token, key_info = signing.parts(envelope)["token"], envelope.find(f".//{DS}KeyInfo")
        theirs = deepcopy(token)
        theirs.text = signing.base64(stranger.certificate.public_bytes(Encoding.DER))
        theirs.set(f"{WSU}Id", "their-token")
        if how == "beside":
            token.addnext(theirs)
        elif how == "in the Header":
            etree.SubElement(envelope.find(f"{SOAP}Header"), "{urn:aside}Aside").append(theirs)
        elif how == "under another name":
            theirs.tag = f"{WSSE}Token"
            token.addnext(theirs)
        elif how == "embedded":
            embedded = etree.SubElement(key_info[0], f"{WSSE}Embedded")
            embedded.append(theirs)
        if how != "embedded":
            key_info[0][0].set("URI", "#their-token")
        resign(envelope, stranger, algorithm)

    return attack


def key_data(name, *, alone=False):
    def attack(envelope, gateway, stranger, algorithm):
        key_info = envelope.find(f".//{DS}KeyInfo")
        if alone:
            key_info.remove(key_info[0])
        data = etree.Element(f"{DS}{name}")
        if name == "X509Data":
            certificate = stranger.certificate.public_bytes(Encoding.DER)
            etree.SubElement(data, f"{DS}X509Certificate").text = signing.base64(certificate)
        elif name == "KeyValue":
            numbers = stranger.key.public_key().public_numbers()
            value = etree.SubElement(data, f"{DS}RSAKeyValue")
            for part, number in (("Modulus", numbers.n), ("Exponent", numbers.e)):
                etree.SubElement(value, f"{DS}{part}").text = signing.base64(number.to_bytes(256, "big").lstrip(b"\0"))
        else:
            data.text = "stranger"
        key_info.insert(0, data)
        resign(envelope, stranger, algorithm)

    return attack


def hmac_with_the_public_key(envelope, gateway, stranger, algorithm):
    info = info_of(envelope)
    info.find(f"{DS}SignatureMethod").set("Algorithm", signing.METHODS["HMAC"][algorithm])
    key = signing.public(gateway.certificate.public_key())
    value = hmac.digest(key, signing.canonical(info), algorithm)
    envelope.find(f".//{DS}SignatureValue").text = signing.base64(value)
    assert holds(envelope, gateway.certificate)


def manifest(envelope, gateway, stranger, algorithm):
    """The references to Body and Timestamp stand in a Manifest, and one to that in their place."""
    info = info_of(envelope)
    signature = info.getparent()
    held = etree.SubElement(etree.SubElement(signature, f"{DS}Object"), f"{DS}Manifest", Id="the-manifest")
    for reference in info.findall(f"{DS}Reference"):
        held.append(reference)
    reference = deepcopy(held[0])
    reference.set("URI", "#the-manifest")
    reference.find(f"{DS}DigestValue").text = signing.base64(
        signing.hashlib.new(algorithm, signing.canonical(held)).digest()
    )
    info.append(reference)
    resign(envelope, gateway, algorithm)
    assert holds(envelope, gateway.certificate)


def value_text(text):
    def spoil(envelope):
        envelope.find(f".//{DS}SignatureValue").text = text

    return only(spoil)


def without(path):
    def spoil(envelope):
        element = envelope.find(path)
        element.getparent().remove(element)

    return spoil


def moved(path, to):
    def spoil(envelope):
        envelope.find(to).append(envelope.find(path))

    return only(spoil)


def nothing_has_an_id(envelope):
    """»None« is what a careless verifier looks for, and somebody has put it aside."""
    body = signing.parts(envelope)["body"]
    aside = etree.SubElement(envelope.find(f"{SOAP}Header"), "{urn:aside}Aside", Id="None")
    del body.attrib[f"{WSU}Id"]
    reference = reference_to_body(envelope)
    reference.set("URI", "#None")
    digest = signing.hashlib.new(
        signing._NAMES[reference.find(f"{DS}DigestMethod").get("Algorithm")], signing.canonical(aside)
    )
    reference.find(f"{DS}DigestValue").text = signing.base64(digest.digest())


def comment(path):
    def spoil(envelope):
        element = envelope.find(path)
        half = len(element.text) // 2
        left, right = element.text[:half], element.text[half:]
        element.text = left
        element.insert(0, etree.Comment("aside"))
        element[0].tail = right

    return only(spoil)


ATTACKS = {
    "a second Security header before": a_second_security_header(first=True),
    "a second Security header behind": a_second_security_header(first=False),
    "a second Security header for somebody else": a_second_security_header(first=True, actor="urn:other"),
    "the same reference twice": again("twice", ("body", "timestamp", "body")),
    "the Body twice in place of the Timestamp": again("twice", ("body", "body")),
    "the Body alone": again("alone", ("body",)),
    "the Timestamp alone": again("alone", ("timestamp",)),
    "Body and token": again("without", ("body", "token")),
    "Timestamp and token": again("without", ("timestamp", "token")),
    "nothing": again("nothing", ()),
    "a URI that is an XPointer": uri("#xpointer(id('the-body'))"),
    "a URI that is the whole document": uri(""),
    "a URI that is an XPointer to the document": uri("#xpointer(/)"),
    "a URI of two signs": uri("##the-body"),
    "a URI with an escape": uri("#the%2Dbody"),
    "a URI without a sign": uri("the-body"),
    "a URI of another document": uri("http://127.0.0.1:9/#the-body"),
    "no URI": signed_anew(lambda envelope: reference_to_body(envelope).attrib.pop("URI")),
    "a Body without an id": signed_anew(nothing_has_an_id),
    "a transform before": transform("http://www.w3.org/2000/09/xmldsig#enveloped-signature", 0),
    "a transform behind": transform("http://www.w3.org/2000/09/xmldsig#enveloped-signature", 1),
    "an XPath transform": transform("http://www.w3.org/TR/1999/REC-xpath-19991116", 0),
    "an XPath filter": transform("http://www.w3.org/2002/06/xmldsig-filter2", 0),
    "an XSLT transform": transform("http://www.w3.org/TR/1999/REC-xslt-19991116", 0),
    "a base64 transform": transform("http://www.w3.org/2000/09/xmldsig#base64", 0),
    "canonicalisation twice": transform(EXCLUSIVE, 0),
    "the transform of a token reference": transform(
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#STR-Transform", 1
    ),
    "no transform": signed_anew(without(f".//{DS}Transform")),
    "no transforms": signed_anew(without(f".//{DS}Transforms")),
    "elements with comments": algorithm_of("Transform", f"{EXCLUSIVE}WithComments"),
    "a SignedInfo with comments": algorithm_of("CanonicalizationMethod", f"{EXCLUSIVE}WithComments"),
    "elements canonicalised inclusively": algorithm_of("Transform", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
    "a SignedInfo canonicalised inclusively": algorithm_of(
        "CanonicalizationMethod", "http://www.w3.org/2006/12/xml-c14n11"
    ),
    "a comment in a text": comment(".//{*}PersonCivilRegistrationIdentifier"),
    "a comment in a digest": comment(f".//{DS}DigestValue"),
    "an instruction": only(lambda envelope: envelope.insert(0, etree.ProcessingInstruction("x"))),
    "the signature in the Body": moved(f".//{DS}Signature", f"{SOAP}Body"),
    "the signature in the Timestamp": moved(f".//{DS}Signature", f".//{WSU}Timestamp"),
    "the signature in the Header": moved(f".//{DS}Signature", f"{SOAP}Header"),
    "the Security header in the Body": moved(f".//{WSSE}Security", f"{SOAP}Body"),
    "the Timestamp in the Body": moved(f".//{WSU}Timestamp", f"{SOAP}Body"),
    "a stranger's token beside": their_own("beside"),
    "a stranger's token in the Header": their_own("in the Header"),
    "a stranger's token under another name": their_own("under another name"),
    "a stranger's token embedded": their_own("embedded"),
    "a token that is nowhere": their_own("nowhere"),
    "a stranger's X509Data too": key_data("X509Data"),
    "a stranger's X509Data alone": key_data("X509Data", alone=True),
    "a stranger's KeyValue too": key_data("KeyValue"),
    "a stranger's KeyValue alone": key_data("KeyValue", alone=True),
    "a KeyName": key_data("KeyName", alone=True),
    "no KeyInfo": only(without(f".//{DS}KeyInfo")),
    "a stranger's signature": lambda envelope, _, stranger, algorithm: resign(envelope, stranger, algorithm),
    "HMAC with the public key": hmac_with_the_public_key,
    "another padding": algorithm_of("SignatureMethod", "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"),
    "an algorithm for another key": algorithm_of("SignatureMethod", signing.METHODS["EC"]["sha256"]),
    "an algorithm that is none": algorithm_of("SignatureMethod", "urn:none"),
    "a digest that is a signature": algorithm_of("DigestMethod", signing.METHODS["RSA"]["sha256"]),
    "a signature that is a digest": algorithm_of("SignatureMethod", signing.DIGESTS["sha256"]),
    "a digest that is none": algorithm_of("DigestMethod", "http://www.w3.org/2001/04/xmldsig-more#md5"),
    "an empty value": value_text(""),
    "a value that is none": value_text("*"),
    "a value of another length": value_text("AAAA"),
    "no value": only(without(f".//{DS}SignatureValue")),
    "no SignedInfo": only(without(f".//{DS}SignedInfo")),
    "an empty digest": signed_anew(lambda envelope: reference_to_body(envelope)[2].clear()),
    "a Manifest": manifest,
    "an Object in the signature": only(
        lambda envelope: etree.SubElement(envelope.find(f".//{DS}Signature"), f"{DS}Object")
    ),
    "no Security header": only(without(f".//{WSSE}Security")),
    "no Header": only(without(f"{SOAP}Header")),
    "no Body": only(without(f"{SOAP}Body")),
}


@pytest.mark.parametrize("algorithm", POLICY)
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_else_is_believed_to_be_a_signature(gateway, stranger, trusting, attack, algorithm):
    envelope = secure(plain(), gateway, algorithm, WITH_TOKEN)
    verify(trusting, envelope)
    ATTACKS[attack](envelope, gateway, stranger, algorithm)
    refusal(trusting, envelope)


@pytest.mark.parametrize("algorithm", POLICY)
@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ("the same reference twice", "not over Body and Timestamp"),
        ("Body and token", "not over Body and Timestamp"),
        ("a URI with an escape", "not over Body and Timestamp"),
        ("a Body without an id", "Body has no id"),
        ("a transform behind", "not of the usual form: Transforms"),
        ("canonicalisation twice", "not of the usual form: Transforms"),
        ("elements with comments", "not over the elements as they stand"),
        ("a SignedInfo with comments", "not over the elements as they stand"),
        ("a comment in a text", "a comment"),
        ("a stranger's token under another name", "names another token"),
        ("a stranger's X509Data too", "not of the usual form: KeyInfo"),
        ("a stranger's signature", "its value is another"),
        ("HMAC with the public key", "no known algorithm"),
        ("an algorithm for another key", "no algorithm that goes with its certificate"),
        ("a digest that is a signature", "a digest of no known algorithm"),
        ("an empty value", "its value is another"),
        ("an empty digest", "Body is not what was signed"),
    ],
)
def test_it_is_refused_for_what_is_wrong_with_it(gateway, stranger, trusting, attack, said, algorithm):
    envelope = secure(plain(), gateway, algorithm, WITH_TOKEN)
    ATTACKS[attack](envelope, gateway, stranger, algorithm)
    assert said in refusal(trusting, envelope)


def inside(xml):
    """An answer whose Body holds also this."""
    return etree.fromstring(REPORTS.replace(b"</soap:Body>", xml.encode() + b"</soap:Body>"))


def attributes(count):
    return inside("<a " + " ".join(f'a{number}=""' for number in range(count)) + "/>")


def namespaces(count, *, used=False):
    names = (f'xmlns:n{n}="urn:n{n}"' + (f' n{n}:a=""' if used else "") for n in range(count))
    return inside("<a " + " ".join(names) + "/>")


def nested(deep, each):
    def start(depth):
        return "<a " + " ".join(f'xmlns:n{depth}-{n}="urn:n{depth}-{n}" n{depth}-{n}:a=""' for n in range(each)) + ">"

    return inside("".join(map(start, range(deep))) + "<b/>" * 240_000 + "</a>" * deep)


HUGE = {
    "100,000 attributes on one element": (lambda: attributes(100_000), "more than 64 attributes"),
    "100,000 namespaces on one element": (lambda: namespaces(100_000), "more than 128 namespaces"),
    "100,000 of both": (lambda: namespaces(100_000, used=True), "more than 64 attributes"),
    "16 MiB of small elements": (lambda: inside("<a>" + "<b/>" * (4 * 2**20) + "</a>"), "more than 250000 elements"),
    "16 MiB of small attributes": (
        lambda: inside("<a>" + ("<b " + " ".join(f'a{n}=""' for n in range(60)) + "/>") * 37_000 + "</a>"),
        "more than 250000 elements",
    ),
    "namespaces in each other": (lambda: nested(200, 8), "more than 128 namespaces"),
}


MEASURE = """
import re, sys
from datetime import UTC, datetime
from lxml import etree
from registerbro.upstreams.ws_security import Security
from registerbro.upstreams.certificate_files import Trusted

most = lambda: int(re.search(r"VmHWM:\\s+([0-9]+)", open("/proc/self/status").read())[1]) // 1024
trusted = Trusted.parse(open(sys.argv[2], "rb").read(), None)
envelope = etree.parse(sys.argv[1]).getroot()
before = most()
Security(verifies_with=trusted).verify(envelope, datetime.now(UTC))
print(f"{before} MiB with the answer, {most()} MiB with checking it")
"""
"""For a process of its own: in this one there is room that others have left."""


def spent(attempt):
    began = time.process_time()
    attempt()
    return time.process_time() - began


class TestSize:
    @pytest.mark.parametrize("what", HUGE)
    def test_what_would_take_long_is_refused_before_it_is_canonicalised(self, gateway, trusting, monkeypatch, what):
        make, said = HUGE[what]
        envelope = make()
        monkeypatch.setattr(verification, "canonical", lambda *_: pytest.fail("it was canonicalised"))

        def attempt():
            with pytest.raises(InvalidResponse, match=said):
                trusting.verify(envelope, datetime.now(UTC))

        assert spent(attempt) < BLOWN_UP_SECONDS

    def test_namespaces_at_the_top_count_as_those_on_the_way_down(self, trusting):
        declared = " ".join(f'xmlns:n{n}="urn:n{n}"' for n in range(100_000))
        envelope = etree.fromstring(REPORTS.replace(b"<soap:Envelope", f"<soap:Envelope {declared}".encode()))
        with pytest.raises(InvalidResponse, match="more than 128 namespaces"):
            trusting.verify(envelope, datetime.now(UTC))

    def test_as_much_as_is_allowed_is_verified(self, gateway, trusting):
        for envelope in (attributes(64), namespaces(100), namespaces(60, used=True)):
            verify(trusting, secure(envelope, gateway))

    def test_namespaces_one_after_the_other_are_no_more_than_one(self, gateway, trusting):
        verify(trusting, secure(inside('<x:a xmlns:x="urn:x"/>' * 10_000), gateway))

    def test_the_worst_that_is_allowed_takes_its_time_and_no_more(self, gateway, trusting):
        envelope = secure(nested(100, 1), gateway)
        assert spent(lambda: trusting.verify(envelope, datetime.now(UTC))) < BLOWN_UP_SECONDS

    def test_a_signature_with_many_references_or_prefixes_is_refused_before_it_is_canonicalised(
        self, gateway, trusting, monkeypatch
    ):
        signed = etree.tostring(secure(plain(), gateway))
        end = b"</ds:Reference>"
        one = signed[signed.index(b"<ds:Reference") : signed.index(end) + len(end)]
        many = etree.fromstring(signed.replace(one, one * 20_000, 1))
        named = secure(plain(), gateway, prefixes=[f"p{number}" for number in range(9)])
        monkeypatch.setattr(verification, "canonical", lambda *_: pytest.fail("it was canonicalised"))
        for envelope, said in ((many, "not over Body and Timestamp"), (named, "more than 8 namespaces")):
            with pytest.raises(InvalidResponse, match=said):
                trusting.verify(envelope, datetime.now(UTC))

    def test_who_has_not_the_gateways_key_has_no_body_canonicalised(self, gateway, stranger, trusting, monkeypatch):
        canonicalised = []
        real = verification.canonical
        monkeypatch.setattr(
            verification,
            "canonical",
            lambda element, prefixes: canonicalised.append(element.tag) or real(element, prefixes),
        )
        envelope = secure(plain(), gateway)
        resign(envelope, stranger, "sha256")
        with pytest.raises(InvalidResponse, match="its value is another"):
            trusting.verify(envelope, datetime.now(UTC))
        assert canonicalised == [f"{DS}SignedInfo"]

    def test_a_namespace_that_is_no_address_is_refused(self, gateway, trusting):
        envelope = secure(plain(), gateway)
        body = etree.tostring(envelope).replace(b"</soap:Body>", b'<x:a xmlns:x="relative"/></soap:Body>')
        with pytest.raises(InvalidResponse, match="cannot be canonicalised") as refused:
            trusting.verify(etree.fromstring(body), datetime.now(UTC))
        assert refused.value.__cause__ is None

    def test_a_history_of_a_thousand_reports_and_ten_mebibytes_is_verified(self, gateway, trusting):
        form = Form(number="16001", fields={f"1{number:017}": "12345.67" for number in range(100, 140)})
        detailed = replace(wages(), below=[Form("16000", {MARKED: "0"}, below=[form])])
        body = about(company(*[report(detailed) for _ in range(1000)]))
        assert len(body) > 10 * 2**20
        envelope = etree.fromstring(etree.tostring(secure(plain(body), gateway, "sha1")), parser())
        took = spent(lambda: trusting.verify(envelope, datetime.now(UTC)))
        print(f"checking {len(body) / 2**20:.1f} MiB: {took * 1000:.0f} ms of CPU")
        assert took < BLOWN_UP_SECONDS

    @pytest.mark.skipif(sys.platform != "linux", reason="the most that a process held is read as Linux tells it")
    def test_it_needs_little_more_memory_than_the_answer_itself(self, gateway, tmp_path, project):
        form = Form(number="16001", fields={f"1{number:017}": "12345.67" for number in range(100, 140)})
        detailed = replace(wages(), below=[Form("16000", {MARKED: "0"}, below=[form])])
        body = about(company(*[report(detailed) for _ in range(1000)]))
        sealed, trusted = tmp_path / "answer.xml", tmp_path / "gateway.pem"
        sealed.write_bytes(etree.tostring(secure(plain(body), gateway)))
        trusted.write_bytes(gateway.certificate.public_bytes(Encoding.PEM))
        ended = subprocess.run(
            [sys.executable, "-c", MEASURE, str(sealed), str(trusted)],
            cwd=project, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        print(ended.stdout)
        before, after = (int(number) for number in re.findall(r"(\d+) MiB", ended.stdout))
        assert after - before < 4 * sealed.stat().st_size / 2**20

    def test_a_text_of_nine_mebibytes_is_verified(self, gateway, trusting):
        envelope = secure(inside(f"<a>{'x' * 9 * 2**20}</a>"), gateway)
        trusting.verify(etree.fromstring(etree.tostring(envelope), parser()), datetime.now(UTC))

    def test_checking_takes_too_little_time_to_hold_up_others(self, gateway, trusting):
        for months in (1, 60, 600):
            body = about(company(*[report(wages()) for _ in range(months)]))
            envelope = secure(plain(body), gateway)
            took = spent(lambda envelope=envelope: trusting.verify(envelope, datetime.now(UTC)))
            print(f"checking an answer of {len(body) // 1024} KiB: {took * 1000:.1f} ms of CPU")


def parser():
    """As the answers' own, which takes no text that is huge."""
    return etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, huge_tree=False)


class TestAsTheyAreRead:
    def sealed(self, gateway, body=REPORTS):
        return etree.tostring(secure(plain(body), gateway), xml_declaration=True, encoding="utf-8")

    def test_a_question_is_signed_as_a_whole(self, files):
        ours = Security(Identity.parse(files["RSA"].read_bytes(), None))
        settings = EindkomstSettings(se_number="11223344")
        asked = questions.request("r-1", CPR, settings, date(2022, 1, 1), date(2022, 2, 1), secured=ours)
        assert holds(etree.fromstring(asked), Signer.load(files["RSA"]).certificate)

    def test_a_signed_answer_is_read(self, gateway, trusting):
        reports = wire.read(answer(self.sealed(gateway)), CPR, EindkomstSettings(), trusting)
        assert [one.days.first for one in reports.read] == [date(2022, 1, 1)]

    def test_an_answer_that_is_not_signed_is_none(self, trusting):
        with pytest.raises(InvalidResponse, match="Header is there 0 times"):
            wire.read(answer(REPORTS), CPR, EindkomstSettings(), trusting)

    def test_a_doctype_is_refused_before_any_signature_is_looked_at(self, gateway, trusting, monkeypatch):
        monkeypatch.setattr(Security, "verify", lambda *_: pytest.fail("the signature code saw it"))
        body = self.sealed(gateway)
        body = body[: body.index(b"?>") + 2] + b'<!DOCTYPE x [<!ENTITY a "b">]>' + body[body.index(b"?>") + 2 :]
        with pytest.raises(InvalidResponse, match="DOCTYPE"):
            wire.read(answer(body), CPR, EindkomstSettings(), trusting)

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (fault("soap:Server"), UpstreamUnavailable),
            (fault("soap:Client"), BadRequest),
            (fault("wsse:FailedCheck"), NotAuthorised),
            (fault("wsu:MessageExpired"), NotAuthorised),
        ],
    )
    def test_a_refusal_need_not_be_signed(self, trusting, body, kind):
        with pytest.raises(kind):
            wire.read(answer(body, 500), CPR, EindkomstSettings(), trusting)

    def test_an_error_in_an_answer_must_be_signed_as_any_answer(self, gateway, trusting):
        body = response(outcome(error("300")))
        with pytest.raises(InvalidResponse):
            wire.read(answer(body), CPR, EindkomstSettings(), trusting)
        with pytest.raises(NotAuthorised):
            wire.read(answer(self.sealed(gateway, body)), CPR, EindkomstSettings(), trusting)
