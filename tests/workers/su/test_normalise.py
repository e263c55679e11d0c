"""Section C: how an answer of SU is counted, and what is no data (R6, R8)."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.overview import Normalised, SuAttempts, UnknownValue, sections_of
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.messages import validated
from workers.su.normalise import normalise
from workers.su.wire import SuData

BORN = date(1999, 2, 1)
EIGHTEEN_IN_2020 = date(2002, 2, 28)


def begun(start: str = "2019-08-01", **own: object) -> dict[str, object]:
    return {
        "uddannelsestype": "UNGDOMSUDDANNELSE",
        "uddannelse": "Hf",
        "startdato": start,
        "annulleret": False,
    } | own


def su_data(*items: dict[str, object]) -> SuData:
    return validated(SuData, {"civilRegistrationIdentifier": "6102991234", "forloeb": list(items)})


def attempts(count: int) -> dict[str, list[SuAttempts]]:
    return {"su_attempts": [SuAttempts(count=count)] if count else []}


@pytest.mark.parametrize("answer", [None, su_data()], ids=["unknown person", "nothing begun"])
def test_no_data_leaves_the_section_empty(answer: SuData | None) -> None:
    assert normalise(answer, BORN) == Normalised(attempts(0))


def test_the_section_is_the_one_of_the_register() -> None:
    assert attempts(0).keys() == {section.id for section in sections_of("su")}


@pytest.mark.parametrize(
    ("items", "count"),
    [
        ([begun()], 1),
        ([begun(), begun()], 1),
        ([begun(), begun("2020-08-01")], 2),
        ([begun(), begun(uddannelse="Hhx")], 2),
        ([begun(), begun(uddannelse=" Hf ")], 1),
        ([begun("2018-01-01")], 1),
        ([begun("2017-12-31")], 0),
        ([begun(annulleret=True)], 0),
        ([begun(annulleret=True), begun("2020-08-01")], 1),
        ([begun(annulleret=True), begun()], 1),
        ([begun(uddannelsestype="VIDEREGAAENDE")], 0),
        ([begun(uddannelsestype="VIDEREGAAENDE"), begun()], 1),
        ([begun("0001-01-01"), begun("9999-12-31")], 1),
    ],
)
def test_distinct_ungdomsuddannelser_that_were_not_withdrawn_are_counted(
    items: list[dict[str, object]], count: int
) -> None:
    assert normalise(su_data(*items), BORN) == Normalised(attempts(count))


@pytest.mark.parametrize(("start", "count"), [("2020-02-27", 0), ("2020-02-28", 1)])
def test_what_was_begun_before_the_18th_birthday_does_not_count(start: str, count: int) -> None:
    assert normalise(su_data(begun(start)), EIGHTEEN_IN_2020) == Normalised(attempts(count))


def test_an_unknown_type_is_left_out_and_named() -> None:
    result = normalise(su_data(begun(), begun("2020-08-01", uddannelsestype="NYT")), BORN)
    assert result == Normalised(attempts(1), (UnknownValue("uddannelsestype", "NYT"),))


@pytest.mark.parametrize(
    "beside",
    [[], [begun(uddannelsestype="VIDEREGAAENDE")], [begun(annulleret=True)]],
    ids=["alone", "beside another level", "beside a withdrawn one"],
)
def test_nought_attempts_beside_an_unknown_type_are_not_no_data(beside: list[dict[str, object]]) -> None:
    with pytest.raises(InvalidResponse, match="uddannelsestype"):
        normalise(su_data(*beside, begun(uddannelsestype="NYT")), BORN)


ITEMS = st.lists(
    st.fixed_dictionaries(
        {
            "uddannelsestype": st.sampled_from(["UNGDOMSUDDANNELSE", "VIDEREGAAENDE", "NYT"]),
            "uddannelse": st.sampled_from(["Hf", "Hhx"]),
            "startdato": st.sampled_from(["0001-01-01", "2019-08-01", "9999-12-31"]) | st.dates().map(str),
            "annulleret": st.booleans(),
        }
    ),
    max_size=6,
)
BIRTHS = st.dates(date(1858, 1, 1), date(2057, 12, 31))


def outcome(items: list[dict[str, object]], born: date) -> object:
    try:
        return normalise(su_data(*items), born)
    except InvalidResponse:
        return InvalidResponse


@given(ITEMS.flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))), BIRTHS)
def test_the_order_of_the_register_never_shows(
    orders: tuple[list[dict[str, object]], list[dict[str, object]]], born: date
) -> None:
    as_given, shuffled = orders
    assert outcome(as_given, born) == outcome(shuffled, born)
