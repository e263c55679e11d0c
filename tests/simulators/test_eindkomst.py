"""eIndkomst's simulator against what is published of the interface: its answers, and the questions that it takes."""

import copy
import re

import httpx
import pytest
from lxml import etree

from simulators import citizens
from simulators.eindkomst import answer_about
from tests.simulators.calls import CLASS, KNOWN, C, Call, E, K, V, call
from tests.workers.eindkomst import schema

PERSON = "http://eksternwiki.skat.dk/oioxml/skat_dk/eIndkomst/person/"
ITST = "http://rep.oio.dk/itst.dk/xml/schemas/2006/01/17/"
DKCC = "http://rep.oio.dk/ebxml/xml/schemas/dkcc/2006/01/23/"
X06 = "http://rep.oio.dk/xkom.dk/xml/schemas/2006/09/01/"
X0704 = "http://rep.oio.dk/xkom.dk/xml/schemas/2007/04/15/"
X07 = "http://rep.oio.dk/xkom.dk/xml/schemas/2007/09/01/"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
ADDRESS = "/vericert/services/IndkomstOplysningPersonHentV2ServicePort"

EVERYBODY = pytest.mark.parametrize("citizen", citizens.BY_CPR.values(), ids=lambda citizen: citizen.name)
VALID_FAULTS = [
    {"kind": "fejl", "kode": "2000"},
    {"kind": "fejl", "kode": "2000", "with_data": True},
    {"kind": "advis", "kode": "100"},
    {"kind": "advis", "kode": "100", "with_data": True},
    *({"kind": kind} for kind in ("too_much", "unknown_value", "empty", "missing_field", "wrong_person")),
    {"kind": "mixed_people"},
]
"""The faults whose answers are of the contract, whatever else is wrong with them."""
BY_FAULT = pytest.mark.parametrize("fault", VALID_FAULTS, ids=lambda fault: "-".join(map(str, fault.values())))

NAMES = {
    K: "HovedOplysningerSvar TransaktionIdentifikator ServiceIdentifikator TransaktionTid SvarStruktur"
    " AdvisStruktur AdvisIdentifikator AdvisTekst FejlStruktur FejlIdentifikator FejlTekst",
    E: "IndkomstOplysningPersonHent_O IndkomstPersonUddata IndkomstOplysningPersonSamling"
    " IndkomstOplysningPersonStruktur IndkomstOplysningSamling IndberetningPligtigVirksomhed"
    " IndberetningPligtigVirksomhedStruktur IndkomstLoenPeriodeSamling LoenPeriodeOplysningStruktur"
    " AngivelsePeriodeStruktur SupplerendePersonOplysningStruktur AlternativAdresseStruktur"
    " AngivelseBlanketIndholdStruktur AngivelseOplysningSamling AngivelseNiveau1 AngivelseNiveau2 AngivelseNiveau3"
    " AngivelseFeltSamling AngivelseFeltIndholdStruktur BlanketFeltEnhedStruktur UnderAngivelseSamling",
    C: "PersonCivilRegistrationIdentifier",
    V: "VirksomhedSENummerIdentifikator",
    CLASS.format("indkomstoplysningadgangreferencenummer"): "IndkomstOplysningAdgangReferenceNummerIdentifikator",
    CLASS.format("angivelse"): "AngivelseVirksomhedEgenIdentifikator AngivelsePeriode",
    CLASS.format("ansaettelseforhold"): "AnsaettelseforholdMedarbejderIdentifikator",
    CLASS.format("indkomstpersongruppe"): "IndkomstPersonGruppeDispositionDato",
    CLASS.format("supplerendepersonoplysning"): "SupplerendePersonOplysningFoedselTekst",
    CLASS.format("alternativadresse"): "AlternativAdresseAdresseLinie1 AlternativAdresseAdresseLinie2"
    " AlternativAdresseAdresseLinie3",
    CLASS.format("land"): "LandKode",
    CLASS.format("blanket"): "BlanketNummerIdentifikator",
    CLASS.format("blanketfelt"): "BlanketFeltNummerIdentifikator",
    CLASS.format("feltenhedtype"): "FeltEnhedTypeKode",
    CLASS.format("angivelsefelt"): "AngivelseFeltIndholdTekst",
    X06: "StartDate",
    X0704: "EndDate",
    X07: "DurationMeasure",
    ITST: "PersonName",
    DKCC: "PersonGenderCode",
}
"""Every element that an answer can hold, as published: namespace → names."""


@pytest.fixture(scope="session")
def published():
    """The register's own schema where this machine has it, or else the project's, which judges alike."""
    return schema.published() or schema.restated()


def body_of(envelope):
    """The Body of a SOAP 1.1 envelope that has nothing beside it but a Header."""
    root = etree.fromstring(envelope)
    *header, body = root
    assert root.tag == f"{{{SOAP}}}Envelope"
    assert body.tag == f"{{{SOAP}}}Body"
    assert [one.tag for one in header] in ([], [f"{{{SOAP}}}Header"])
    return body


def content(answer):
    """What is in the Body of an answer, with a number that the schemas take in place of each constructed one."""
    (found,) = body_of(answer.content if isinstance(answer, httpx.Response) else answer)
    for number in found.iter(f"{{{C}}}PersonCivilRegistrationIdentifier"):
        assert re.fullmatch("(6[1-9]|[78][0-9]|9[01])[0-9]{8}", number.text)
        number.text = "0000000000"
    return found


def texts(root, name):
    return [element.text for element in root.iter(f"{{*}}{name}")]


def fields(form):
    """Number of a field → its unit and its text, of one form without those below it."""
    told = {}
    for field in form.iterfind(f"{{{E}}}AngivelseFeltSamling/{{{E}}}AngivelseFeltIndholdStruktur"):
        ((number,), (unit,)) = (texts(field, name) for name in ("BlanketFeltNummerIdentifikator", "FeltEnhedTypeKode"))
        assert re.fullmatch("1[0-9]{17}", number)
        assert re.fullmatch("1[0-9]{8}", unit)
        told[int(number[1:])] = (int(unit[1:]), *texts(field, "AngivelseFeltIndholdTekst"))
    return told


def forms(root, level):
    return list(root.iter(f"{{{E}}}AngivelseNiveau{level}"))


def months(root):
    return [fields(form)[16][1] for form in forms(root, 1)]


def outcome(root):
    return {name: texts(root, f"{name}Identifikator") for name in ("Fejl", "Advis")}


NOTHING_SAID = {"Fejl": [], "Advis": []}


# Answers


@EVERYBODY
def test_what_is_answered_about_each_citizen_is_valid_by_the_published_schemas(published, send, citizen):
    published.assertValid(content(send("eindkomst", citizen=citizen.cpr)))


@EVERYBODY
@BY_FAULT
def test_what_a_fault_says_is_valid_where_it_is_meant_to_be(published, control, send, citizen, fault):
    control.fault("eindkomst", fault)
    published.assertValid(content(send("eindkomst", citizen=citizen.cpr)))


def test_an_answer_about_nobody_and_one_to_a_repeated_question_are_valid(published, send):
    published.assertValid(content(send("eindkomst", citizen=citizens.STRANGER)))
    send("eindkomst", request_id="r-1")
    published.assertValid(content(send("eindkomst", request_id="r-1")))


@pytest.mark.parametrize("kind", ["damaged", "undeclared"])
def test_what_is_meant_to_be_invalid_is(published, control, send, kind):
    control.fault("eindkomst", {"kind": kind})
    assert not published.validate(content(send("eindkomst")))


def all_answers(control, send):
    """An answer about everybody, with each fault whose answer is of the contract, and with a case number."""
    for citizen in citizens.BY_CPR.values():
        yield send("eindkomst", citizen=citizen.cpr)
    for fault in VALID_FAULTS:
        control.fault("eindkomst", fault)
        yield send("eindkomst")
    control.mend("eindkomst")
    yield send("eindkomst", ask(reference="J-2023-17"))


def test_the_answers_have_these_elements_and_no_others(control, send):
    found = {element.tag for answer in all_answers(control, send) for element in content(answer).iter(etree.Element)}
    assert found == {f"{{{namespace}}}{name}" for namespace, names in NAMES.items() for name in names.split()}


@pytest.mark.parametrize("spoil", ["name", "namespace"])
def test_the_schemas_notice_every_name_and_every_namespace(published, control, send, spoil):
    whole = {}
    for answer in all_answers(control, send):
        root = content(answer)
        for element in root.iter(etree.Element):
            whole.setdefault(element.tag, root)
    assert len(whole) > 50
    for name, root in whole.items():
        spoilt = copy.deepcopy(root)
        first = next(spoilt.iter(name))
        first.tag = f"{name}X" if spoil == "name" else name.replace("{", "{urn:other:")
        assert not published.validate(spoilt), name


def shape(element):
    """An element as nested values, without what belongs to how it was written."""
    return (
        element.tag,
        dict(element.attrib),
        (element.text or "").strip(),
        [shape(child) for child in element.iterchildren(etree.Element)],
    )


def test_an_answer_is_element_for_element_this(send):
    """Written out from the published tree: one report of a bureau, with all that it may say."""
    got = content(send("eindkomst", citizen=citizens.TWO_EMPLOYERS_ONE_BUREAU.cpr, last="202301", request_id="r-<&>-1"))
    (own_id,) = texts(got, "AngivelseVirksomhedEgenIdentifikator")
    (at,) = texts(got, "TransaktionTid")
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", at)

    def form(level, number, fields, below=""):
        told = "".join(
            f"<e:AngivelseFeltIndholdStruktur><e:BlanketFeltEnhedStruktur>"
            f'<n:BlanketFeltNummerIdentifikator xmlns:n="{CLASS.format("blanketfelt")}">1{field:017}'
            f"</n:BlanketFeltNummerIdentifikator>"
            f'<u:FeltEnhedTypeKode xmlns:u="{CLASS.format("feltenhedtype")}">1{unit:08}</u:FeltEnhedTypeKode>'
            f"</e:BlanketFeltEnhedStruktur>"
            f'<t:AngivelseFeltIndholdTekst xmlns:t="{CLASS.format("angivelsefelt")}">{text}'
            f"</t:AngivelseFeltIndholdTekst></e:AngivelseFeltIndholdStruktur>"
            for field, unit, text in fields
        )
        return f"""
        <e:AngivelseNiveau{level}>
          <b:BlanketNummerIdentifikator xmlns:b="{CLASS.format("blanket")}">{number}</b:BlanketNummerIdentifikator>
          <e:AngivelseFeltSamling>{told}</e:AngivelseFeltSamling>
          <e:UnderAngivelseSamling>{below}</e:UnderAngivelseSamling>
        </e:AngivelseNiveau{level}>"""

    stamp = "2023-01-31-10.15.00.000000"
    amounts = [
        (57, 16, "18500.00"), (59, 16, "6100.00"), (60, 16, "1480.00"), (76, 16, "94.65"), (96, 21, "160.33"),
        (97, 16, "20000.00"),
    ]  # fmt: skip
    income = [
        (1, 5, "70000009"), (3, 1, "20230131"), (4, 2, "101500"), (6, 6, "70000009"), (9, 3, stamp), (11, 12, "I"),
        (12, 14, "0"), (14, 12, "B"), (16, 9, "202301"), (159, 3, stamp), (191, 3, stamp),
    ]  # fmt: skip
    earnings = form(2, "16000", [(19, 14, "1"), (20, 12, "1013000001")], form(3, "16001", amounts))
    expected = f"""
<e:IndkomstOplysningPersonHent_O xmlns:e="{E}">
  <k:HovedOplysningerSvar xmlns:k="{K}">
    <k:TransaktionIdentifikator>r-&lt;&amp;&gt;-1</k:TransaktionIdentifikator>
    <k:ServiceIdentifikator>IndkomstOplysningPersonHent</k:ServiceIdentifikator>
    <k:TransaktionTid>{at}</k:TransaktionTid>
    <k:SvarStruktur/>
  </k:HovedOplysningerSvar>
  <e:IndkomstPersonUddata>
    <e:IndkomstOplysningPersonSamling>
      <e:IndkomstOplysningPersonStruktur>
        <c:PersonCivilRegistrationIdentifier xmlns:c="{C}">0000000000</c:PersonCivilRegistrationIdentifier>
        <e:IndkomstOplysningSamling>
          <e:IndberetningPligtigVirksomhed>
            <e:IndberetningPligtigVirksomhedStruktur>
              <e:IndberetningPligtigVirksomhed>
                <v:VirksomhedSENummerIdentifikator xmlns:v="{V}">70000001</v:VirksomhedSENummerIdentifikator>
              </e:IndberetningPligtigVirksomhed>
            </e:IndberetningPligtigVirksomhedStruktur>
            <e:IndkomstLoenPeriodeSamling>
              <e:LoenPeriodeOplysningStruktur>
                <a:AngivelseVirksomhedEgenIdentifikator xmlns:a="{CLASS.format("angivelse")}">{own_id}</a:AngivelseVirksomhedEgenIdentifikator>
                <e:AngivelsePeriodeStruktur>
                  <a:AngivelsePeriode xmlns:a="{CLASS.format("angivelse")}">
                    <x:StartDate xmlns:x="{X06}">2023-01-01</x:StartDate>
                    <x:EndDate xmlns:x="{X0704}">2023-01-31</x:EndDate>
                  </a:AngivelsePeriode>
                </e:AngivelsePeriodeStruktur>
                <d:IndkomstPersonGruppeDispositionDato xmlns:d="{CLASS.format("indkomstpersongruppe")}">2023-01-31</d:IndkomstPersonGruppeDispositionDato>
                <e:SupplerendePersonOplysningStruktur>
                  <i:PersonName xmlns:i="{ITST}">Xenia Tojob</i:PersonName>
                  <s:SupplerendePersonOplysningFoedselTekst xmlns:s="{CLASS.format("supplerendepersonoplysning")}">0</s:SupplerendePersonOplysningFoedselTekst>
                  <g:PersonGenderCode xmlns:g="{DKCC}">unspecified</g:PersonGenderCode>
                  <e:AlternativAdresseStruktur xmlns:aa="{CLASS.format("alternativadresse")}">
                    <aa:AlternativAdresseAdresseLinie1>Simulatorvej 1</aa:AlternativAdresseAdresseLinie1>
                    <aa:AlternativAdresseAdresseLinie2/>
                    <aa:AlternativAdresseAdresseLinie3>9999 Ingensteds</aa:AlternativAdresseAdresseLinie3>
                    <l:LandKode xmlns:l="{CLASS.format("land")}" scheme="imk">5100</l:LandKode>
                  </e:AlternativAdresseStruktur>
                </e:SupplerendePersonOplysningStruktur>
                <e:AngivelseBlanketIndholdStruktur>
                  <e:AngivelseOplysningSamling>{form(1, "11000", income, earnings)}</e:AngivelseOplysningSamling>
                </e:AngivelseBlanketIndholdStruktur>
              </e:LoenPeriodeOplysningStruktur>
            </e:IndkomstLoenPeriodeSamling>
          </e:IndberetningPligtigVirksomhed>
        </e:IndkomstOplysningSamling>
      </e:IndkomstOplysningPersonStruktur>
    </e:IndkomstOplysningPersonSamling>
  </e:IndkomstPersonUddata>
</e:IndkomstOplysningPersonHent_O>"""  # noqa: E501 - as it is on the wire
    assert shape(got) == shape(etree.fromstring(expected))


def test_an_answer_is_of_the_content_type_of_soap_and_about_who_was_asked(send):
    answer = send("eindkomst")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/xml")
    assert re.findall(rb"PersonCivilRegistrationIdentifier>(\d+)<", answer.content) == [KNOWN.encode()]


@pytest.mark.parametrize("cpr", [citizens.STRANGER, citizens.EMPTY.cpr])
def test_of_whom_nothing_is_known_the_answer_has_neither_error_nor_persons(send, cpr):
    root = content(send("eindkomst", citizen=cpr))
    assert outcome(root) == NOTHING_SAID
    assert [etree.QName(child).localname for child in root] == ["HovedOplysningerSvar"]


def test_no_advis_is_sent_when_all_is_well(send):
    assert outcome(content(send("eindkomst"))) == NOTHING_SAID


def test_reports_of_one_company_stand_together_one_company_after_another(send):
    root = content(send("eindkomst"))
    (samling,) = root.iter(f"{{{E}}}IndkomstOplysningSamling")
    assert [texts(company, "VirksomhedSENummerIdentifikator") for company in samling] == [["11111111"], ["22222222"]]
    assert [len(texts(company, "AngivelsePeriode")) for company in samling] == [17 + 6, 8 + 2]


def test_reports_come_as_they_were_made_reversals_and_all(send):
    root = content(send("eindkomst", citizen=citizens.RAW_REPORTS.cpr))
    told = [fields(form) for form in forms(root, 1)]
    assert [form[11][1] for form in told] == ["I", "I", "T", "I", "I", "I"]
    assert [form.get(6, (6, None))[1] for form in told][-3:] == ["66666666", "66666666", None]
    assert [form[1][1] for form in told][-3:] == ["66666666", "66666674", "88888888"]


def test_an_income_type_has_no_nought_in_front(send):
    root = content(send("eindkomst", citizen=citizens.NOT_JOBS.cpr))
    assert [fields(form)[12][1] for form in forms(root, 1)] == ["1", "1", "4", "4", "6", "6", "7", "7"]


def test_hours_are_of_wages_alone(send):
    root = content(send("eindkomst", citizen=citizens.HOLIDAY_PAY.cpr))
    assert all(not {76, 96} & fields(form).keys() for form in forms(root, 3))


def test_a_report_that_was_taken_back_later_has_its_mark_and_no_other_has(send):
    root = content(send("eindkomst", citizen=citizens.REVERSED.cpr))
    marked = [fields(form).get(21) for form in forms(root, 2)]
    assert marked == [(10, "1"), *[None] * 8]


def test_a_later_correction_says_so_and_comes_with_its_tax_month(send):
    def corrected(root):
        return [(fields(form)[151], fields(form)[16]) for form in forms(root, 1) if 151 in fields(form)]

    def asked(first, last):
        return content(send("eindkomst", citizen=citizens.REVERSED.cpr, first=first, last=last))

    assert corrected(asked("202309", "202309")) == [((10, "1"), (9, "202309"))]
    assert texts(asked("202309", "202309"), "StartDate") == ["2023-05-01"]
    assert texts(asked("202305", "202305"), "StartDate") == []


def own_ids(root):
    return texts(root, "AngivelseVirksomhedEgenIdentifikator")


@EVERYBODY
def test_a_report_has_an_id_of_its_own_whatever_is_asked_for_beside_it(send, citizen):
    whole = own_ids(content(send("eindkomst", citizen=citizen.cpr)))
    given = [report.own_id for report in citizen.wages if report.own_id]
    made = [own_id for own_id in whole if own_id not in given]
    assert len(made) == len(set(made)) == len(citizen.wages) - len(given)
    assert own_ids(content(send("eindkomst", citizen=citizen.cpr))) == whole
    if citizen.wages:
        month = citizen.wages[-1].tax_month
        alone = own_ids(content(send("eindkomst", citizen=citizen.cpr, first=month, last=month)))
        assert alone
        assert set(alone) <= set(whole)


def test_two_citizens_reports_have_ids_of_their_own():
    one, other = (
        own_ids(content(answer_about(citizen.cpr, citizens.NEARLY_25.wages)))
        for citizen in (citizens.NEARLY_25, citizens.OUTSIDE)
    )
    assert not set(one) & set(other)


def test_a_bureau_reports_for_each_of_two_employers(send):
    root = content(send("eindkomst", citizen=citizens.TWO_EMPLOYERS_ONE_BUREAU.cpr))
    assert set(texts(root, "VirksomhedSENummerIdentifikator")) == {"70000001", "70000002"}
    assert {(fields(form)[1][1], fields(form)[6][1]) for form in forms(root, 1)} == {("70000009", "70000009")}
    assert set(texts(root, "AnsaettelseforholdMedarbejderIdentifikator")) == {"0417-2"}


def test_a_cvr_number_is_the_reporters_and_loses_its_noughts(send):
    root = content(send("eindkomst", citizen=citizens.SE_NUMBERS.cpr))
    told = [(fields(form)[1][1], fields(form)[6][1]) for form in forms(root, 1)]
    assert dict(told) == {"70000016": "70000008", "70000008": "70000008", "07000019": "7000001"}
    assert set(texts(root, "VirksomhedSENummerIdentifikator")) == {"70000016", "70000008", "07000019"}


def test_periods_are_told_as_they_were_reported(send):
    root = content(send("eindkomst", citizen=citizens.PERIODS.cpr))
    periods = [
        [(etree.QName(day).localname, day.text) for day in period] for period in root.iter("{*}AngivelsePeriode")
    ]
    assert periods == [
        [("StartDate", "2023-01-01")],
        [("EndDate", "2023-03-31")],
        [("StartDate", "2023-05-01"), ("DurationMeasure", "P1M")],
        [("DurationMeasure", "P1M"), ("EndDate", "2023-07-31")],
        [("StartDate", "2023-09-01"), ("DurationMeasure", "P14D")],
    ]


def test_one_of_forty_reports_has_no_forms(send):
    root = content(send("eindkomst", citizen=citizens.ONE_UNREADABLE.cpr))
    reports = list(root.iter("{*}LoenPeriodeOplysningStruktur"))
    assert (len(reports), len(forms(root, 1))) == (40, 39)


def test_300_reports_are_all_there(send):
    assert len(forms(content(send("eindkomst", citizen=citizens.MANY_REPORTS.cpr)), 1)) == 300


def test_an_advis_alone_is_no_person(send):
    root = content(send("eindkomst", citizen=citizens.ADVIS_ALONE.cpr))
    assert outcome(root) == {"Fejl": [], "Advis": ["100"]}
    assert len(root) == 1


def test_whoever_changed_number_is_answered_by_the_new_one(send):
    answer = send("eindkomst", citizen=citizens.CPR_CHANGER.cpr)
    assert re.findall(rb"PersonCivilRegistrationIdentifier>(\d+)<", answer.content) == [
        citizens.CPR_CHANGER.answered_as.encode()
    ]
    assert len(forms(content(answer), 1)) == 6


def test_every_month_of_a_job_is_a_report_of_its_own(send):
    answer = send("eindkomst", citizen=citizens.NEARLY_25.cpr)
    assert months(content(answer)) == [f"2024{month:02}" for month in range(1, 7)]


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [("202403", "202404", ["202403", "202404"]), ("202407", "202612", []), ("200801", "202401", ["202401"])],
)
def test_the_months_that_were_asked_for_are_answered_alone(send, first, last, found):
    assert months(content(send("eindkomst", citizen=citizens.NEARLY_25.cpr, first=first, last=last))) == found


def test_a_payer_can_be_asked_about_alone(send):
    root = content(send("eindkomst", ask(payer="22222222")))
    assert set(texts(root, "VirksomhedSENummerIdentifikator")) == {"22222222"}


def test_a_case_number_comes_back(send):
    root = content(send("eindkomst", ask(reference="J-<1>")))
    assert texts(root, "IndkomstOplysningAdgangReferenceNummerIdentifikator") == ["J-<1>"]


# Faults


def test_a_transaction_id_is_answered_once(send):
    assert outcome(content(send("eindkomst", request_id="r-1"))) == NOTHING_SAID
    repeated = content(send("eindkomst", request_id="r-1"))
    assert (outcome(repeated), len(repeated)) == ({"Fejl": ["500"], "Advis": []}, 1)
    assert outcome(content(send("eindkomst", request_id="r-2"))) == NOTHING_SAID


def test_a_transaction_id_that_had_no_success_may_come_again(control, send):
    control.fault("eindkomst", {"kind": "status", "status": 503, "times": 1})
    send("eindkomst", request_id="r-1")
    assert outcome(content(send("eindkomst", request_id="r-1"))) == NOTHING_SAID


@pytest.mark.parametrize(
    ("first", "last", "codes"), [("202401", "202412", []), ("202401", "202501", ["410"]), ("200801", "202611", ["410"])]
)
def test_more_than_a_year_at_once_can_be_refused(control, send, first, last, codes):
    control.fault("eindkomst", {"kind": "too_much"})
    assert outcome(content(send("eindkomst", first=first, last=last)))["Fejl"] == codes


def test_an_answer_can_be_too_long_for_a_long_range_alone(control, send):
    control.fault("eindkomst", {"kind": "huge", "mebibytes": 17, "over_months": 24})
    assert len(send("eindkomst", first="202001", last="202201").content) > 17 * 1024 * 1024
    assert len(send("eindkomst", first="202001", last="202112").content) < 1024 * 1024


@pytest.mark.parametrize("with_data", [False, True])
def test_an_advis_can_come_with_the_reports_and_without(control, send, with_data):
    whole = months(content(send("eindkomst")))
    control.fault("eindkomst", {"kind": "advis", "kode": "123", "with_data": with_data})
    root = content(send("eindkomst"))
    assert outcome(root) == {"Fejl": [], "Advis": ["123"]}
    assert months(root) == whole * with_data


def test_an_unknown_income_type_comes_in_one_more_report(control, send):
    before = [fields(form)[12][1] for form in forms(content(send("eindkomst")), 1)]
    control.fault("eindkomst", {"kind": "unknown_value"})
    after = [fields(form)[12][1] for form in forms(content(send("eindkomst")), 1)]
    assert sorted(after) == sorted([*before, "77"])


def test_an_empty_answer_has_neither_error_nor_persons(control, send):
    control.fault("eindkomst", {"kind": "empty"})
    root = content(send("eindkomst"))
    assert (outcome(root), len(root)) == (NOTHING_SAID, 1)


def test_no_report_says_of_which_type_it_is_when_the_agreement_lacks_that_field(control, send):
    before = [fields(form) for form in forms(content(send("eindkomst")), 1)]
    control.fault("eindkomst", {"kind": "missing_field"})
    after = [fields(form) for form in forms(content(send("eindkomst")), 1)]
    assert after == [{field: told for field, told in form.items() if field != 12} for form in before]
    assert all(12 in form for form in before)


def test_one_report_is_damaged_and_the_others_are_well(control, send):
    before = [shape(report) for report in content(send("eindkomst")).iter("{*}LoenPeriodeOplysningStruktur")]
    control.fault("eindkomst", {"kind": "damaged"})
    damaged, *others = content(send("eindkomst")).iter("{*}LoenPeriodeOplysningStruktur")
    assert [shape(report) for report in others] == before[1:]
    assert [len(period) for period in damaged.iter("{*}AngivelsePeriode")] == [0]
    assert len(forms(damaged, 1)) == 1


def test_without_what_is_not_declared_an_answer_with_it_is_the_same(control, send):
    def without_time(root):
        for moment in root.iter(f"{{{K}}}TransaktionTid", f"{{{K}}}TransaktionIdentifikator"):
            moment.text = ""
        return shape(root)

    plain = without_time(content(send("eindkomst")))
    control.fault("eindkomst", {"kind": "undeclared"})
    root = content(send("eindkomst"))
    assert len(list(root.iter("{urn:simulated}*"))) > 1
    assert len([element for element in root.iter() if "scheme" in element.attrib]) > 2
    for element in list(root.iter()):
        element.attrib.pop("scheme", None)
        if etree.QName(element).namespace == "urn:simulated":
            element.getparent().remove(element)
    assert without_time(root) == plain


@pytest.mark.parametrize(("cpr", "refused"), [(KNOWN, True), ("0000000000", False)])
def test_a_replacement_number_can_be_refused_as_the_schema_refuses_it(control, send, cpr, refused):
    assert send("eindkomst", citizen=cpr).status_code == 200
    control.fault("eindkomst", {"kind": "strict_cpr"})
    answer = send("eindkomst", citizen=cpr)
    assert answer.status_code == (500 if refused else 200)
    assert (fault(answer) == ("soap:Client", "schema validation failed: PersonCivilRegistrationIdentifier")) == refused
    assert control.calls("eindkomst").calls[-1].broke_contract is None


# Questions


def fault(answer):
    """Code and text of a SOAP Fault; None when it is none."""
    body = body_of(answer.content)
    code, text = (body.findtext(f"{{{SOAP}}}Fault/{name}") for name in ("faultcode", "faultstring"))
    return None if code is None else (code, text)


STAFF, CASE = "indkomstoplysningadgangmedarbejderidentifikator", "indkomstoplysningadgangreferencenummer"


def question(request_id, *, reference="J-1", payer=None):
    """A question with everything that it may have, in the names of the published schemas."""
    only = f"""
      <e:IndberetningPligtigVirksomhedStruktur><e:IndberetningPligtigVirksomhed>
        <v:VirksomhedSENummerIdentifikator>{payer}</v:VirksomhedSENummerIdentifikator>
      </e:IndberetningPligtigVirksomhed></e:IndberetningPligtigVirksomhedStruktur>"""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<soap:Envelope xmlns:soap="{SOAP}" xmlns:e="{E}" xmlns:k="{K}" xmlns:v="{V}" xmlns:c="{C}">
<soap:Header/>
<soap:Body>
<e:IndkomstOplysningPersonHent_I>
  <k:HovedOplysninger>
    <k:TransaktionIdentifikator>{request_id}</k:TransaktionIdentifikator>
    <k:TransaktionTid>2026-11-23T12:00:00.000+01:00</k:TransaktionTid>
  </k:HovedOplysninger>
  <e:IndkomstOplysningPersonInddata>
    <e:AbonnentAdgangStruktur>
      <a:AbonnentTypeKode xmlns:a="{CLASS.format("abonnenttype")}">3153</a:AbonnentTypeKode>
      <a:AbonnementTypeKode xmlns:a="{CLASS.format("abonnementtype")}">3153</a:AbonnementTypeKode>
      <a:AdgangFormaalTypeKode xmlns:a="{CLASS.format("adgangformaaltype")}">171</a:AdgangFormaalTypeKode>
    </e:AbonnentAdgangStruktur>
    <e:AbonnentStruktur>
      <e:AbonnentVirksomhedStruktur>
        <e:AbonnentVirksomhed>
          <v:VirksomhedSENummerIdentifikator>12345678</v:VirksomhedSENummerIdentifikator>
        </e:AbonnentVirksomhed>
      </e:AbonnentVirksomhedStruktur>
      <s:IndkomstOplysningAdgangMedarbejderIdentifikator xmlns:s="{CLASS.format(STAFF)}">RID-1</s:IndkomstOplysningAdgangMedarbejderIdentifikator>
    </e:AbonnentStruktur>
    <e:IndkomstOplysningValg>
      <e:IndkomstPersonSamling>
        <e:PersonIndkomstSoegeStruktur>
          <c:PersonCivilRegistrationIdentifier>6102991234</c:PersonCivilRegistrationIdentifier>
          <r:IndkomstOplysningAdgangReferenceNummerIdentifikator xmlns:r="{CLASS.format(CASE)}">{reference.replace("<", "&lt;")}</r:IndkomstOplysningAdgangReferenceNummerIdentifikator>{only if payer else ""}
          <e:SoegeAarMaanedLukketStruktur>
            <m:SoegeAarMaanedFraKode xmlns:m="{CLASS.format("soegeaarmaanedfrakode")}">200801</m:SoegeAarMaanedFraKode>
            <m:SoegeAarMaanedTilKode xmlns:m="{CLASS.format("soegeaarmaanedtilkode")}">202611</m:SoegeAarMaanedTilKode>
          </e:SoegeAarMaanedLukketStruktur>
        </e:PersonIndkomstSoegeStruktur>
      </e:IndkomstPersonSamling>
    </e:IndkomstOplysningValg>
  </e:IndkomstOplysningPersonInddata>
</e:IndkomstOplysningPersonHent_I>
</soap:Body>
</soap:Envelope>""".encode()  # noqa: E501 - as it is on the wire


def ask(change=None, **about):
    """The question as a call, after `change` was made to its envelope."""
    right = call("eindkomst")
    content = question(right.headers["x-requestId"], **about)
    if change is not None:
        envelope = etree.fromstring(content)
        change(envelope)
        content = etree.tostring(envelope)
    return right.but(content=content)


def elements():
    """Every element of the question, without the envelope."""
    return [
        element.tag for element in etree.fromstring(question("r", payer="11111111")).find(f"{{{SOAP}}}Body").iter()
    ][1:]


OPTIONAL = {
    "IndkomstOplysningAdgangMedarbejderIdentifikator", "IndkomstOplysningAdgangReferenceNummerIdentifikator",
    "IndberetningPligtigVirksomhedStruktur", "TransaktionTid",
}  # fmt: skip
EVERY_ELEMENT = pytest.mark.parametrize("name", dict.fromkeys(elements()), ids=lambda name: name.rpartition("}")[2])


def first(envelope, name):
    return next(envelope.iter(name))


def assert_refused(control, answer, text="schema validation failed: "):
    """Refused as the gateway does it, naming an element, and noted."""
    code, said = fault(answer)
    assert (answer.status_code, code) == (500, "soap:Client")
    assert said.startswith(text)
    assert re.fullmatch("[A-Za-z0-9_]+", said.removeprefix(text))
    assert control.calls("eindkomst").calls[-1].broke_contract == said
    assert KNOWN not in said


def test_a_question_with_everything_is_taken_and_valid_by_the_published_schemas(published, send):
    answer = send("eindkomst", ask(payer="11111111"))
    assert (answer.status_code, fault(answer)) == (200, None)
    published.assertValid(content(ask(payer="11111111").content))


def test_the_published_address_is_where_the_service_is(simulation, send):
    assert httpx.URL(simulation.urls["eindkomst"]).path == ADDRESS
    assert send("eindkomst").status_code == 200


@pytest.mark.parametrize("path", ["/", "/?wsdl=1/", "//"])
def test_a_slash_too_many_is_not_found(control, send, path):
    assert send("eindkomst", call("eindkomst").but(path=path)).status_code == 404
    assert "not POST" in control.calls("eindkomst").calls[-1].broke_contract


@pytest.mark.parametrize("path", ["", "/", "/vericert/services", ADDRESS.lower(), f"/{ADDRESS}"])
def test_another_address_is_not_found(simulation, control, path):
    right = call("eindkomst")
    origin = simulation.urls["eindkomst"].removesuffix(ADDRESS)
    assert Call("POST", path, right.headers, right.content).send(origin).status_code == 404


@EVERY_ELEMENT
def test_a_question_with_an_element_of_another_name_is_refused(control, send, name):
    def change(envelope):
        first(envelope, name).tag = f"{name}X"

    assert_refused(control, send("eindkomst", ask(change, payer="11111111")))


@EVERY_ELEMENT
def test_a_question_with_an_element_of_another_namespace_is_refused(control, send, name):
    def change(envelope):
        first(envelope, name).tag = name.replace("{http://rep", "{http://other")

    assert_refused(control, send("eindkomst", ask(change, payer="11111111")))


@EVERY_ELEMENT
def test_a_question_without_an_element_that_it_needs_is_refused(control, send, name):
    local = name.rpartition("}")[2]

    def change(envelope):
        gone = first(envelope, name)
        gone.getparent().remove(gone)

    answer = send("eindkomst", ask(change, payer="11111111"))
    if local in OPTIONAL:
        assert answer.status_code == 200
    elif local in {"IndkomstOplysningPersonHent_I", "TransaktionIdentifikator", "SoegeAarMaanedLukketStruktur"}:
        # The schema itself does not ask for these; the service does.
        assert (answer.status_code, fault(answer)[0]) == (500, "soap:Client")
    else:
        assert_refused(control, answer)


@EVERY_ELEMENT
def test_a_question_with_an_element_twice_is_refused(control, send, name):
    def change(envelope):
        twice = first(envelope, name)
        twice.addnext(copy.deepcopy(twice))

    answer = send("eindkomst", ask(change, payer="11111111"))
    assert (answer.status_code, fault(answer)[0]) == (500, "soap:Client")


@pytest.mark.parametrize(
    "parent",
    [
        "IndkomstOplysningPersonHent_I", "HovedOplysninger", "IndkomstOplysningPersonInddata", "AbonnentAdgangStruktur",
        "AbonnentStruktur", "PersonIndkomstSoegeStruktur", "SoegeAarMaanedLukketStruktur",
    ],
)  # fmt: skip
def test_a_question_in_another_order_is_refused(control, send, parent):
    def change(envelope):
        turned = first(envelope, f"{{*}}{parent}")
        turned[:] = list(reversed(turned))

    assert_refused(control, send("eindkomst", ask(change)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("AbonnentTypeKode", "A"),
        ("AbonnementTypeKode", ""),
        ("AdgangFormaalTypeKode", "1.5"),
        ("VirksomhedSENummerIdentifikator", "1234567"),
        ("VirksomhedSENummerIdentifikator", "123456789"),
        ("PersonCivilRegistrationIdentifier", "610299-1234"),
        ("PersonCivilRegistrationIdentifier", "3202991234"),
        ("PersonCivilRegistrationIdentifier", "3002991234"),
        ("PersonCivilRegistrationIdentifier", "9202991234"),
        ("PersonCivilRegistrationIdentifier", "610299123"),
        ("SoegeAarMaanedFraKode", "2008-01"),
        ("SoegeAarMaanedTilKode", "x"),
        ("TransaktionTid", "today"),
    ],
)
def test_a_question_whose_text_is_not_of_its_type_is_refused_by_name(control, send, name, text):
    def change(envelope):
        first(envelope, f"{{*}}{name}").text = text

    answer = send("eindkomst", ask(change))
    assert_refused(control, answer)
    assert fault(answer)[1] == f"schema validation failed: {name}"


@pytest.mark.parametrize("number", ["0102991234", "3112991234", "2902991234", "0000000000", "6102991234", "9112991234"])
def test_a_number_of_the_pattern_and_a_replacement_number_are_taken(send, number):
    assert send("eindkomst", citizen=number).status_code == 200


def test_an_attribute_that_no_schema_has_is_refused(control, send):
    def change(envelope):
        first(envelope, "{*}AbonnentTypeKode").set("scheme", "imk")

    assert_refused(control, send("eindkomst", ask(change)))


@pytest.mark.parametrize(("first", "last"), [("200813", "202611"), ("202701", "202611"), ("2008", "202611")])
def test_months_that_are_no_range_are_refused(control, send, first, last):
    assert_no_question(control, send("eindkomst", first=first, last=last), "the months are no range of yyyymm")


def assert_no_question(control, answer, what, status=500):
    assert (answer.status_code, fault(answer)) == (status, ("soap:Client", what))
    assert control.calls("eindkomst").calls[-1].broke_contract == what


@pytest.mark.parametrize(
    ("headers", "what", "status"),
    [
        ({"SOAPAction": None}, "SOAPAction is wrong", 500),
        ({"SOAPAction": '"urn:other"'}, "SOAPAction is wrong", 500),
        ({"SOAPAction": "getIndkomstOplysningPersonHent"}, "SOAPAction is wrong", 500),
        ({"Content-Type": "application/soap+xml"}, "Content-Type is not text/xml", 415),
        ({"Content-Type": None}, "Content-Type is not text/xml", 415),
        ({"x-requestId": "another"}, "TransaktionIdentifikator is not the request id", 500),
    ],
)
def test_a_header_that_is_not_of_the_contract_is_refused_and_noted(control, send, headers, what, status):
    assert_no_question(control, send("eindkomst", call("eindkomst").but(headers)), what, status)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (b"</s:Envelope>", b"", "the body is not XML"),
        (b"<s:Envelope", b'<!DOCTYPE x [<!ENTITY a "b">]><s:Envelope', "the body is no SOAP 1.1 envelope"),
        (
            b"http://schemas.xmlsoap.org/soap/envelope/",
            b"http://www.w3.org/2003/05/soap-envelope",
            "the body is no SOAP 1.1 envelope",
        ),
        (b"<s:Body>", b"<s:Header/><s:Header/><s:Body>", "the envelope is not a Header, if any, and a Body"),
        (b"</s:Body>", b"</s:Body><s:Body/>", "the envelope is not a Header, if any, and a Body"),
        (b"<s:Body>", b"<s:Body><e:Other/>", "the Body is not one question"),
    ],
)
def test_what_is_no_envelope_of_one_question_is_refused_and_noted(control, send, old, new, what):
    right = call("eindkomst")
    assert old in right.content
    assert_no_question(control, send("eindkomst", right.but(content=right.content.replace(old, new))), what)


def test_a_search_by_pay_period_is_of_the_schema_and_not_simulated(control, send):
    def change(envelope):
        months = first(envelope, "{*}SoegeAarMaanedLukketStruktur")
        period = etree.SubElement(months.getparent(), f"{{{E}}}SoegePeriodeLukketStruktur")
        etree.SubElement(etree.SubElement(period, f"{{{X07}}}DateInterval"), f"{{{X06}}}StartDate").text = "2023-01-01"
        months.addprevious(period)

    assert_no_question(control, send("eindkomst", ask(change)), "only searches by tax month are simulated")
