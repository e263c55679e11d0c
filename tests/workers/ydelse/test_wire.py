"""What is an answer of the Ydelsesregister, what is left out of one, and what is none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.overview import LeftOut
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.item_reading import Items, left_out, readable
from registerbro.upstreams.messages import validated
from workers.ydelse.wire import BENEFIT_OF_GROUP, Ydelse, YdelseSvar, group

PERSON = "civilRegistrationIdentifier"
BENEFIT: dict[str, Any] = {
    PERSON: "6102991234",
    "kyYdelsesIdentifier": "b1a7",
    "startdato": "2021-03-01",
    "slutdato": "2021-09-30",
    "kontaktgruppeType": 12,
    "ydelsestype": "UDDANNELSESHJAELP",
    "samtidigJob": True,
}
PUBLISHED = {PERSON: "6102991234", "startdato": "2021-03-01"}
"""A benefit with the fields that it must have, and no other."""


def read(*items: object) -> Items[Ydelse]:
    return validated(YdelseSvar, {"ydelser": {"ydelse": list(items)}}).ydelser.ydelse


def lacking(field: str) -> dict[str, object]:
    return {name: value for name, value in BENEFIT.items() if name != field}


def test_an_answer_is_read_whole() -> None:
    assert read(BENEFIT) == (
        Ydelse(
            civilRegistrationIdentifier="6102991234",
            startdato="2021-03-01",
            slutdato="2021-09-30",
            kontaktgruppeType=12,
            ydelsestype="UDDANNELSESHJAELP",
            samtidigJob=True,
        ),
    )


def test_an_empty_list_is_an_answer() -> None:
    assert read() == ()


@pytest.mark.parametrize(
    "body",
    [
        {}, {"ydelser": None}, {"ydelser": []}, {"ydelser": {}}, {"ydelser": {"ydelse": None}}, {"ydelse": []},
        {"ydelser": {"ydelse": {}}}, {"ydelser": {"ydelse": BENEFIT}}, {"ydelser": {"ydelse": "x"}},
        {"ydelser": {"left_out": []}}, [], None,
    ],
)  # fmt: skip
def test_a_missing_list_is_an_invalid_answer_and_never_no_data(body: object) -> None:
    with pytest.raises(InvalidResponse):
        validated(YdelseSvar, body)


@pytest.mark.parametrize("field", sorted(BENEFIT.keys() - PUBLISHED.keys()))
@pytest.mark.parametrize("how", ["missing", "null"])
def test_every_other_field_may_be_missing_or_null(field: str, how: str) -> None:
    item = lacking(field) if how == "missing" else BENEFIT | {field: None}
    (only,) = read(item)
    assert isinstance(only, Ydelse)


def test_the_published_fields_are_enough() -> None:
    (only,) = readable(read(PUBLISHED))
    assert (only.slutdato, only.ydelsestype, only.kontaktgruppe_type, only.samtidig_job) == (None,) * 4


ODD = [
    (PERSON, lacking(PERSON)),
    (PERSON, BENEFIT | {PERSON: 6102991234}),
    ("startdato", lacking("startdato")),
    *(("startdato", BENEFIT | {"startdato": one}) for one in (None, 1614556800, "snarest", "2021-03-01T00:00:00")),
    *(("slutdato", BENEFIT | {"slutdato": one}) for one in ("2021-09-30T00:00:00", "Ukendt", 0)),
    ("ydelse", BENEFIT | {"slutdato": "2021-02-28"}),
    *(("ydelse", value) for value in (None, "x", 7, [], [BENEFIT])),
]


@pytest.mark.parametrize(("kind", "item"), ODD, ids=repr)
def test_an_odd_item_is_left_out_and_named_and_refuses_no_other(kind: str, item: object) -> None:
    found = read(BENEFIT, item, PUBLISHED)
    assert [one.startdato.year for one in readable(found)] == [2021, 2021]
    assert left_out(found) == (LeftOut(kind, "ydelse 2"),)


@pytest.mark.parametrize("item", [item for _, item in ODD], ids=repr)
def test_an_answer_without_an_item_that_can_be_read_is_invalid_and_says_nothing_of_it(item: object) -> None:
    with pytest.raises(InvalidResponse, match=r"^not of the contract: ydelser.ydelse \(no_readable_item\)$"):
        read(item, item)


def test_a_benefit_of_a_single_day_is_one() -> None:
    assert not left_out(read(BENEFIT | {"slutdato": "2021-03-01"}))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(BENEFIT, ANYTHING)))
def test_whatever_an_item_holds_the_others_are_read(item: dict[str, object]) -> None:
    found = read(BENEFIT, item, BENEFIT)
    assert len(found) == 3
    assert len(readable(found)) >= 2


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (12, 12), ("12", 12), (" 012 ", 12), ("Modtager af uddannelseshjælp", 12), ("ModtagerAfUddannelseshjælp", 12),
        ("DAGPENGEMODTAGERE", 1), ("Uddannelsespålæg - Overgangsydelsesmodtager efter LAB", 28),
        ("Uddannelsespålæg – Overgangsydelsesmodtager efter LAB", 28), (29, 29),
        ("", None), ("Fleksjob", None), (None, None), (True, None), (12.0, None), ([12], None), ({"kode": 12}, None),
        ("٣", None), ("9" * 5000, 999_999_999),
    ],
)  # fmt: skip
def test_a_contact_group_is_told_by_number_or_name(value: object, number: int | None) -> None:
    assert group(value) == number


def test_the_groups_that_tell_a_benefit_are_those_with_a_published_name() -> None:
    assert set(BENEFIT_OF_GROUP) == {1, 12, 28}
