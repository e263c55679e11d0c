"""What CVR's search is expected to answer: the parts that are read later, too."""

from registerbro.conformance.expectations import Mark
from tests.expectations import marks_of
from workers.eindkomst.cvr_expectations import OPERATIONS
from workers.eindkomst.cvr_wire import WANTED


def test_every_field_that_is_asked_for_is_expected_and_likely():
    (operation,) = OPERATIONS
    marks = marks_of(operation.expected)
    expected = {path.replace("[]", "").removeprefix("hits.hits._source.") for path in marks}
    assert set(WANTED) <= expected
    assert set(marks.values()) == {Mark.LIKELY}
    assert not operation.is_about_a_citizen
