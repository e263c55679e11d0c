"""What getYdelses is expected to answer: the published part, and what is assumed beside it."""

import pytest

from domain.cpr import Cpr
from domain.rules import DEFAULT_RULES
from registerbro.conformance.comparison import compare
from registerbro.conformance.expectations import Evidence, Mark, Verdict
from registerbro.conformance.json_shape import node
from tests.expectations import marks_of
from workers.ydelse.expectations import OPERATIONS

(OPERATION,) = OPERATIONS
ME = "6102991234"
PUBLISHED = {"civilRegistrationIdentifier": ME, "startdato": "2021-03-01", "kontaktgruppeType": 12}
WHOLE = PUBLISHED | {"ydelsestype": "DAGPENGE", "samtidigJob": True}


def decided(*items):
    root = node("", {"ydelser": {"ydelse": list(items)}})
    evidence = Evidence(200, None, "", compare(OPERATION.expected, root, Cpr(ME)), None, root)
    _, type_and_job, by_group, _ = (one.decide(evidence) for one in OPERATION.assumptions)
    return type_and_job, by_group


def test_type_and_job_are_assumed_and_the_rest_is_published():
    marks = marks_of(OPERATION.expected)
    assumed = {"ydelser.ydelse[].ydelsestype", "ydelser.ydelse[].samtidigJob"}
    assert {path for path, mark in marks.items() if mark is Mark.ASSUMED} == assumed
    assert {mark for path, mark in marks.items() if path not in assumed} == {Mark.PUBLISHED}


def test_the_known_types_are_those_of_the_rules():
    assert OPERATION.expected.find("ydelser").find("ydelse").find("ydelsestype").codes == {
        row.key for row in DEFAULT_RULES.benefits.rows
    }


@pytest.mark.parametrize(
    ("items", "verdict", "seen"),
    [
        ([], Verdict.NOT_SEEN, ""),
        ([WHOLE], Verdict.HOLDS, ""),
        ([PUBLISHED], Verdict.FAILS,
         "ydelser.ydelse[].ydelsestype is not there, ydelser.ydelse[].samtidigJob is not there"),
        ([WHOLE | {"samtidigJob": "ja"}], Verdict.FAILS, "ydelser.ydelse[].samtidigJob is of another form"),
        ([WHOLE | {"ydelsestype": "BORGERLOEN"}], Verdict.FAILS, "ydelser.ydelse[].ydelsestype: BORGERLOEN"),
    ],
)  # fmt: skip
def test_type_and_job_are_decided_by_what_the_periods_have(items, verdict, seen):
    assert decided(*items)[0] == (verdict, seen)


def test_the_benefit_of_a_contact_group_is_never_decided_and_is_told_when_it_hangs_on_that():
    assert decided(WHOLE)[1] == (Verdict.NOT_SEEN, "")
    verdict, told = decided(PUBLISHED)[1]
    assert verdict is Verdict.NOT_SEEN
    assert told.startswith("no period has a type: ")
