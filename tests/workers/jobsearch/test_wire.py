"""What is an answer with job titles, what is left out of one, and what is none."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.overview import LeftOut
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.item_reading import left_out, readable
from registerbro.upstreams.messages import validated
from tests.workers.jobsearch.conftest import FORMER, KOK, TITLE, TJENER
from workers.jobsearch.wire import JoboenskeHistorik, Joboensker, day

BOTH = [(Joboensker, "joboenske"), (JoboenskeHistorik, "historik")]


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in FORMER.items() if name != field}


def test_titles_are_read_with_the_moments_of_their_beginning_and_end() -> None:
    (title,) = readable(validated(Joboensker, {"joboensker": [TITLE]}).joboensker)
    assert (title.concept_uri_da, title.oprettelsestidspunkt) == (KOK, datetime(2022, 5, 1, 10, tzinfo=UTC))
    (former,) = readable(validated(JoboenskeHistorik, {"joboensker": [FORMER]}).joboensker)
    assert (former.concept_uri_da, day(former.ophoerstidspunkt)) == (TJENER, date(2022, 9, 1))


@pytest.mark.parametrize(("model", "name"), BOTH)
@pytest.mark.parametrize("field", sorted(FORMER.keys() - {"conceptUriDa"}))
@pytest.mark.parametrize("how", ["missing", "null"])
def test_everything_but_the_concept_may_be_missing_or_lost(model: Any, name: str, field: str, how: str) -> None:
    item = without(field) if how == "missing" else FORMER | {field: None}
    assert not left_out(validated(model, {"joboensker": [item]}).joboensker)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2022-05-01", date(2022, 5, 1)),
        ("2022-04-30T22:00:00Z", date(2022, 5, 1)),
        ("2022-05-01T00:30:00", date(2022, 5, 1)),
        (None, None),
    ],
)
def test_a_time_is_a_moment_or_a_day(told: str | None, expected: date | None) -> None:
    item = TITLE | {"oprettelsestidspunkt": told}
    (title,) = readable(validated(Joboensker, {"joboensker": [item]}).joboensker)
    assert day(title.oprettelsestidspunkt) == expected


@pytest.mark.parametrize(("model", "name"), BOTH)
@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("conceptUriDa", without("conceptUriDa")),
        ("conceptUriDa", TITLE | {"conceptUriDa": " "}),
        ("conceptUriDa", TITLE | {"conceptUriDa": "x" * 501}),
        ("conceptUriDa", TITLE | {"conceptUriDa": 7}),
        ("oprettelsestidspunkt", TITLE | {"oprettelsestidspunkt": ""}),
        ("oprettelsestidspunkt", TITLE | {"oprettelsestidspunkt": 1651399200}),
        (None, "Kok"),
    ],
)
def test_an_odd_title_is_left_out_and_named_and_refuses_no_other(
    model: Any, name: str, kind: str | None, item: object
) -> None:
    found = validated(model, {"joboensker": [item, TITLE]}).joboensker
    assert len(readable(found)) == 1
    assert left_out(found) == (LeftOut(kind or name, f"{name} 1"),)


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("historik", {"ophoerstidspunkt": "2020-04-30T12:00:00Z"}),
        ("historik", {"ophoerstidspunkt": "2020-04-30"}),
        ("ophoerstidspunkt", {"ophoerstidspunkt": "i går"}),
    ],
)
def test_a_former_title_that_ended_before_it_began_is_left_out(kind: str, own: dict[str, str]) -> None:
    found = validated(JoboenskeHistorik, {"joboensker": [FORMER | own, FORMER]}).joboensker
    assert left_out(found) == (LeftOut(kind, "historik 1"),)


@pytest.mark.parametrize("model", [Joboensker, JoboenskeHistorik])
@pytest.mark.parametrize(
    "body", [{}, {"joboensker": None}, {"joboensker": {}}, {"joboensker": [{}]}, {"historik": []}, [], None]
)
def test_an_answer_without_a_list_or_without_a_title_that_can_be_read_is_invalid(model: Any, body: object) -> None:
    with pytest.raises(InvalidResponse):
        validated(model, body)
