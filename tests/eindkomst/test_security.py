"""WS-Security: what we sign holds when other code checks it, and what others signed is believed only if it holds."""

import logging
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from lxml import etree

from config.settings import EindkomstSettings
from simulators import signatures
from simulators.authority import Authority
from simulators.signatures import DS, SOAP, WSSE, WSU, NotSigned, Signatures, Signer
from tests.eindkomst.answers import CPR, about, answer, company, error, fault, outcome, period, response, wages
from workers.eindkomst import wire
from workers.eindkomst.security import Security
from workers.resilience.certificates import Identity, Trusted
from workers.resilience.errors import BadRequest, InvalidResponse, NotAuthorised, UpstreamUnavailable

REPORTS = about(company(period(wages())))
SETTINGS = EindkomstSettings(se_number="11223344")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module", params=["RSA", "EC"])
def file(request, authority):
    return authority.issue("us", with_rsa=request.param == "RSA")


@pytest.fixture(scope="module")
def gateway_file(authority):
    return authority.issue("gateway", with_rsa=True)


@pytest.fixture(scope="module")
def gateway(gateway_file, authority):
    return Signatures(None, Signer.load(gateway_file), Signer.load(authority.issue("stranger")))


@pytest.fixture
def trusting(gateway_file):
    return Security(verifies_with=Trusted.parse(gateway_file.read_bytes(), None))


def question(file):
    secured = Security(signs_with=Identity.parse(file.read_bytes(), None))
    return etree.fromstring(wire.request("r-1", CPR, SETTINGS, date(2022, 1, 1), date(2022, 2, 1), secured=secured))


def verify(secured, body):
    secured.verify(etree.fromstring(body), datetime.now(UTC))


class TestQuestions:
    def test_a_question_is_signed_as_the_gateway_wants_it(self, file):
        signatures.check(question(file), Signer.load(file).certificate, datetime.now(UTC))

    def test_each_question_is_signed_as_of_now(self, file):
        certificate, now = Signer.load(file).certificate, datetime.now(UTC)
        signatures.check(question(file), certificate, now + timedelta(seconds=59))
        with pytest.raises(NotSigned, match="MessageExpired"):
            signatures.check(question(file), certificate, now + timedelta(seconds=61))

    def test_without_a_certificate_nothing_is_added(self):
        asked = etree.fromstring(wire.request("r-1", CPR, SETTINGS, date(2022, 1, 1), date(2022, 2, 1)))
        assert [etree.QName(child).localname for child in asked] == ["Body"]

    def test_another_certificate_is_noticed(self, file, authority):
        with pytest.raises(NotSigned, match="FailedAuthentication"):
            signatures.check(question(file), Signer.load(authority.issue("other")).certificate, datetime.now(UTC))

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            (".//{*}PersonCivilRegistrationIdentifier", "FailedCheck"),
            (f".//{WSU}Expires", "FailedCheck"),
            (f".//{DS}SignatureValue", "FailedCheck"),
            (f".//{DS}DigestValue", "FailedCheck"),
        ],
    )
    def test_whatever_is_changed_is_noticed(self, file, path, said):
        asked = question(file)
        element = asked.find(path)
        digits = [index for index, letter in enumerate(element.text) if letter.isdigit()]
        digit = digits[-1] if path.endswith("Expires") else digits[0]
        other = "1" if element.text[digit] != "1" else "2"
        element.text = element.text[:digit] + other + element.text[digit + 1 :]
        with pytest.raises(NotSigned, match=said):
            signatures.check(asked, Signer.load(file).certificate, datetime.now(UTC))

    @pytest.mark.parametrize("spoilt", ["wrapped", "wrapped_with_its_id"])
    def test_what_was_signed_cannot_be_put_aside(self, file, spoilt):
        asked = question(file)
        signatures.SPOILT[spoilt](asked)
        with pytest.raises(NotSigned):
            signatures.check(asked, Signer.load(file).certificate, datetime.now(UTC))

    def test_no_log_line_holds_the_question_whatever_its_level(self, file, caplog):
        with caplog.at_level(logging.DEBUG):
            question(file)
        assert CPR.digits not in caplog.text

    def test_signing_takes_too_little_time_to_hold_up_others(self, file):
        secured = Security(signs_with=Identity.parse(file.read_bytes(), None))
        began, times = time.process_time(), 50
        for _ in range(times):
            wire.request("r-1", CPR, SETTINGS, date(2022, 1, 1), date(2022, 2, 1), secured=secured)
        print(f"signing: {(time.process_time() - began) / times * 1000:.2f} ms of CPU")


class TestAnswers:
    def test_a_signed_answer_is_read(self, gateway, trusting):
        (report,) = wire.read(answer(gateway.seal(REPORTS)), CPR, trusting)
        assert report.start == date(2022, 1, 1)

    @pytest.mark.parametrize(
        ("spoilt", "said"),
        [
            ("unsigned", "Header is there 0 times"),
            ("altered", "does not hold: InvalidDigest"),
            ("wrapped", "Body is there twice"),
            ("wrapped_with_its_id", "Body is there twice"),
            ("without_value", "does not hold"),
            ("stale", "not of now"),
            ("foreign", "by somebody else"),
            ("body_alone", "not over Body and Timestamp"),
            ("timestamp_alone", "not over Body and Timestamp"),
            ("token_too", "not over Body and Timestamp"),
        ],
    )
    def test_an_answer_whose_signature_does_not_hold_is_none(self, gateway, trusting, spoilt, said):
        with pytest.raises(InvalidResponse, match=said):
            wire.read(answer(gateway.seal(REPORTS, spoilt)), CPR, trusting)

    def test_no_text_of_the_body_can_be_changed(self, gateway, trusting):
        signed = gateway.seal(REPORTS)
        texts = len([text for text in etree.fromstring(signed).find(f"{SOAP}Body").iter() if text.text])
        assert texts > 8
        for changed in range(texts):
            envelope = etree.fromstring(signed)
            element = [text for text in envelope.find(f"{SOAP}Body").iter() if text.text][changed]
            element.text += " "
            with pytest.raises(InvalidResponse):
                verify(trusting, etree.tostring(envelope))

    @pytest.mark.parametrize("how", ["renamed", "removed", "moved", "added"])
    def test_no_element_of_the_body_can_be_changed(self, gateway, trusting, how):
        envelope = etree.fromstring(gateway.seal(REPORTS))
        company = next(envelope.iter("{*}IndkomstOplysningSamling"))
        if how == "renamed":
            company.tag = "other"
        elif how == "removed":
            company.getparent().remove(company)
        elif how == "moved":
            envelope.find(f"{SOAP}Body").append(company)
        else:
            etree.SubElement(company, "more")
        with pytest.raises(InvalidResponse, match="does not hold"):
            verify(trusting, etree.tostring(envelope))

    def test_an_id_that_is_there_twice_is_refused_whatever_it_is_called(self, gateway, trusting):
        for name in ("Id", "ID", "id", f"{WSU}Id", "{http://www.w3.org/XML/1998/namespace}id", "{urn:x}Id"):
            envelope = etree.fromstring(gateway.seal(REPORTS))
            etree.SubElement(envelope.find(f"{SOAP}Header"), "{urn:x}Other").set(name, "the-body")
            with pytest.raises(InvalidResponse, match="an id twice"):
                verify(trusting, etree.tostring(envelope))

    @pytest.mark.parametrize("tag", [f"{SOAP}Body", f"{WSU}Timestamp", f"{DS}Signature", f"{WSSE}BinarySecurityToken"])
    def test_a_second_one_anywhere_is_refused(self, gateway, trusting, tag):
        envelope = etree.fromstring(gateway.seal(REPORTS))
        etree.SubElement(etree.SubElement(envelope.find(f"{SOAP}Header"), "{urn:x}Other"), tag)
        with pytest.raises(InvalidResponse, match="twice"):
            verify(trusting, etree.tostring(envelope))

    @pytest.mark.parametrize(
        ("name", "algorithm"),
        [
            ("SignatureMethod", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
            ("SignatureMethod", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
            ("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
            ("SignatureMethod", "urn:none"),
            ("DigestMethod", "http://www.w3.org/2000/09/xmldsig#sha1"),
            ("CanonicalizationMethod", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
            ("Transform", "http://www.w3.org/2000/09/xmldsig#enveloped-signature"),
            ("Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
        ],
    )
    def test_other_algorithms_are_refused_though_all_else_holds(self, gateway, trusting, name, algorithm):
        envelope = etree.fromstring(gateway.seal(REPORTS))
        for element in envelope.iter(f"{DS}{name}"):
            element.set("Algorithm", algorithm)
        info = envelope.find(f".//{DS}SignedInfo")
        value = signatures._value(gateway.signs_with, signatures.canonical(info))
        envelope.find(f".//{DS}SignatureValue").text = signatures.b64encode(value).decode()
        with pytest.raises(InvalidResponse):
            verify(trusting, etree.tostring(envelope))

    @pytest.mark.parametrize("off", [-61, 61])
    def test_an_answer_is_of_now(self, gateway, trusting, off):
        envelope = etree.fromstring(gateway.seal(REPORTS))
        with pytest.raises(InvalidResponse, match="not of now"):
            trusting.verify(envelope, datetime.now(UTC) + timedelta(seconds=off))

    @pytest.mark.parametrize(
        "text", ["", "yesterday", "2022-13-01T00:00:00Z", "2022-01-01T00:00:00", "20220101T000000Z"]
    )
    def test_a_time_that_is_none_is_refused(self, gateway, trusting, text):
        envelope = etree.fromstring(gateway.seal(REPORTS))
        envelope.find(f".//{WSU}Created").text = text
        with pytest.raises(InvalidResponse, match="Timestamp is none"):
            verify(trusting, etree.tostring(envelope))

    @pytest.mark.parametrize("text", ["", "AAAA", "*", None])
    def test_a_certificate_that_is_none_is_refused(self, gateway, trusting, text):
        envelope = etree.fromstring(gateway.seal(REPORTS))
        envelope.find(f".//{WSSE}BinarySecurityToken").text = text
        with pytest.raises(InvalidResponse, match="no certificate"):
            verify(trusting, etree.tostring(envelope))

    def test_a_key_beside_the_certificate_changes_nothing(self, gateway, trusting):
        stranger = etree.fromstring(gateway.seal(REPORTS, "foreign"))
        token = etree.fromstring(gateway.seal(REPORTS)).find(f".//{WSSE}BinarySecurityToken").text
        stranger.find(f".//{WSSE}BinarySecurityToken").text = token
        with pytest.raises(InvalidResponse, match="does not hold"):
            verify(trusting, etree.tostring(stranger))

    def test_an_authority_is_trusted_for_the_subject_that_is_meant(self, authority, gateway):
        trusted = Trusted((authority.certificate,))
        body = gateway.seal(REPORTS)
        verify(Security(None, trusted, "CN=gateway"), body)
        verify(Security(None, trusted, "2.5.4.3=gateway"), body)
        with pytest.raises(InvalidResponse, match="VERIFY_SUBJECT names nobody"):
            verify(Security(None, trusted), body)
        for subject in ("CN=other", "CN=gate"):
            with pytest.raises(InvalidResponse, match="by somebody else"):
                verify(Security(None, trusted, subject), body)

    def test_the_subject_alone_is_not_enough(self, gateway, tmp_path):
        other = Trusted((Authority(tmp_path, "authority").certificate,))
        with pytest.raises(InvalidResponse, match="by somebody else"):
            verify(Security(None, other, "CN=gateway"), gateway.seal(REPORTS))

    def test_a_certificate_that_has_expired_signs_nothing(self, authority):
        file = authority.issue("expired", valid_for=timedelta(hours=-1))
        trusting = Security(verifies_with=Trusted.parse(file.read_bytes(), None))
        with pytest.raises(InvalidResponse, match="not valid now"):
            verify(trusting, Signatures(None, Signer.load(file)).seal(REPORTS))

    def test_a_doctype_is_refused_before_any_signature_is_looked_at(self, gateway, trusting, monkeypatch):
        monkeypatch.setattr(Security, "verify", lambda *_: pytest.fail("the signature code saw it"))
        body = gateway.seal(REPORTS)
        body = body[: body.index(b"?>") + 2] + b'<!DOCTYPE x [<!ENTITY a "b">]>' + body[body.index(b"?>") + 2 :]
        with pytest.raises(InvalidResponse, match="DOCTYPE"):
            wire.read(answer(body), CPR, trusting)

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
            wire.read(answer(body, 500), CPR, trusting)

    def test_an_error_in_an_answer_must_be_signed_as_any_answer(self, gateway, trusting):
        body = response(outcome(error("300")))
        with pytest.raises(InvalidResponse):
            wire.read(answer(body), CPR, trusting)
        with pytest.raises(NotAuthorised):
            wire.read(answer(gateway.seal(body)), CPR, trusting)

    def test_checking_takes_too_little_time_to_hold_up_others(self, gateway, trusting):
        for months in (1, 60, 600):
            whole = about(company(*[period(wages()) for _ in range(months)]))
            envelope = etree.fromstring(gateway.seal(whole))
            began = time.process_time()
            trusting.verify(envelope, datetime.now(UTC))
            spent = (time.process_time() - began) * 1000
            print(f"checking an answer of {len(whole) // 1024} KiB: {spent:.1f} ms of CPU")
