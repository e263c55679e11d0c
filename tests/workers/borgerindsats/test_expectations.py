"""What Borgerindsats is expected to answer: which parts are published, and what decides the others."""

import pytest

from domain.cpr import Cpr
from registerbro.conformance.comparison import compare
from registerbro.conformance.expectations import Asked, Evidence, Mark, Verdict
from registerbro.conformance.json_shape import node
from tests.expectations import marks_of
from tests.workers.borgerindsats.conftest import ACTIVITIES_PATH, ACTIVITY, ENTRY, JOBLOG_PATH, activities, joblog
from tests.workers.dfdg_gateway.service import asking
from workers.borgerindsats.expectations import OPERATIONS

ACTIVITIES, JOBLOG = OPERATIONS
CPR = Cpr("6102991234")
ITEM = "aktiviteter.AktivitetOpsummering.aktivitet[]"


def seen(operation, body):
    root = node("", body)
    return Evidence(200, None, "", compare(operation.expected, root, CPR), None, root)


def assumed(operation):
    return {path for path, mark in marks_of(operation.expected).items() if mark is Mark.ASSUMED}


def test_of_an_activity_id_and_title_are_assumed_and_of_the_joblog_that_it_is_a_list():
    assert assumed(ACTIVITIES) == {f"{ITEM}.aktivitetIdentifier", f"{ITEM}.navn"}
    assert assumed(JOBLOG) == {"jobsoegningslogning[]"}
    assert {mark for one in OPERATIONS for mark in marks_of(one.expected).values()} == {Mark.PUBLISHED, Mark.ASSUMED}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (ACTIVITIES, activities(ACTIVITY)),
        (ACTIVITIES, activities()),
        (ACTIVITIES, {}),
        (JOBLOG, joblog(ENTRY, ENTRY | {"joblogdokumenter": {"dokument": [{"navn": "CV"}]}})),
        (JOBLOG, joblog()),
    ],
)
def test_an_answer_of_the_contract_has_nothing_wrong_and_nothing_unknown(operation, body):
    fields = seen(operation, body).fields
    assert [path for path, one in fields.items() if one.is_wrong or one.mark is None] == []


@pytest.mark.parametrize(
    ("operation", "body", "verdict", "told"),
    [
        (ACTIVITIES, {}, Verdict.NOT_SEEN, ""),
        (ACTIVITIES, activities(ACTIVITY), Verdict.HOLDS, ""),
        (ACTIVITIES, activities({"id": "x", "startdato": "2023-03-01"}), Verdict.FAILS, f"{ITEM}.aktivitetIdentifier"),
        (ACTIVITIES, activities(ACTIVITY | {"startdato": 1}), Verdict.HOLDS, ""),
        (JOBLOG, joblog(ENTRY), Verdict.HOLDS, ""),
        (JOBLOG, joblog(), Verdict.HOLDS, ""),
        (JOBLOG, {"jobsoegningslogning": ENTRY}, Verdict.FAILS, "jobsoegningslogning[]"),
        (JOBLOG, {}, Verdict.FAILS, "jobsoegningslogning[]"),
    ],
)
def test_an_assumption_is_decided_by_what_was_seen(operation, body, verdict, told):
    assert operation.assumptions[1].decide(seen(operation, body)) == (verdict, told)


async def test_each_operation_asks_at_its_own_path(service, make_settings):
    settings = make_settings(BORGERINDSATS__JOBLOG_PATH="/v9/Joblog")
    service.answers["/v9/Joblog"] = service.answers.pop(JOBLOG_PATH)
    async with asking(service, ACTIVITIES_PATH) as upstream:
        for operation in OPERATIONS:
            assert await operation.call(Asked(upstream, settings, CPR, "id", None)) is not None
    assert [path for _, path, _ in service.asked] == [ACTIVITIES_PATH, "/v9/Joblog"]
