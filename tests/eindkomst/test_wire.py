"""eIndkomst's format: the request is as published, and an answer is what it says, or an error; never a guess."""

import time
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from structlog.testing import capture_logs

from config.settings import EindkomstSettings
from tests.eindkomst.answers import (
    BLOWN_UP_SECONDS,
    CPR,
    CVR,
    INCOME_TYPE,
    KIND,
    OTHER_CPR,
    SOAP,
    TAX_MONTH,
    C,
    E,
    Form,
    K,
    V,
    about,
    answer,
    company,
    envelope,
    error,
    fault,
    notice,
    outcome,
    period,
    person,
    persons,
    response,
    wages,
)
from workers.eindkomst import wire
from workers.eindkomst.wire import Report, TooMuch, TransactionIdUsed, read, request
from workers.resilience.errors import (
    Again,
    BadRequest,
    CallFailed,
    InvalidResponse,
    NotAuthorised,
    NotFound,
    RateLimited,
    UpstreamUnavailable,
    WrongPerson,
)

WAGES = company(period(wages()))
A_REPORT = {
    "se_number": "87654321",
    "cvr_number": "12345678",
    "start": date(2022, 1, 1),
    "end": date(2022, 1, 31),
    "form": "11000",
    "kind": "I",
    "income_type": "00",
}


def reports_of(body, **how):
    return read(answer(body, **how), CPR)


def failure_of(body, **how):
    with pytest.raises(CallFailed) as caught:
        reports_of(body, **how)
    assert CPR.digits not in str(caught.value)
    assert caught.value.__cause__ is None
    return type(caught.value)


def asked(**settings):
    body = request("r-1", CPR, EindkomstSettings(**settings), date(2008, 1, 15), date(2023, 3, 13))
    return etree.fromstring(body)


# The request


NAMESPACES = {"soap": SOAP, "e": E, "k": K, "v": V, "c": C} | {
    name: f"http://rep.oio.dk/skat.dk/eindkomst/class/{name}/xml/schemas/20071202/"
    for name in (
        "abonnenttype",
        "abonnementtype",
        "adgangformaaltype",
        "soegeaarmaanedfrakode",
        "soegeaarmaanedtilkode",
    )
}
INDDATA = "e:IndkomstOplysningPersonInddata"
ACCESS = f"{INDDATA}/e:AbonnentAdgangStruktur"
SUBSCRIBER = f"{INDDATA}/e:AbonnentStruktur/e:AbonnentVirksomhedStruktur/e:AbonnentVirksomhed"
SEARCH = f"{INDDATA}/e:IndkomstOplysningValg/e:IndkomstPersonSamling/e:PersonIndkomstSoegeStruktur"
MONTHS = f"{SEARCH}/e:SoegeAarMaanedLukketStruktur"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("k:HovedOplysninger/k:TransaktionIdentifikator", "r-1"),
        (f"{ACCESS}/abonnenttype:AbonnentTypeKode", "3"),
        (f"{ACCESS}/abonnementtype:AbonnementTypeKode", "4"),
        (f"{ACCESS}/adgangformaaltype:AdgangFormaalTypeKode", "5"),
        (f"{SUBSCRIBER}/v:VirksomhedSENummerIdentifikator", "11223344"),
        (f"{SEARCH}/c:PersonCivilRegistrationIdentifier", "6102991234"),
        (f"{MONTHS}/soegeaarmaanedfrakode:SoegeAarMaanedFraKode", "200801"),
        (f"{MONTHS}/soegeaarmaanedtilkode:SoegeAarMaanedTilKode", "202303"),
    ],
)
def test_the_request_says_everything_where_the_published_format_has_it(path, text):
    root = asked(abonnent_type="3", abonnement_type="4", adgang_formaal="5", se_number="11223344")
    assert root.tag == f"{{{SOAP}}}Envelope"
    found = root.findall(f"soap:Body/e:IndkomstOplysningPersonHent_I/{path}", NAMESPACES)
    assert [element.text for element in found] == [text]


def test_what_is_put_into_the_request_cannot_change_its_structure():
    assert "<e:x/>" in asked(abonnent_type="<e:x/>").xpath("string()")


# An answer


def test_a_report_is_read_whole():
    (report,) = reports_of(about(WAGES))
    assert report == Report(**A_REPORT)


def test_a_reports_repr_shows_nothing_of_the_citizen():
    assert "12345678" not in repr(reports_of(about(WAGES)))


@pytest.mark.parametrize("parts", [(), (persons(),), (persons(person()),), (persons(person(company())),)])
def test_an_answer_without_errors_and_without_reports_is_no_data(parts):
    assert reports_of(response(outcome(), *parts)) == ()


def test_every_company_period_and_form_is_read():
    body = about(
        company(period(wages(), wages(kind="T")), period(wages(), start="2022-02-01", end="2022-02-28")),
        company(period(wages(income_type="06")), se="11111111"),
    )
    assert [(r.se_number, r.start.month, r.kind, r.income_type) for r in reports_of(body)] == [
        ("87654321", 1, "I", "00"),
        ("87654321", 1, "T", "00"),
        ("87654321", 2, "I", "00"),
        ("11111111", 1, "I", "06"),
    ]


def test_forms_below_others_are_read_too_and_each_has_its_own_fields():
    inner = Form("16001", {KIND: "not of this form"})
    body = about(company(period(wages(below=[Form("16000", below=[inner, wages(kind="T")])]))))
    assert [(r.form, r.kind) for r in reports_of(body)] == [
        ("11000", "I"),
        ("16000", None),
        ("16001", None),
        ("11000", "T"),
    ]


@pytest.mark.parametrize("cvr", [None, "", "  "])
def test_a_cvr_number_may_be_missing(cvr):
    (report,) = reports_of(about(company(period(wages(cvr=cvr)))))
    assert report.cvr_number is None


@pytest.mark.parametrize("day", ["2022-01-31", "2022-01-31Z", "2022-01-31+01:00", " 2022-01-31\n"])
def test_a_day_is_the_one_that_is_written_whatever_its_time_zone(day):
    (report,) = reports_of(about(company(period(wages(), end=day))))
    assert report.end == date(2022, 1, 31)


def test_white_space_and_comments_between_and_within_texts_change_nothing():
    body = about(company(period(wages(kind=" I\n", cvr="1234<!-- -->5678"))))
    (report,) = reports_of(body)
    assert report == Report(**A_REPORT)


def test_an_answer_may_hold_more_than_we_read():
    body = about(WAGES).replace(
        b"<e:AngivelsePeriodeStruktur>", b"<e:NytFelt>1</e:NytFelt><e:AngivelsePeriodeStruktur>"
    )
    assert len(reports_of(body)) == 1


# What an answer means when it is none


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("2000", UpstreamUnavailable),
        ("490", UpstreamUnavailable),
        ("1000", UpstreamUnavailable),
        ("500", TransactionIdUsed),
        ("300", NotAuthorised),
        ("410", TooMuch),
        ("411", BadRequest),
        ("", BadRequest),
        ("6102991234", BadRequest),
    ],
)
def test_http_200_with_an_error_is_a_failure_even_when_data_follow(code, kind):
    assert failure_of(response(outcome(error(code)))) is kind
    assert failure_of(response(outcome(notice("1"), error(code)), persons(person(WAGES)))) is kind


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        (["410", "500"], TransactionIdUsed),
        (["500", "2000", "410"], UpstreamUnavailable),
        (["2000", "999"], BadRequest),
        (["999", "300", "2000"], NotAuthorised),
        (["410", "410"], TooMuch),
    ],
)
def test_of_several_errors_the_gravest_decides(codes, kind):
    assert failure_of(response(outcome(*map(error, codes)))) is kind
    assert failure_of(response(outcome(*map(error, reversed(codes))))) is kind


def test_an_error_counts_wherever_it_stands():
    stray = "<x:FejlStruktur xmlns:x='urn:x'><x:FejlIdentifikator>300</x:FejlIdentifikator></x:FejlStruktur>"
    assert failure_of(response(outcome(), persons(person(WAGES)), stray)) is NotAuthorised


def test_an_error_without_a_code_is_not_of_the_contract():
    assert failure_of(response(outcome("<k:FejlStruktur/>"))) is InvalidResponse


def test_a_used_transaction_id_is_asked_again_with_a_new_one_and_counts_for_nothing():
    assert TransactionIdUsed.again is Again.YES
    assert not any((TransactionIdUsed.same_request, TransactionIdUsed.counts, TransactionIdUsed.alarm))


def test_too_much_is_not_repeated_and_alarms_nobody():
    assert TooMuch.again is Again.NEVER
    assert not any((TooMuch.counts, TooMuch.alarm))


def test_a_notice_is_no_failure_and_its_code_alone_is_logged():
    with capture_logs() as lines:
        body = response(outcome(notice("77", "6102991234 har"), notice("6102991234")), persons(person(WAGES)))
        assert len(reports_of(body)) == 1
    assert lines == [
        {"event": "eindkomst_advis", "code": "77", "log_level": "info"},
        {"event": "eindkomst_advis", "code": "?", "log_level": "info"},
    ]


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("soap:Server", UpstreamUnavailable),
        ("Server", UpstreamUnavailable),
        ("s:Server.Busy", UpstreamUnavailable),
        ("soap:Client", BadRequest),
        ("soap:Client.Authentication", BadRequest),
        ("soap:MustUnderstand", BadRequest),
        ("soap:VersionMismatch", BadRequest),
    ],
)
def test_a_soap_fault_means_what_its_code_says_whatever_the_status(code, kind, status):
    assert failure_of(fault(code), status=status) is kind


@pytest.mark.parametrize(("status", "kind"), [(200, InvalidResponse), (503, UpstreamUnavailable), (401, NotAuthorised)])
def test_a_soap_fault_of_no_known_code_means_what_the_status_says(status, kind):
    assert failure_of(fault("soap:Odd"), status=status) is kind
    assert failure_of(envelope("<soap:Fault/>"), status=status) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, NotAuthorised),
        (403, NotAuthorised),
        (404, NotFound),
        (429, RateLimited),
        (500, UpstreamUnavailable),
        (503, UpstreamUnavailable),
        (302, InvalidResponse),
    ],
)
@pytest.mark.parametrize("body", [about(WAGES), b"<html>", b"", b"\xff"])
def test_any_other_status_than_200_is_a_failure_whatever_the_body(status, kind, body):
    assert failure_of(body, status=status) is kind
    assert failure_of(body, status=status, content_type="text/html") is kind


@pytest.mark.parametrize("body", [fault("soap:Server"), response(outcome(error("2000")))])
def test_a_failure_passes_on_how_long_to_wait(body):
    with pytest.raises(UpstreamUnavailable) as caught:
        read(answer(body, retry_after=timedelta(seconds=9)), CPR)
    assert caught.value.retry_after == timedelta(seconds=9)


# R7


STRANGER = (
    f"<x:PersonCivilRegistrationIdentifier xmlns:x='urn:x'>{OTHER_CPR.digits}</x:PersonCivilRegistrationIdentifier>"
)


@pytest.mark.parametrize(
    "body",
    [
        response(outcome(), persons(person(WAGES, cpr=OTHER_CPR))),
        response(outcome(), persons(person(WAGES), person(cpr=OTHER_CPR))),
        about(WAGES.replace("</e:IndkomstOplysningSamling>", STRANGER + "</e:IndkomstOplysningSamling>")),
        response(outcome(error("2000")), STRANGER),
        response(outcome(), STRANGER, persons(person(WAGES)).replace(CPR.digits, "none")),
        envelope("", header=f"<soap:Header>{STRANGER}</soap:Header>"),
        STRANGER.encode(),
        fault("soap:Server").replace(b"</soap:Fault>", STRANGER.encode() + b"</soap:Fault>"),
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_another_person_anywhere_in_the_answer_is_the_wrong_person_before_all_else(body, status):
    assert failure_of(body, status=status) is WrongPerson


def test_the_same_person_in_another_spelling_is_the_same_person():
    assert len(reports_of(about(WAGES).replace(b"6102991234", b" 610299-1234 "))) == 1


@pytest.mark.parametrize("cpr", [b"", b"610299123", b"0000000000", b"6102991234 6203991236", b"610299<x/>1234x"])
def test_a_cpr_number_that_is_none_is_not_of_the_contract(cpr):
    assert failure_of(about(WAGES).replace(b"6102991234", cpr)) is InvalidResponse


def test_a_person_without_a_cpr_number_is_not_of_the_contract():
    nobody = persons("<e:IndkomstOplysningPersonStruktur/>")
    assert failure_of(response(outcome(), nobody)) is InvalidResponse


# What is not of the contract


@pytest.mark.parametrize(
    "missing",
    [
        "k:HovedOplysningerSvar",
        "k:SvarStruktur",
        "e:IndberetningPligtigVirksomhedStruktur",
        "e:IndberetningPligtigVirksomhed",
        "v:VirksomhedSENummerIdentifikator",
        "e:AngivelsePeriodeStruktur",
        "e:AngivelsePeriode",
        "e:AngivelsePeriodeFraDato",
        "e:AngivelsePeriodeTilDato",
        "e:AngivelseBlanketIndholdStruktur",
        "e:BlanketNummerIdentifikator",
        "e:BlanketFeltEnhedStruktur",
        "e:BlanketFeltNummerIdentifikator",
        "e:AngivelseFeltIndholdTekst",
        "e:IndkomstOplysningPersonHent_O",
        "soap:Body",
        "e:IndkomstPersonUddata",
        "e:IndkomstOplysningPersonSamling",
        "e:IndkomstOplysningPersonStruktur",
        "e:IndkomstOplysningSamling",
        "e:IndkomstLoenPeriodeSamling",
        "e:AngivelseOplysningSamling",
        "c:PersonCivilRegistrationIdentifier",
    ],
)
def test_an_element_of_the_contract_under_another_name_is_a_failure_and_never_no_data(missing):
    prefix, _, name = missing.partition(":")
    other = about(WAGES).replace(f"<{missing}>".encode(), f"<{prefix}:Nyt{name}>".encode())
    other = other.replace(f"</{missing}>".encode(), f"</{prefix}:Nyt{name}>".encode())
    assert failure_of(other) is InvalidResponse


def test_the_same_names_in_another_namespace_are_a_failure_and_never_no_data():
    assert failure_of(about(WAGES).replace(E.encode(), b"urn:x")) is InvalidResponse


@pytest.mark.parametrize(
    "form",
    [
        wages(kind=None),
        wages(kind=""),
        wages(income_type=None),
        wages(cvr="1234567"),
        wages(cvr="123456789"),
        wages(cvr="1234567x"),
        wages(cvr="١٢٣٤٥٦٧٨"),
        wages(kind="<x/>I"),
    ],
)
def test_the_fields_of_form_11000_must_be_there_and_well_formed(form):
    assert failure_of(about(company(period(form)))) is InvalidResponse


def test_a_field_that_is_there_twice_with_different_texts_is_a_failure():
    twice = wages().xml().replace(INCOME_TYPE, KIND)
    body = about(company(period(wages()))).replace(wages().xml().encode(), twice.encode())
    assert failure_of(body) is InvalidResponse


@pytest.mark.parametrize("se", ["", "1234567", "123456789", "abcdefgh"])
def test_an_se_number_has_eight_digits(se):
    assert failure_of(about(company(period(wages()), se=se))) is InvalidResponse


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2022-02-30", "2022-03-31"),
        ("2022-13-01", "2022-12-31"),
        ("0000-01-01", "2022-01-31"),
        ("20220101", "2022-01-31"),
        ("2022-W01-1", "2022-01-31"),
        ("2022-01-01T00:00:00", "2022-01-31"),
        ("", "2022-01-31"),
        ("2022-02-01", "2022-01-31"),
    ],
)
def test_impossible_dates_are_not_of_the_contract(start, end):
    assert failure_of(about(company(period(wages(), start=start, end=end)))) is InvalidResponse


@pytest.mark.parametrize("content_type", ["application/json", "text/html", "text/plain", "application/soap+xml"])
def test_another_content_type_is_not_of_the_contract(content_type):
    assert failure_of(about(WAGES), content_type=content_type) is InvalidResponse


UTF16 = about(WAGES).decode().replace("UTF-8", "UTF-16")
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(12))
    + "]><x>&m;</x>"
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        about(WAGES)[:-20],
        about(WAGES) + b"<x/>",
        UTF16.encode("utf-16"),
        UTF16.encode("utf-16-le"),
        about(WAGES).decode().replace("<k:SvarStruktur>", "<k:SvarStruktur>æ").encode("latin-1"),
        b'<?xml version="1.0" encoding="UTF-7"?>+ADw-!DOCTYPE x+AD4-<x/>',
        BOMB.encode(),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + about(WAGES).partition(b"?>")[2],
        b"<!DOCTYPE x>" + about(WAGES).partition(b"?>")[2],
        about(company(period(wages(cvr="&undeclared;")))),
        b"<x>" * 100_000 + b"</x>" * 100_000,
        about(company(period(wages(cvr="\x00")))),
    ],
    ids=range(14),
)
def test_broken_encoded_otherwise_or_treacherous_xml_is_refused(body):
    began = time.process_time()
    assert failure_of(body) is InvalidResponse
    assert time.process_time() - began < BLOWN_UP_SECONDS


def test_another_charset_is_not_of_the_contract():
    assert failure_of(about(WAGES), charset="iso-8859-1") is InvalidResponse


def test_a_byte_order_mark_is_no_harm():
    assert len(reports_of(b"\xef\xbb\xbf" + about(WAGES))) == 1


@pytest.mark.parametrize("depth", [50, 150, 100_000])
def test_deep_nesting_is_read_or_refused_and_overflows_nothing(depth):
    form = wages()
    opening = "<e:UnderAngivelseSamling><e:BlanketNummerIdentifikator>16000</e:BlanketNummerIdentifikator>"
    nested = opening * depth + "</e:UnderAngivelseSamling>" * depth
    body = about(company(period(form))).replace(
        b"</e:AngivelseOplysningSamling>", nested.encode() + b"</e:AngivelseOplysningSamling>"
    )
    try:
        assert len(reports_of(body)) == depth + 1
    except InvalidResponse:
        assert depth == 100_000


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_give_a_result_or_a_failure_of_ours(body):
    with pytest.raises(CallFailed):
        reports_of(body)


@given(st.integers(0, len(about(WAGES)) - 1), st.integers(0, 40), st.binary(max_size=8), st.sampled_from([200, 500]))
def test_an_answer_with_anything_changed_gives_a_result_or_a_failure_of_ours(at, cut, put, status):
    body = about(WAGES)
    try:
        reports = reports_of(body[:at] + put + body[at + cut :], status=status)
    except CallFailed:
        return
    assert all(isinstance(report, Report) for report in reports)


def test_the_constants_are_those_that_are_published():
    assert (wire.FIELD_CVR, wire.FIELD_KIND, wire.FIELD_INCOME_TYPE) == (CVR, KIND, INCOME_TYPE)
    assert {len(number) for number in (CVR, KIND, INCOME_TYPE, TAX_MONTH)} == {18}
