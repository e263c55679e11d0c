"""What VisiteringOgStatus is expected to answer: fields as they are written, in lists that are assumed."""

import pytest

from domain.cpr import Cpr
from registerbro.conformance.comparison import compare
from registerbro.conformance.expectations import Asked, Evidence, Mark, Verdict
from registerbro.conformance.json_shape import node
from tests.expectations import marks_of
from tests.workers.dfdg_gateway.service import asking
from tests.workers.visitering.conftest import ABSENCE, ABSENCES_PATH, GROUP, STATUS_PATH, status
from workers.visitering.expectations import OPERATIONS

GROUPS, ABSENCES = OPERATIONS
CPR = Cpr("6102991234")
WHOLE_GROUP = GROUP | {
    "kontaktgruppeIdentifier": ABSENCE["fravaerIdentifier"], "Haendelsestidspunkt": "2021-03-02T10:00:00+01:00",
    "Sluttidspunkt": "2023-03-02T10:00:00+01:00",
}  # fmt: skip
WHOLE_ABSENCE = ABSENCE | {"fravaersKommentar": "Rejse", "fravaersAfslutningsAarsag": 1}


def seen(operation, body):
    root = node("", body)
    return Evidence(200, None, "", compare(operation.expected, root, CPR), None, root)


def decided(operation, body, place=0):
    return operation.assumptions[place].decide(seen(operation, body))


def problems(operation, body):
    return [path for path, one in seen(operation, body).fields.items() if one.is_wrong or one.mark is None]


def test_what_is_written_of_an_item_is_published_and_its_list_is_assumed():
    for operation, name in ((GROUPS, "kontaktgrupper[]"), (ABSENCES, "fravaer[]")):
        marks = marks_of(operation.expected)
        assert marks[name] is Mark.ASSUMED
        assert {mark for path, mark in marks.items() if path.startswith(f"{name}.")} == {Mark.PUBLISHED}
    assert marks_of(GROUPS.expected)["personkategorier[]"] is Mark.ASSUMED


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (GROUPS, status(GROUP, WHOLE_GROUP)),
        (GROUPS, status()),
        (GROUPS, {"kontaktgrupper": [GROUP]}),
        (ABSENCES, {"fravaer": [ABSENCE, WHOLE_ABSENCE]}),
        (ABSENCES, {"fravaer": []}),
    ],
)
def test_an_answer_of_the_contract_has_nothing_wrong_and_nothing_unknown(operation, body):
    assert problems(operation, body) == []


@pytest.mark.parametrize(
    ("operation", "body", "verdict", "told"),
    [
        (GROUPS, status(GROUP), Verdict.HOLDS, ""),
        (GROUPS, status(), Verdict.NOT_SEEN, ""),
        (GROUPS, {"grupper": [GROUP]}, Verdict.FAILS, "kontaktgrupper[]"),
        (GROUPS, status(GROUP | {"Starttidspunkt": "2021-03-01"}), Verdict.FAILS, "kontaktgrupper[].Starttidspunkt"),
        (ABSENCES, {"fravaer": [ABSENCE]}, Verdict.HOLDS, ""),
        (ABSENCES, {"fravaer": []}, Verdict.NOT_SEEN, ""),
        (ABSENCES, {"fravaerListe": []}, Verdict.FAILS, "fravaer[]"),
        (ABSENCES, {"fravaer": [ABSENCE | {"fravaerType": "FERIE"}]}, Verdict.FAILS, "fravaer[].fravaerType"),
    ],
)
def test_lists_and_fields_are_decided_by_those_that_were_seen(operation, body, verdict, told):
    assert decided(operation, body) == (verdict, told)


def test_an_unknown_code_is_seen_and_breaks_nothing():
    strange = {"fravaer": [ABSENCE | {"fravaerType": 99}]}
    assert seen(ABSENCES, strange).fields["fravaer[].fravaerType"].unknown_codes == {"99"}
    assert problems(ABSENCES, strange) == []
    assert seen(GROUPS, status(GROUP | {"KontaktgruppeType": 9})).fields[
        "kontaktgrupper[].KontaktgruppeType"
    ].unknown_codes == {"9"}


def test_the_target_groups_numbers_are_never_decided_by_an_answer_that_uses_them():
    assert decided(GROUPS, status(GROUP), 1) == (
        Verdict.NOT_SEEN, "12 in use: compare with the citizen's own contact group",
    )  # fmt: skip
    assert decided(GROUPS, status(GROUP | {"KontaktgruppeType": 7}), 1) == (Verdict.NOT_SEEN, "")


async def test_each_operation_asks_at_its_own_path(service, make_settings):
    settings = make_settings(VISITERING__ABSENCES_PATH="/v9/Fravaer/")
    service.answers["/v9/Fravaer/"] = service.answers.pop(ABSENCES_PATH)
    async with asking(service, STATUS_PATH) as upstream:
        for operation in OPERATIONS:
            assert await operation.call(Asked(upstream, settings, CPR, "id", None)) is not None
    assert [path for _, path, _ in service.asked] == [STATUS_PATH, "/v9/Fravaer/"]
