"""The expected tree of eIndkomst, held against what the simulator sends and against the published schemas' names."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from lxml import etree

from config.settings import EindkomstSettings
from domain.cpr import Cpr
from registerbro.conformance.calls import Exchanged, problems
from registerbro.conformance.comparison import compare
from registerbro.conformance.constructed import Constructed, replace_in_element
from registerbro.conformance.expectations import Asked, Evidence, Mark, Result, Verdict
from registerbro.conformance.recording import Replay, record
from registerbro.upstreams.errors import BadRequest
from registerbro.upstreams.messages import Answer, Question
from registerbro.upstreams.observation import Observed
from simulators.citizens import CITIZENS
from simulators.eindkomst_answer import Outcome, Person, answer, soap_fault
from simulators.register_data import Wages
from tests.expectations import marks_of
from workers.eindkomst import wire
from workers.eindkomst.expectations import OPERATIONS, is_code

(OPERATION,) = OPERATIONS
PUBLISHED = Path(__file__).parent / "published"
ME = Cpr("6102991234")
SAID = Outcome("abc", "2026-11-30T10:00:00.000Z")


def wages(**more):
    return Wages("11111111", date(2020, 1, 1), date(2020, 1, 31), **more)


def sent(envelope, status=200):
    return Answer(status, "text/xml", "utf-8", etree.tostring(envelope))


def answered(*reports, outcome=SAID, cpr=ME):
    return sent(answer(outcome, [Person(cpr.digits, reports)] if reports else []))


def seen(one):
    return compare(OPERATION.expected, OPERATION.shape(one), ME)


def decided(one, error=None):
    root = OPERATION.shape(one)
    evidence = Evidence(one.status, error, "", seen(one), one, root)
    return {assumption.text[:20]: assumption.decide(evidence) for assumption in OPERATION.assumptions}


@pytest.mark.parametrize("citizen", [one for one in CITIZENS if one.wages], ids=lambda one: one.name)
def test_no_answer_of_the_simulator_has_an_unknown_element(citizen):
    found = seen(sent(answer(SAID, [Person(citizen.cpr, citizen.wages, "case-1")])))
    assert [path for path, one in found.items() if one.mark is None] == []
    wrong = {path.rpartition(".")[2] for path, one in found.items() if one.is_wrong}
    # Some reports lack what they should have, which is what these citizens are there for.
    assert wrong <= {"PersonCivilRegistrationIdentifier", "field 011", "field 012"}


def test_every_expected_element_is_in_the_published_schemas():
    schemas = [PUBLISHED.with_suffix(".xsd"), *sorted(PUBLISHED.rglob("*.xsd"))]
    text = "".join(path.read_text("utf-8") for path in schemas)
    declared = set(re.findall(r'(?:name|ref)="(?:\w+:)?(\w+)"', text))
    paths = [path for path in marks_of(OPERATION.expected) if ".form " not in path]
    names = {path.rpartition(".")[2] for path in paths} - {"Header", "Body"}
    assert names - declared == set()


def test_elements_are_published_and_fields_of_forms_are_likely():
    marks = marks_of(OPERATION.expected)
    likely = {path for path, mark in marks.items() if mark is Mark.LIKELY}
    assert {path.rpartition(".")[2] for path in likely} == {
        "form 11000", "form 16000", "field 001", "field 006", "field 011", "field 012", "field 021",
    }  # fmt: skip
    assert {mark for path, mark in marks.items() if path not in likely} == {Mark.PUBLISHED}


def test_a_field_that_the_agreement_does_not_deliver_is_named_by_its_number():
    envelope = answer(SAID, [Person(ME.digits, (wages(),))])
    for field in list(envelope.iter("{*}AngivelseFeltIndholdStruktur")):
        if field.findtext(".//{*}BlanketFeltNummerIdentifikator") == f"1{12:017}":
            field.getparent().remove(field)
    found = seen(sent(envelope))
    assert [path.rpartition("form ")[2] for path, one in found.items() if one.is_missing] == ["11000.field 012"]


def test_an_unknown_type_of_income_is_told_by_its_number():
    found = seen(answered(wages(income_type="77")))
    assert [one.unknown_codes for path, one in found.items() if path.endswith("field 012")] == [{"77"}]


@pytest.mark.parametrize("kind", ["00", "0", "03", "29"])
def test_a_known_type_of_income_may_have_a_nought_in_front(kind):
    assert not any(one.unknown_codes for one in seen(answered(wages(income_type=kind))).values())


def test_a_code_of_an_error_decides_whether_it_is_in_the_list():
    known = decided(answered(outcome=replace(SAID, fejl="410")))["a FejlIdentifikator "]
    other = decided(answered(outcome=replace(SAID, fejl="10150817")))["a FejlIdentifikator "]
    assert (known, other) == ((Verdict.HOLDS, "410"), (Verdict.FAILS, "?"))
    assert decided(answered())["a FejlIdentifikator "][0] is Verdict.NOT_SEEN


def test_a_reversal_tells_which_own_id_it_carries():
    same = decided(answered(wages(own_id="A"), wages(own_id="A", kind="T")))["a reversal carries t"]
    new = decided(answered(wages(own_id="A"), wages(own_id="B", kind="T")))["a reversal carries t"]
    assert same == (Verdict.HOLDS, "the own id of what it takes back")
    assert new == (Verdict.HOLDS, "an own id that no report has")
    assert decided(answered(wages()))["a reversal carries t"][0] is Verdict.NOT_SEEN


def test_income_type_2_is_never_decided_by_an_answer_and_is_told_when_it_is_there():
    verdict, told = decided(answered(wages(income_type="2")))["income type 2 is no "]
    assert verdict is Verdict.NOT_SEEN
    assert "compare" in told


def test_a_fault_about_the_schema_decides_how_it_says_so():
    fault = sent(soap_fault("soap:Client", "cvc-pattern-valid"), 500)
    assert decided(fault)["a schema fault names"][0] is Verdict.HOLDS
    assert decided(fault, BadRequest("SOAP Fault Client"))["a schema fault names"][0] is Verdict.NOT_SEEN
    assert decided(answered(wages()))["a schema fault names"][0] is Verdict.NOT_SEEN


async def test_the_question_goes_back_as_far_as_is_wished():
    class Asking(Replay):
        async def ask(self, exchange):
            self.body = exchange.question("abc").body.decode()
            return exchange.read(self._answer)

    upstream = Asking(answered(wages()))
    asked = Asked(upstream, SimpleNamespace(eindkomst=EindkomstSettings()), ME, "id", date(2026, 11, 30))
    assert len((await OPERATION.call(asked)).read) == 1
    assert ">200801<" in upstream.body
    await OPERATION.call(replace(asked, months=3))
    assert ">202609<" in upstream.body
    assert ">202611<" in upstream.body


async def test_an_answer_without_persons_is_no_data():
    asked = Asked(Replay(answered()), SimpleNamespace(eindkomst=EindkomstSettings()), ME, "id", date(2026, 11, 30))
    assert await OPERATION.call(asked) is None


def test_without_certificates_a_signature_is_not_looked_at():
    asked = Asked(None, SimpleNamespace(eindkomst=EindkomstSettings()), ME, "id", date(2026, 11, 30))
    found = OPERATION.signature(asked, answered(wages()))
    assert (found.algorithms, found.is_verified) == ((), None)
    broken = Answer(200, "text/xml", "utf-8", b"<")
    assert OPERATION.signature(asked, broken).detail == "the answer cannot be parsed"
    assert OPERATION.shape(broken) is None


def test_a_recording_keeps_the_codes_of_fields_and_faults_and_no_amount():
    root = wire.parse(answered(wages(kind="T", income_type="3")))
    kept = {element: is_code(element) for element in root.iter(etree.Element)}
    assert sorted(element.text for element, stays in kept.items() if stays) == ["3", "T"]
    replace_in_element(Constructed(ME), root, OPERATION.expected, kept)
    text = etree.tostring(root, encoding="unicode")
    assert [number for number in ("11000", "16000", "100000000000000012", "100000014") if number not in text] == []
    assert [value for value in ("18500.00", "11111111", "2020-01-31", ME.digits) if value in text] == []
    fault = soap_fault("soap:Client", "text")
    assert [is_code(one) for one in fault.iter("faultcode", "faultstring")] == [True, False]


WHOLE = (wages(names_person=True, staff="7"), wages(own_id="B", kind="T", reporter="33333333"))
PLANTED = "Rosenkilde 040506-1234"


def planted_answers():
    """An answer for each of its elements, with something personal in place of the element's text."""
    count = sum(1 for _ in answer(replace(SAID, advis="1"), [Person(ME.digits, WHOLE)]).iter(etree.Element))
    for at in range(count):
        envelope = answer(replace(SAID, advis="1"), [Person(ME.digits, WHOLE)])
        element = list(envelope.iter(etree.Element))[at]
        if not len(element):
            element.text = PLANTED
            element.set("who", PLANTED)
            yield sent(envelope)


async def test_wherever_something_personal_stands_no_report_and_no_recording_holds_it():
    asked = Asked(None, SimpleNamespace(eindkomst=EindkomstSettings()), ME, "id", date(2026, 11, 30))
    tried = 0
    for one in planted_answers():
        fields = seen(one)
        told = [*fields, *(repr(field) + " ".join(problems(field)) for field in fields.values()), repr(decided(one))]
        exchange = Observed("http://x", Question("POST", "", {}))
        exchange.receive_head(200, [])
        exchange.receive(one)
        recorded = await record("eindkomst", OPERATION, Exchanged(exchange), asked, Result.NOTHING)
        for secret in ("Rosenkilde", "040506", "1234 "):
            assert secret not in " ".join(told)
            assert secret not in recorded
        tried += 1
    assert tried > 100
