"""Job titles: the current and the former ones together, by their labels, newest first."""

from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.overview import JobTitle, LeftOut, Normalised, UnknownValue
from registerbro.upstreams.messages import validated
from workers.jobsearch.normalise import last_part, normalise
from workers.jobsearch.wire import JoboenskeHistorik, Joboensker

ESCO = "http://data.europa.eu/esco/occupation/"
LABELS = {f"{ESCO}kok": "kok", f"{ESCO}tjener": "tjener", f"{ESCO}gartner": "gartner"}


def title(name: str, created: str | None = None, ended: str | None = None) -> dict[str, object]:
    return {
        "conceptUriDa": f"{ESCO}{name}", "harUddannelse": False,
        "oprettelsestidspunkt": created and f"{created}T12:00:00+01:00",
        "ophoerstidspunkt": ended and f"{ended}T12:00:00+01:00",
    }  # fmt: skip


def current(*items: object) -> Joboensker:
    return validated(Joboensker, {"joboensker": list(items)})


def history(*items: object) -> JoboenskeHistorik:
    return validated(JoboenskeHistorik, {"joboensker": list(items)})


def shown(now: list[Any], then: list[Any]) -> list[tuple[str, str | None, str | None]]:
    items = normalise(current(*now), history(*then), LABELS).sections["job_titles"]
    return [
        (one.title, one.registered and one.registered.isoformat(), one.ended and one.ended.isoformat())
        for one in items
        if isinstance(one, JobTitle)
    ]


@pytest.mark.parametrize("now", [None, current()])
@pytest.mark.parametrize("then", [None, history()])
def test_no_data_leaves_the_section_empty(now: Joboensker | None, then: JoboenskeHistorik | None) -> None:
    assert normalise(now, then, LABELS) == Normalised({"job_titles": []})


def test_titles_are_newest_first_and_those_without_a_date_last_in_whatever_order_they_come() -> None:
    now = [title("kok", "2022-05-01"), title("gartner")]
    then = [title("tjener", "2020-05-01", "2022-09-01"), title("tjener", None, "2021-01-01")]
    expected = [
        ("kok", "2022-05-01", None),
        ("tjener", "2020-05-01", "2022-09-01"),
        ("gartner", None, None),
        ("tjener", None, "2021-01-01"),
    ]
    for order in permutations(then):
        assert shown(now, list(order)) == expected
        assert shown(now[::-1], list(order)) == expected


def test_a_title_that_stands_in_both_answers_with_the_same_creation_is_one_that_goes_on() -> None:
    now = title("kok", "2022-05-01")
    assert shown([now], [title("kok", "2022-05-01", "2022-09-01")]) == [("kok", "2022-05-01", None)]
    assert shown([title("kok")], [title("kok", None, "2022-09-01")]) == [("kok", None, None)]


def test_the_same_moment_in_another_zone_is_the_same_moment() -> None:
    now = title("kok") | {"oprettelsestidspunkt": "2022-05-01T00:30:00+02:00"}
    then = title("kok", None, "2022-06-01") | {"oprettelsestidspunkt": "2022-04-30T22:30:00Z"}
    assert shown([now], [then]) == [("kok", "2022-05-01", None)]


@pytest.mark.parametrize(
    "then",
    [
        title("kok", "2021-05-01", "2021-09-01"),
        title("tjener", "2022-05-01", "2022-09-01"),
        title("kok", None, "2021-09-01"),
        title("kok", "2022-05-01", "2022-05-01") | {"oprettelsestidspunkt": "2022-05-01T11:59:59+01:00"},
    ],
)
def test_a_title_of_another_concept_or_another_moment_is_another(then: dict[str, object]) -> None:
    assert len(shown([title("kok", "2022-05-01")], [then])) == 2


def test_a_title_that_was_taken_up_again_keeps_its_earlier_times() -> None:
    then = [
        title("kok", "2020-01-01", "2020-02-01"),
        title("kok", "2020-01-01", "2020-02-01"),
        title("kok", "2021-01-01"),
    ]
    assert shown([title("kok", "2022-01-01")], then) == [
        ("kok", "2022-01-01", None),
        ("kok", "2021-01-01", None),
        ("kok", "2020-01-01", "2020-02-01"),
    ]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"{ESCO}f0a3", "f0a3"),
        (f"{ESCO}f0a3/", "f0a3"),
        ("http://star.example/begreb#kok", "kok"),
        ("urn:star:kok", "urn:star:kok"),
        ("kok", "kok"),
        ("//", "//"),
        ("#", "#"),
    ],
)
def test_a_concept_without_a_label_is_shown_by_the_last_part_of_its_uri_and_named(uri: str, expected: str) -> None:
    item = title("x", "2022-05-01") | {"conceptUriDa": uri}
    result = normalise(current(item, item), history(item), LABELS)
    assert result.sections["job_titles"] == [JobTitle(title=expected, registered=date(2022, 5, 1), ended=None)]
    assert result.unknown == (UnknownValue("conceptUriDa", expected),)


def test_a_concept_in_which_there_is_room_for_a_number_of_a_person_is_named_without_it() -> None:
    item = title("3d4a3e9f-8c3e-4c3b-8d8a-4a5f6e7d8b94")
    assert normalise(current(item), None, LABELS).unknown == (UnknownValue("conceptUriDa", "?"),)


def test_what_cannot_be_read_is_told_of_both_answers() -> None:
    result = normalise(current(title("kok"), 7), history({}, title("tjener")), LABELS)
    assert result.left_out == (LeftOut("joboenske", "joboenske 2"), LeftOut("conceptUriDa", "historik 1"))
    assert len(result.sections["job_titles"]) == 2


@given(st.text(min_size=1).map(str.strip).filter(bool))
def test_whatever_a_uri_is_its_last_part_says_something(uri: str) -> None:
    assert last_part(uri)
    assert uri.rstrip("/#").endswith(last_part(uri)) or last_part(uri) == uri


DAYS = st.none() | st.integers(0, 3).map(lambda days: (date(2022, 1, 1) + timedelta(days)).isoformat())
NOW = st.lists(st.builds(title, st.sampled_from(["kok", "tjener", "x"]), DAYS), max_size=4)
THEN = st.lists(
    st.builds(title, st.sampled_from(["kok", "tjener", "x"]), DAYS, st.just("2022-02-01") | st.none()), max_size=4
)


@given(NOW, THEN)
def test_every_title_is_shown_once_and_has_an_end_only_when_it_is_no_current_one(
    now: list[dict[str, object]], then: list[dict[str, object]]
) -> None:
    def key(item: dict[str, object]) -> tuple[object, object]:
        return item["conceptUriDa"], item["oprettelsestidspunkt"]

    rows = {(*key(one), None) for one in now}
    rows |= {(*key(one), one["ophoerstidspunkt"]) for one in then if key(one) not in map(key, now)}
    found = shown(now, then)
    assert len(found) == len(set(found)) == len(rows)
    dated = [created for _, created, _ in found if created]
    assert dated == sorted(dated, reverse=True)
    assert [bool(created) for _, created, _ in found] == [True] * len(dated) + [False] * (len(found) - len(dated))
