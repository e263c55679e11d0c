"""The codes of a refusal are found wherever they stand in its body, and an error without one is noticed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registerbro.upstreams.error_codes import CODES, ERRORS, codes_in, plain


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ({"fejl": [{"kode": "4770"}, {"kode": 4769}]}, ["4769", "4770"]),
        ({"fejl": {"Kode": "8107"}}, ["8107"]),
        ({"errorCode": 9303}, ["9303"]),
        ({"error_code": 9303, "Fejl-Kode": "1"}, ["1", "9303"]),
        ({"FaultDetails": {"ErrorCode": "9329", "Message": "x"}}, ["9329"]),
        ([{"code": "4769"}], ["4769"]),
        ({"kode": ["1", ["2"]]}, ["1", "2"]),
        ({"code": {"kode": "3"}}, ["3"]),
        ({"kode": " 1010"}, [" 1010"]),
    ],
    ids=json.dumps,
)
def test_codes_are_found_wherever_they_may_stand_as_they_are_written(body, codes):
    assert codes_in(body) == set(codes)


@pytest.mark.parametrize(
    "body",
    [
        {"fejl": "OPTAGET"},
        {"fejl": []},
        {"fejl": None},
        {"fejl": ["1010"]},
        {"fejl": [["1010"]]},
        {"kode": None, "code": [], "tekst": "4770"},
        {"kode": {"nummer": "1010"}},
        {"kodetekst": "1010"},
        "1010",
        None,
        7,
        [],
        {},
    ],
    ids=json.dumps,
)
def test_what_has_another_name_is_no_code(body):
    assert codes_in(body) == set()


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ({"fejl": {}}, [""]),
        ({"fejl": [{"tekst": "x"}]}, [""]),
        ({"fejl": [{"kode": "1010"}, {"tekst": "x"}]}, ["", "1010"]),
        ({"fejl": [{"kode": ""}]}, [""]),
        ({"fejl": [{"kode": None}]}, [""]),
        ({"errors": {"error": {"code": "1"}}}, ["1"]),
        ({"fejl": [[{"tekst": "x"}]]}, []),
    ],
    ids=json.dumps,
)
def test_an_error_without_a_code_is_told_beside_those_with_one(body, codes):
    assert codes_in(body) == set(codes)


@pytest.mark.parametrize("body", [{"fejl": 1}, {"errors": [1]}])
def test_errors_within_errors_are_each_looked_at_once(body):
    for _ in range(60):
        body = {"fejl": body} if len(body) % 2 else {"errors": [body]}
    # By every other way than once it would not come to an end.
    assert codes_in(body) == {""}


@pytest.mark.parametrize("name", ["errorcode", "errorCode", "ErrorCode", "error_code", "error-code", "ERROR_CODE"])
def test_the_spelling_of_a_name_does_not_matter(name):
    assert plain(name) == "errorcode"


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
NAMES = st.sampled_from([*sorted(CODES | ERRORS), "Fejl_Kode", "tekst", "data"])
BODIES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)


def by_paths(value, path=()):
    """Every leaf with the names that lead to it; a list is no name."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from by_paths(inner, (*path, name))
    elif isinstance(value, list):
        for inner in value:
            yield from by_paths(inner, path)
    else:
        yield path, value


@given(BODIES)
def test_the_codes_are_the_leaves_whose_last_name_is_that_of_a_code(body):
    leaves = {str(leaf) for path, leaf in by_paths(body) if path and plain(path[-1]) in CODES and leaf is not None}
    assert codes_in(body) - {""} == leaves - {""}
