"""The table of operations: each upstream has some, and what they call assumed is what the code and its page call so."""

import pytest

from config.settings import UPSTREAMS
from tests.docs.test_going_live import MARKED, PAGE
from workers.conformance import OPERATIONS

EACH = [(name, one) for name, operations in OPERATIONS.items() for one in operations]


def test_every_upstream_has_its_operations():
    assert tuple(OPERATIONS) == UPSTREAMS
    assert all(OPERATIONS.values())


@pytest.mark.parametrize(("name", "operation"), EACH, ids=lambda one: getattr(one, "name", one))
def test_every_assumption_is_marked_in_the_code_and_listed_in_the_same_words(name, operation):
    marked = {text for _, text in MARKED}
    for one in operation.assumptions:
        assert one.text in marked
        assert one.text in PAGE


def test_every_assumption_of_the_code_is_decided_by_some_operation():
    decided = {one.text for _, operation in EACH for one in operation.assumptions}
    assert {text for _, text in MARKED} - decided == set()


def test_names_of_operations_can_be_names_of_files():
    names = [f"{name}-{operation.name}" for name, operation in EACH]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").replace("_", "").isalnum() for name in names)
