"""What one answer decides of what nothing public decides."""

import pytest

from registerbro.conformance import assumptions
from registerbro.conformance.expectations import Evidence, FieldSeen, Form, Mark, Node, Verdict
from registerbro.upstreams.errors import BadRequest, NotAuthorised, NotFound, UpstreamTimeout, UpstreamUnavailable

EMPTY = Node("", Form.OBJECT)


def evidence(status=200, error=None, redirects_to="", fields=(), root=EMPTY):
    return Evidence(status, error, redirects_to, {one.path: one for one in fields}, None, root)


def field(path, **more):
    return FieldSeen(path, Mark.ASSUMED, is_looked_for=True, **more)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (evidence(), Verdict.HOLDS),
        (evidence(404), Verdict.HOLDS),
        (evidence(404, NotFound("HTTP 404")), Verdict.FAILS),
        (evidence(405, BadRequest("HTTP 405")), Verdict.FAILS),
        (evidence(301, BadRequest("HTTP 301"), "https://x/y"), Verdict.FAILS),
        (evidence(404, NotAuthorised("DFDG code 4575")), Verdict.NOT_SEEN),
        (evidence(403, NotAuthorised("HTTP 403")), Verdict.NOT_SEEN),
        (evidence(503, UpstreamUnavailable("HTTP 503")), Verdict.NOT_SEEN),
        (evidence(None, UpstreamTimeout()), Verdict.NOT_SEEN),
    ],
)
def test_an_address_is_decided_by_whether_there_is_an_operation(given, verdict):
    assert assumptions.address("x").decide(given)[0] is verdict


def test_fields_are_decided_by_those_that_were_seen():
    ours = assumptions.fields("x", "a[]")
    assert ours.decide(evidence())[0] is Verdict.NOT_SEEN
    assert ours.decide(evidence(fields=[field("a[]", is_found=True)]))[0] is Verdict.NOT_SEEN
    assert ours.decide(evidence(fields=[field("a[].b", is_found=True)]))[0] is Verdict.HOLDS
    wrong = [field("a[].b", is_missing=True), field("ab", is_missing=True)]
    assert ours.decide(evidence(fields=wrong)) == (Verdict.FAILS, "a[].b")


def test_a_list_of_codes_is_decided_by_the_codes_that_were_seen():
    ours = assumptions.codes("x", "a")
    assert ours.decide(evidence(fields=[field("a")]))[0] is Verdict.NOT_SEEN
    assert ours.decide(evidence(fields=[field("a", is_found=True)]))[0] is Verdict.HOLDS
    assert ours.decide(evidence(fields=[field("a", unknown_codes={"B"})])) == (Verdict.FAILS, "a: B")


def test_the_form_of_errors_is_decided_by_whether_a_code_was_found():
    ours = assumptions.error_body("x")
    assert ours.decide(evidence())[0] is Verdict.NOT_SEEN
    assert ours.decide(evidence(404))[0] is Verdict.HOLDS
    assert ours.decide(evidence(400, BadRequest("DFDG code 1014")))[0] is Verdict.HOLDS
    assert ours.decide(evidence(400, BadRequest("HTTP 400")))[0] is Verdict.FAILS
    assert ours.decide(evidence(400, BadRequest("HTTP 400"), root=None))[0] is Verdict.NOT_SEEN
