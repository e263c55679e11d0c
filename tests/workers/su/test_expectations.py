"""What SU is expected to answer: the fields of its wire models, each with its mark."""

from registerbro.conformance.expectations import Mark
from tests.expectations import marks_of
from workers.su.expectations import OPERATIONS


def test_everything_but_the_citizens_header_is_assumed():
    (operation,) = OPERATIONS
    assert set(marks_of(operation.expected).values()) == {Mark.ASSUMED}
    assert not operation.writes


def test_the_lists_of_codes_are_those_that_the_reading_knows():
    (operation,) = OPERATIONS
    assert operation.expected.find("forloeb").find("uddannelsestype").codes == {"UNGDOMSUDDANNELSE", "VIDEREGAAENDE"}
