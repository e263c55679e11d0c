"""The adapter says of any answer of the schema what a second reading of the rules says that shares no code with it."""

from datetime import date

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from config.settings import EindkomstSettings
from registerbro.upstreams.errors import CallFailed
from tests.support import examples
from tests.workers.eindkomst.answers import CPR, answer
from tests.workers.eindkomst.oracle import Outcome, expected
from tests.workers.eindkomst.schema import problems, schemas
from tests.workers.eindkomst.strategies import answers
from workers.eindkomst.normalise import normalise
from workers.eindkomst.question import request
from workers.eindkomst.wire import read

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A failing answer is kept as it was drawn: to make one of hundreds of elements smaller takes minutes."""


def came_of_it(body, advis_means_none):
    """What the adapter makes of an answer, in the oracle's words."""
    try:
        reports = read(answer(body), CPR, EindkomstSettings(advis_means_none=advis_means_none))
        normalised = normalise(reports, {})
    except CallFailed as failure:
        return Outcome(failure=failure.reason)
    return Outcome(
        employments=[(one.employer, one.start, one.end) for one in normalised.sections["employments"]],
        left_out=len(normalised.left_out),
        unknown_types=len(normalised.unknown),
    )


def told(outcome):
    """What is compared; of a failure, which it is."""
    return outcome.failure or (outcome.employments, outcome.left_out, outcome.unknown_types)


@settings(max_examples=examples(120), deadline=None, suppress_health_check=SLOW, phases=WITHOUT_SHRINKING)
@given(answers(CPR.digits), st.sampled_from([frozenset(), frozenset({17}), frozenset({17, 18})]))
def test_any_answer_of_the_schema_is_read_as_the_rules_say(body, advis_means_none):
    theirs = expected(body, CPR.digits, advis_means_none=advis_means_none)
    assert told(came_of_it(body, advis_means_none)) == told(theirs)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=SLOW, phases=WITHOUT_SHRINKING)
@given(answers(CPR.digits, failures=False))
def test_an_answer_with_a_report_that_can_be_read_is_never_an_error(body):
    theirs = expected(body, CPR.digits)
    assume(theirs.failure is None)
    assert told(came_of_it(body, frozenset())) == told(theirs)


@settings(max_examples=examples(200), deadline=None)
@given(
    st.dates(date(2008, 1, 1), date(2030, 12, 31)),
    st.dates(date(2008, 1, 1), date(2030, 12, 31)),
    st.integers(0, 10**9),
    st.none() | st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=40),
)
def test_every_question_that_we_can_ask_is_of_both_schemas(first, last, code, caseworker):
    asking = EindkomstSettings(
        abonnent_type=code, abonnement_type=code, adgang_formaal=code, medarbejder_identifikator=caseworker
    )
    question = request("a" * 46, CPR, asking, min(first, last), max(first, last))
    for schema in schemas():
        assert problems(question, schema) == []
