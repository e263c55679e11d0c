"""Hostile answers through the real clients: each is told as what it is, in little time and memory, and holds nobody up.

A part of each kind; `make hostile` puts all of them through.
"""

import pytest

from tests.system.hostile.running import Run, every_case

LEAST_CASES = 200


@pytest.fixture(scope="module")
def run():
    with Run() as it:
        yield it


def test_a_hostile_answer_is_told_as_what_it_is_and_costs_little(run):
    faults = [str(told) for case, form in every_case(run.signer, quick=True) if (told := run.put(case, form)).faults()]
    assert faults == []


def test_there_are_as_many_hostile_answers_as_were_promised_and_each_kind_is_a_part_of_the_suite(run):
    named = {(case.kind, case.name, case.target, case.quick) for case, _ in every_case(run.signer)}
    assert len(named) >= LEAST_CASES
    assert {kind for kind, *_ in named} == {kind for kind, _, _, quick in named if quick}
