"""What the booking vendor is expected to answer, and that a report is a write."""

import json
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

from config.settings import BookingVendorSettings
from domain.cpr import Cpr
from registerbro.conformance.comparison import compare
from registerbro.conformance.expectations import Asked, Evidence, Verdict
from registerbro.conformance.recording import Replay
from registerbro.upstreams.errors import BadRequest, NotFound
from registerbro.upstreams.messages import Answer, Question
from workers.booking_vendor.expectations import OPERATIONS

(REPORT,) = OPERATIONS
ME = Cpr("6102991234")
ASKED = Asked(
    None, SimpleNamespace(booking_vendor=BookingVendorSettings(base_url="http://x")), ME, "me", date(2026, 11, 30)
)


class Asking(Replay):
    async def ask(self, exchange):
        self.question = exchange.question("abc")
        return exchange.read(self._answer)


def answering(status, body):
    return replace(ASKED, upstream=Asking(Answer(status, "application/json", "utf-8", body)))


def decided(status, body=b"", error=None, question=None):
    answer = Answer(status, "application/json", "utf-8", body)
    root = REPORT.shape(answer)
    fields = compare(REPORT.expected, root, None) if root else {}
    evidence = Evidence(status, error, "", fields, answer, root, question)
    return [one.decide(evidence)[0].value for one in REPORT.assumptions]


def test_a_report_is_a_write():
    assert (REPORT.name, REPORT.writes) == ("fejlmelding", True)


async def test_a_report_is_taken_with_and_without_a_case_number_and_says_that_nothing_is_wrong():
    asked = answering(200, b"")
    assert await REPORT.call(asked) == "taken"
    assert await REPORT.call(answering(201, b'{"sagsnummer": "FM-1"}')) == "FM-1"
    sent = json.loads(asked.upstream.question.body)
    assert "Der er ingen fejl" in sent["Fejltekst"]
    assert ME.digits not in str(dict(asked.upstream.question.headers))


def test_what_is_assumed_of_a_report_is_decided_by_its_answer():
    holds, fails, not_seen = (one.value for one in Verdict)
    question = Question("POST", "/")
    assert decided(200, question=question) == [holds, holds, holds, not_seen, not_seen, holds]
    assert decided(201, b'{"sagsnummer": "1"}', question=question) == [holds, holds, holds, not_seen, holds, holds]
    assert decided(201, b'{"nr": "1"}', question=question)[4] == fails
    assert decided(401, error=BadRequest("HTTP 401"))[1] == fails
    assert decided(404, error=NotFound("HTTP 404"))[0] == fails
    with_number = Question("POST", "/", {"CivilRegistrationIdentifier": ME.digits})
    assert decided(200, question=with_number)[2] == not_seen
