"""eIndkomst's format: the request is as published, and an answer is what it says, or an error; never a guess."""

import re
import time
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from structlog.testing import capture_logs

from config.settings import EindkomstSettings
from domain.cpr import Cpr
from domain.overview import LeftOut
from registerbro.upstreams.errors import (
    Again,
    BadRequest,
    CallFailed,
    InvalidResponse,
    NotAuthorised,
    NotFound,
    RateLimited,
    RequestIdUsed,
    TooLong,
    UpstreamUnavailable,
    WrongPerson,
)
from tests.workers.eindkomst.answers import (
    BLOWN_UP_SECONDS,
    CPR,
    INCOME_TYPE,
    KIND,
    MARKED,
    NAMESPACES,
    OTHER_CPR,
    SOAP,
    Form,
    about,
    answer,
    company,
    envelope,
    error,
    fault,
    notice,
    outcome,
    person,
    persons,
    report,
    response,
    wages,
)
from workers.eindkomst.question import request
from workers.eindkomst.reports import Days, Report
from workers.eindkomst.wire import AdvisAlone, TooMuch, read

WAGES = company(report(wages()))
JANUARY = Days(date(2022, 1, 1), date(2022, 1, 31))
A_REPORT = Report("87654321", "r-1", JANUARY, "I", 0, marked=False, reporter=None, reporters_cvr_number="12345678")
BORN_ON_A_DAY = Cpr.parse("0102991234")
"""No number of anybody's: it is in no register, and never leaves this module."""


def answer_of(body, *, cpr=CPR, advis_means_none=frozenset(), **how):
    return read(answer(body, **how), cpr, EindkomstSettings(advis_means_none=advis_means_none))


def reports_of(body, **how):
    return answer_of(body, **how).read


def failure_of(body, **how):
    with pytest.raises(CallFailed) as caught:
        answer_of(body, **how)
    assert CPR.digits not in str(caught.value)
    assert caught.value.__cause__ is None
    return type(caught.value)


def asked(**settings):
    body = request("r-1", CPR, EindkomstSettings(**settings), date(2008, 1, 15), date(2023, 3, 13))
    return etree.fromstring(body)


# The request


CLASSES = NAMESPACES | {
    name: f"http://rep.oio.dk/skat.dk/eindkomst/class/{name}/xml/schemas/20071202/"
    for name in (
        "abonnenttype",
        "abonnementtype",
        "adgangformaaltype",
        "indkomstoplysningadgangmedarbejderidentifikator",
        "soegeaarmaanedfrakode",
        "soegeaarmaanedtilkode",
    )
}
INDDATA = "e:IndkomstOplysningPersonInddata"
ACCESS = f"{INDDATA}/e:AbonnentAdgangStruktur"
SUBSCRIBER = f"{INDDATA}/e:AbonnentStruktur"
CASEWORKER = "indkomstoplysningadgangmedarbejderidentifikator:IndkomstOplysningAdgangMedarbejderIdentifikator"
SEARCH = f"{INDDATA}/e:IndkomstOplysningValg/e:IndkomstPersonSamling/e:PersonIndkomstSoegeStruktur"
MONTHS = f"{SEARCH}/e:SoegeAarMaanedLukketStruktur"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("k:HovedOplysninger/k:TransaktionIdentifikator", "r-1"),
        (f"{ACCESS}/abonnenttype:AbonnentTypeKode", "3"),
        (f"{ACCESS}/abonnementtype:AbonnementTypeKode", "4"),
        (f"{ACCESS}/adgangformaaltype:AdgangFormaalTypeKode", "5"),
        (
            f"{SUBSCRIBER}/e:AbonnentVirksomhedStruktur/e:AbonnentVirksomhed/v:VirksomhedSENummerIdentifikator",
            "11223344",
        ),
        (f"{SUBSCRIBER}/{CASEWORKER}", "B000001"),
        (f"{SEARCH}/c:PersonCivilRegistrationIdentifier", "6102991234"),
        (f"{MONTHS}/soegeaarmaanedfrakode:SoegeAarMaanedFraKode", "200801"),
        (f"{MONTHS}/soegeaarmaanedtilkode:SoegeAarMaanedTilKode", "202303"),
    ],
)
def test_the_request_says_everything_where_the_published_format_has_it(path, text):
    root = asked(
        abonnent_type=3,
        abonnement_type=4,
        adgang_formaal=5,
        se_number="11223344",
        medarbejder_identifikator="B000001",
    )
    assert root.tag == f"{{{SOAP}}}Envelope"
    found = root.findall(f"soap:Body/e:IndkomstOplysningPersonHent_I/{path}", CLASSES)
    assert [element.text for element in found] == [text]


def test_what_is_put_into_the_request_cannot_change_its_structure():
    assert "<e:x/>" in asked(medarbejder_identifikator="<e:x/>").xpath("string()")


def test_the_caseworker_is_named_only_where_the_agreement_wants_it():
    assert asked().find(f".//{CASEWORKER}", CLASSES) is None


# An answer


def test_a_report_is_read_whole():
    assert answer_of(about(WAGES)).read == (A_REPORT,)
    assert answer_of(about(WAGES)).left_out == ()


def test_an_answer_without_errors_and_without_data_is_no_data():
    assert reports_of(response(outcome())) == ()


@pytest.mark.parametrize("data", [persons(), persons(person()), "<e:IndkomstPersonUddata/>"])
def test_data_without_a_report_are_a_failure_and_never_no_data(data):
    assert failure_of(response(outcome(), data)) is InvalidResponse


def test_the_choice_for_companies_is_no_answer_about_a_person():
    data = "<e:IndkomstPersonUddata><e:IndkomstOplysningVirksomhedSamling/></e:IndkomstPersonUddata>"
    assert failure_of(response(outcome(), data)) is InvalidResponse


def test_every_persons_company_and_report_is_read():
    first = company(report(wages()), report(wages(kind="T"), start="2022-02-01", end="2022-02-28", own_id="r-2"))
    second = company(report(wages(income_type="6")), se="11111111")
    body = response(outcome(), persons(person(first), person(second)))
    assert [(r.se_number, r.own_id, r.days.first.month, r.kind, r.income_type) for r in reports_of(body)] == [
        ("87654321", "r-1", 1, "I", 0),
        ("87654321", "r-2", 2, "T", 0),
        ("11111111", "r-1", 1, "I", 6),
    ]


def test_each_form_11000_of_a_report_is_read():
    assert [r.income_type for r in reports_of(about(company(report(wages(), wages(income_type="24")))))] == [0, 24]


def test_other_forms_and_other_levels_are_nothing_to_us():
    inner = Form("16001", {KIND: "not of this form"})
    below = [Form("16000", {INCOME_TYPE: "x"}, below=[inner, wages(kind="T")])]
    other = Form("12000", {KIND: "x", INCOME_TYPE: "x"})
    whole = answer_of(about(company(report(other, replace(wages(), below=below)))))
    assert (whole.read, whole.left_out) == ((A_REPORT,), ())


@pytest.mark.parametrize(
    ("form", "marked"),
    [
        (wages(marked="1"), True),
        (wages(marked=" 1 "), True),
        (wages(marked="0"), False),
        (wages(marked=""), False),
        (replace(wages(), below=[Form("16000", {}), Form("16000", {MARKED: "1"})]), True),
        (replace(wages(), below=[Form("16001", {MARKED: "1"})]), False),
        (replace(wages(), below=[Form("16000", {}, below=[Form("16000", {MARKED: "1"})])]), False),
        (replace(wages(), fields=wages().fields | {MARKED: "1"}), False),
    ],
)
def test_a_form_16000_right_below_says_whether_the_report_was_taken_back(form, marked):
    (read_report,) = reports_of(about(company(report(form))))
    assert read_report.marked is marked


def test_who_has_sent_a_report_is_read_as_it_stands():
    (read_report,) = reports_of(about(company(report(wages(reporter=" 99999999 ", cvr="1234567")))))
    assert (read_report.reporter, read_report.reporters_cvr_number) == ("99999999", "1234567")


@pytest.mark.parametrize("cvr", [None, "", "  ", "x", "123456789"])
def test_a_cvr_number_may_be_missing_or_none(cvr):
    assert len(reports_of(about(company(report(wages(cvr=cvr)))))) == 1


def test_an_se_number_need_not_be_of_digits():
    (read_report,) = reports_of(about(company(report(wages()), se="DEF12345")))
    assert read_report.se_number == "DEF12345"


@pytest.mark.parametrize(
    ("parts", "days"),
    [
        ({"end": "2022-01-31Z"}, JANUARY),
        ({"end": " 2022-01-31\n"}, JANUARY),
        ({"end": None}, JANUARY),
        ({"start": None}, JANUARY),
        ({"end": None, "duration": "P1M"}, JANUARY),
        ({"start": None, "duration": "P1M"}, JANUARY),
    ],
)
def test_a_period_may_lack_a_date(parts, days):
    (read_report,) = reports_of(about(company(report(wages(), **parts))))
    assert read_report.days == days


def test_white_space_and_comments_between_and_within_texts_change_nothing():
    body = about(company(report(wages(kind=" I\n", cvr="1234<!-- -->5678"))))
    assert reports_of(body) == (A_REPORT,)


def test_an_answer_may_hold_more_than_we_read():
    body = about(WAGES).replace(
        b"<e:AngivelsePeriodeStruktur>", b"<e:NytFelt scheme='imk'>1</e:NytFelt><e:AngivelsePeriodeStruktur nyt='1'>"
    )
    assert reports_of(body) == (A_REPORT,)


# What cannot be read


def without(name):
    """Takes an element out of a report, with all that is in it."""
    return lambda xml: re.sub(rf"<{name}>.*</{name}>", "", xml, count=1, flags=re.DOTALL)


def with_text(name, text):
    """Puts another text in the place of an element's."""
    return lambda xml: re.sub(rf"(<{name}>)[^<]*(</{name}>)", rf"\g<1>{text}\g<2>", xml, count=1)


def with_field(number, text):
    """Gives one field another text."""
    return lambda xml: re.sub(rf"({number}</.*?FeltIndholdTekst>)[^<]*", rf"\g<1>{text}", xml, count=1, flags=re.DOTALL)


def twice(number, text):
    """Puts a field there once more, with another text."""
    form = Form(fields={number: text}).xml()
    more = re.search(r"<e:AngivelseFeltIndholdStruktur>.*</e:AngivelseFeltIndholdStruktur>", form)[0]
    return lambda xml: xml.replace("</e:AngivelseFeltSamling>", more + "</e:AngivelseFeltSamling>", 1)


DAMAGE = {
    "no dates": ("period", without("angivelse:AngivelsePeriode")),
    "no period": ("period", without("e:AngivelsePeriodeStruktur")),
    "end before start": ("period", with_text("x0704:EndDate", "1999-12-31")),
    "no such day": ("period", with_text("x06:StartDate", "2022-02-30")),
    "no date at all": ("period", with_text("x06:StartDate", "i januar")),
    "an element for a date": ("period", with_text("x0704:EndDate", "<e:x/>")),
    "no own id": ("own_id", without("angivelse:AngivelseVirksomhedEgenIdentifikator")),
    "an empty own id": ("own_id", with_text("angivelse:AngivelseVirksomhedEgenIdentifikator", " ")),
    "no forms": ("forms", without("e:AngivelseBlanketIndholdStruktur")),
    "another form": ("forms", with_text("blanket:BlanketNummerIdentifikator", "11001")),
    "no kind": ("field_missing", with_field(KIND, "")),
    "another kind": ("kind", with_field(KIND, "X")),
    "no income type": ("field_missing", with_field(INCOME_TYPE, "")),
    "an income type of letters": ("income_type", with_field(INCOME_TYPE, "løn")),
    "two kinds": ("field_twice", twice(KIND, "T")),
    "two income types": ("field_twice", twice(INCOME_TYPE, "1")),
    "the fields of nobody": ("field_missing", without("blanketfelt:BlanketFeltNummerIdentifikator")),
    "fields in another place": ("field_missing", lambda xml: xml.replace("e:AngivelseFeltSamling", "e:Andet")),
}
FORTY = [report(wages(), start=f"20{n:02}-01-01", end=f"20{n:02}-01-31", own_id=f"r-{n}") for n in range(40)]


@pytest.mark.parametrize(("kind", "damage"), DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("at", [0, 17, 39])
def test_of_forty_reports_one_that_cannot_be_read_is_left_out_and_named_and_the_others_are_read(kind, damage, at):
    damaged = [damage(one) if index == at else one for index, one in enumerate(FORTY)]
    assert damaged != FORTY
    whole = answer_of(about(company(*damaged)))
    assert [one.days.first.year for one in whole.read] == [2000 + n for n in range(40) if n != at]
    assert whole.left_out == (LeftOut(kind, f"report {at + 1}"),)


@pytest.mark.parametrize(("kind", "damage"), DAMAGE.values(), ids=DAMAGE)
def test_when_no_report_can_be_read_that_is_a_failure_and_never_no_data(kind, damage):
    filtered = kind in {"forms", "field_missing"}
    assert failure_of(about(company(*map(damage, FORTY)))) is (NotAuthorised if filtered else InvalidResponse)


@pytest.mark.parametrize("se", ["", "1234567", "123456789"])
def test_a_company_of_no_number_has_its_reports_left_out(se):
    whole = answer_of(about(company(report(wages()), report(wages()), se=se), WAGES))
    assert whole.read == (A_REPORT,)
    assert whole.left_out == (LeftOut("company_number", "report 1"), LeftOut("company_number", "report 2"))


def test_a_company_without_reports_is_left_out():
    whole = answer_of(about(company(), WAGES))
    assert (whole.read, whole.left_out) == ((A_REPORT,), (LeftOut("reports", "company 1"),))


def test_a_report_of_which_one_form_cannot_be_read_gives_the_other():
    whole = answer_of(about(company(report(wages(kind="X"), wages()))))
    assert (whole.read, whole.left_out) == ((A_REPORT,), (LeftOut("kind", "report 1"),))


def test_a_report_of_which_no_form_can_be_read_is_one_item_however_many_it_has():
    whole = answer_of(about(company(report(wages(kind="X"), wages(kind="Y")), report(wages()))))
    assert (whole.read, whole.left_out) == ((A_REPORT,), (LeftOut("kind", "report 1"),))


@pytest.mark.parametrize(
    ("reports", "named"),
    [
        ([report(wages(kind=None)), report(wages(kind=""))], "011"),
        ([report(wages(income_type=None)), report()], "012"),
        ([report(), report()], "011 and 012"),
        ([report(wages(income_type=None), end="x"), report(wages(income_type=None))], "012"),
    ],
)
def test_a_field_that_every_report_lacks_is_the_agreements_and_somebody_must_see_to_it(reports, named):
    with pytest.raises(NotAuthorised, match=f"field {named} .* agreement") as caught:
        reports_of(about(company(*reports)))
    assert caught.value.alarm


def test_fields_that_not_every_report_lacks_are_no_matter_of_the_agreement():
    body = about(company(report(wages(kind=None)), report(wages(income_type=None))))
    assert failure_of(body) is InvalidResponse


# What an answer means when it is none


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("2000", UpstreamUnavailable),
        ("+02000", UpstreamUnavailable),
        (" 490 ", UpstreamUnavailable),
        ("490", UpstreamUnavailable),
        ("1000", UpstreamUnavailable),
        ("500", RequestIdUsed),
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
        (["410", "500"], RequestIdUsed),
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


def test_an_error_without_a_code_is_an_error_that_somebody_must_see_to():
    assert failure_of(response(outcome("<k:FejlStruktur/>"))) is BadRequest


def test_a_used_transaction_id_is_asked_again_with_a_new_one_and_counts_for_nothing():
    assert RequestIdUsed.again is Again.ONCE
    assert not any((RequestIdUsed.outcome_unknown, RequestIdUsed.counts, RequestIdUsed.alarm))


def test_too_much_is_not_repeated_and_alarms_nobody():
    assert TooMuch.again is Again.NEVER
    assert not any((TooMuch.counts, TooMuch.alarm))


def test_a_notice_is_no_failure_and_its_code_alone_is_logged():
    with capture_logs() as lines:
        body = response(outcome(notice("77", "6102991234 har"), notice("6102991234")), persons(person(WAGES)))
        assert len(reports_of(body)) == 1
    assert lines == [{"event": "eindkomst_advis", "number": 2, "codes": ["77", "?"], "log_level": "info"}]


def test_an_answer_of_nothing_but_advis_fills_no_log():
    with capture_logs() as lines:
        answer_of(response(outcome(*(notice(str(code)) for code in range(1000))), persons(person(WAGES))))
    assert [(line["number"], len(line["codes"])) for line in lines] == [(1000, 10)]


@pytest.mark.parametrize("one", ["<e:a/>", "<!---->", "<?a?>", "<e:a e:b=''/>"])
def test_more_markup_than_the_longest_history_has_is_too_long_and_not_parsed(one, monkeypatch):
    monkeypatch.setattr(etree, "fromstring", lambda *_: pytest.fail("it was parsed"))
    assert failure_of(response(outcome(), one * 1_000_000)) is TooLong


@pytest.mark.parametrize("codes", [["77"], ["77", "78"], ["78", "77"], ["x"], [""], ["0077"]])
def test_an_advis_without_a_person_is_a_failure_and_never_no_data(codes):
    assert failure_of(response(outcome(*map(notice, codes)))) is AdvisAlone
    assert failure_of(response(outcome(*map(notice, codes))), advis_means_none={78}) is AdvisAlone


def test_a_failure_by_advis_names_its_code_and_the_setting_and_counts_for_nothing():
    with pytest.raises(AdvisAlone, match=r"77.*ADVIS_MEANS_NONE"):
        answer_of(response(outcome(notice("77", "om 6102991234"))))
    assert AdvisAlone.reason == "advis"
    assert AdvisAlone.again is Again.NEVER
    assert not any((AdvisAlone.counts, AdvisAlone.alarm))


@pytest.mark.parametrize("codes", [["77"], ["077", "77"], ["77", "78"]])
def test_an_advis_that_is_known_to_mean_none_is_no_data(codes):
    assert reports_of(response(outcome(*map(notice, codes))), advis_means_none={77, 78}) == ()


@pytest.mark.parametrize(
    "text", ["cvc-pattern-valid: value", "Schema validation failed", "PersonCivilRegistrationIdentifier"]
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_replacement_number_that_the_schema_refuses_is_nobody_the_register_knows(text, status):
    refused = fault("soap:Client", text)
    assert reports_of(refused, status=status) == ()
    assert failure_of(refused, cpr=BORN_ON_A_DAY, status=status) is BadRequest


def test_any_other_fault_about_a_replacement_number_is_a_failure():
    assert failure_of(fault("soap:Client", "The message is not signed")) is BadRequest
    assert failure_of(fault("soap:Server", "Schema validation failed")) is UpstreamUnavailable


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
        answer_of(body, retry_after=timedelta(seconds=9))
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
        about(WAGES.replace("</e:IndkomstLoenPeriodeSamling>", STRANGER + "</e:IndkomstLoenPeriodeSamling>")),
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
        "e:IndkomstOplysningPersonHent_O",
        "soap:Body",
        "e:IndkomstPersonUddata",
        "e:IndkomstOplysningPersonSamling",
        "e:IndkomstOplysningPersonStruktur",
        "e:IndkomstOplysningSamling",
        "e:IndberetningPligtigVirksomhed",
        "e:IndberetningPligtigVirksomhedStruktur",
        "v:VirksomhedSENummerIdentifikator",
        "e:IndkomstLoenPeriodeSamling",
        "e:LoenPeriodeOplysningStruktur",
        "angivelse:AngivelseVirksomhedEgenIdentifikator",
        "e:AngivelsePeriodeStruktur",
        "angivelse:AngivelsePeriode",
        "e:AngivelseBlanketIndholdStruktur",
        "e:AngivelseOplysningSamling",
        "e:AngivelseNiveau1",
        "blanket:BlanketNummerIdentifikator",
        "e:AngivelseFeltSamling",
        "e:AngivelseFeltIndholdStruktur",
        "e:BlanketFeltEnhedStruktur",
        "blanketfelt:BlanketFeltNummerIdentifikator",
        "angivelsefelt:AngivelseFeltIndholdTekst",
        "c:PersonCivilRegistrationIdentifier",
    ],
)
def test_an_element_of_the_contract_under_another_name_is_a_failure_and_never_no_data(missing):
    prefix, _, name = missing.partition(":")
    other = about(WAGES).replace(f"<{missing}>".encode(), f"<{prefix}:Nyt{name}>".encode())
    other = other.replace(f"</{missing}>".encode(), f"</{prefix}:Nyt{name}>".encode())
    assert failure_of(other) in {InvalidResponse, NotAuthorised}


@pytest.mark.parametrize(
    "prefix", ["soap", "e", "k", "v", "c", "x06", "angivelse", "blanket", "blanketfelt", "angivelsefelt"]
)
def test_the_same_names_in_another_namespace_are_a_failure_and_never_no_data(prefix):
    body = about(company(report(wages(), end="x" if prefix == "x06" else "2022-01-31")))
    assert failure_of(body.replace(f'"{NAMESPACES[prefix]}"'.encode(), b'"urn:x"')) in {InvalidResponse, NotAuthorised}


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
        about(company(report(wages(cvr="&undeclared;")))),
        b"<x>" * 100_000 + b"</x>" * 100_000,
        about(company(report(wages(cvr="\x00")))),
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
    nested = "<e:AngivelseNiveau2><e:UnderAngivelseSamling>" * depth
    nested += "</e:UnderAngivelseSamling></e:AngivelseNiveau2>" * depth
    body = about(WAGES).replace(b"<e:UnderAngivelseSamling>", b"<e:UnderAngivelseSamling>" + nested.encode())
    try:
        assert reports_of(body) == (A_REPORT,)
    except InvalidResponse:
        assert depth > 100


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
