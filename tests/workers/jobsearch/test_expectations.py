"""What JobSearch is expected to answer: an item as it is written is published, and its times are assumed."""

import pytest

from domain.cpr import Cpr
from registerbro.conformance.comparison import compare
from registerbro.conformance.expectations import Asked, Evidence, Mark, Verdict
from registerbro.conformance.json_shape import node
from tests.expectations import marks_of
from tests.workers.dfdg_gateway.service import asking
from tests.workers.jobsearch.conftest import CURRENT_PATH, FORMER, HISTORY_PATH, TITLE
from workers.jobsearch.expectations import OPERATIONS

CURRENT, HISTORY = OPERATIONS
CPR = Cpr("6102991234")
AS_WRITTEN = {f"joboensker[].{name}" for name in ("conceptUriDa", "aliasIdentifier", "harUddannelse", "aarSidstBrugt")}


def seen(operation, *items):
    root = node("", {"joboensker": list(items)})
    return Evidence(200, None, "", compare(operation.expected, root, CPR), None, root)


def test_of_a_current_title_what_is_written_is_published_and_of_a_former_one_nothing():
    marks = marks_of(CURRENT.expected)
    assert {path for path, mark in marks.items() if mark is Mark.PUBLISHED} == AS_WRITTEN
    assert {path for path, mark in marks.items() if mark is Mark.ASSUMED} == {
        "joboensker[]", "joboensker[].oprettelsestidspunkt",
    }  # fmt: skip
    assert set(marks_of(HISTORY.expected).values()) == {Mark.ASSUMED}


@pytest.mark.parametrize(("operation", "item"), [(CURRENT, TITLE), (HISTORY, TITLE), (HISTORY, FORMER)])
def test_an_item_of_the_contract_has_nothing_wrong_and_nothing_unknown(operation, item):
    fields = seen(operation, item).fields
    assert [path for path, one in fields.items() if one.is_wrong or one.mark is None] == []


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("items", "verdict", "told"),
    [
        ([], Verdict.NOT_SEEN, ""),
        ([TITLE], Verdict.HOLDS, ""),
        ([TITLE | {"oprettelsestidspunkt": "2022-05-01"}], Verdict.FAILS, "joboensker[].oprettelsestidspunkt"),
        ([{"titel": "Kok"}], Verdict.FAILS, "joboensker[].conceptUriDa"),
    ],
)
def test_the_form_of_an_item_is_decided_by_those_that_were_seen(operation, items, verdict, told):
    assert operation.assumptions[0].decide(seen(operation, *items)) == (verdict, told)


async def test_each_operation_asks_at_its_own_path(service, make_settings):
    settings = make_settings(JOBSEARCH__HISTORY_PATH="/v9/historik")
    service.answers["/v9/historik"] = service.answers.pop(HISTORY_PATH)
    async with asking(service, CURRENT_PATH) as upstream:
        for operation in OPERATIONS:
            assert await operation.call(Asked(upstream, settings, CPR, "id", None)) is not None
    assert [path for _, path, _ in service.asked] == [CURRENT_PATH, "/v9/historik"]
