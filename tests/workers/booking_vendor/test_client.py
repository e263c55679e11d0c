"""One call to the vendor: its headers, its connection, and how much is known of its end."""

from datetime import UTC, datetime

import pytest

from config.settings import BookingVendorSettings
from domain.cpr import Cpr
from registerbro.fault_reports.model import Content, Sending
from registerbro.upstreams import errors
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.pipeline import Upstream
from tests.registerbro.upstreams.conftest import answering, hang, reset, server, truncated
from tests.support import ProcessAdmission
from workers.booking_vendor.client import Delivery

__all__ = ["server"]

CITIZEN = Cpr.parse("6102991234")
SENDING = Sending("a-report", "a-run", datetime(2026, 11, 23, 12, 0, tzinfo=UTC), b"", "a-citizen")
NOBODY = "http://127.0.0.1:1"


def delivery(cpr=None, **settings):
    return Delivery(SENDING, Content("Kalenderen er tom"), BookingVendorSettings(**settings), cpr)


async def send(url, one, **settings):
    settings = BookingVendorSettings(attempt_timeout="PT0.3S", **settings)
    async with HttpClient(url, settings) as http:
        upstream = Upstream("booking_vendor", settings, http, ProcessAdmission("booking_vendor"), NoTrail())
        return await one.send(upstream)


async def failure(url, one):
    with pytest.raises(errors.CallFailed) as caught:
        await send(url, one)
    return caught.value


async def test_each_report_has_a_connection_of_its_own_and_no_key(server):
    ports = set()

    async def noted(request):
        ports.add(request.transport.get_extra_info("peername")[1])
        return await answering(200, b"")(request)

    server.answers = [noted]
    settings = BookingVendorSettings()
    async with HttpClient(server.url, settings) as http:
        upstream = Upstream("booking_vendor", settings, http, ProcessAdmission("booking_vendor"), NoTrail())
        for _ in range(3):
            await delivery().send(upstream)
    assert len(ports) == 3
    assert all("Idempotency-Key" not in request.headers for request in server.requests)
    assert all("CivilRegistrationIdentifier" not in request.headers for request in server.requests)


async def test_a_vendor_that_honours_a_key_gets_the_reports_id(server):
    server.answers = [answering(201, b'{"sagsnummer": " FM-1 "}')]
    assert await send(server.url, delivery(idempotent=True)) == "FM-1"
    assert server.requests[0].headers["Idempotency-Key"] == "a-report"


async def test_the_author_is_in_a_header_where_the_vendor_is_told(server):
    server.answers = [answering(200, b"")]
    await send(server.url, delivery(CITIZEN))
    assert server.requests[0].headers["CivilRegistrationIdentifier"] == CITIZEN.digits
    assert CITIZEN.digits not in str(server.requests[0].url) + repr(delivery(CITIZEN))


@pytest.mark.parametrize("url", [NOBODY, "http://vendor.invalid", "https://127.0.0.1:1"])
async def test_of_a_report_that_was_never_written_the_vendor_knows_nothing(url):
    one = delivery()
    assert not one.is_unknown(await failure(url, one))


@pytest.mark.parametrize("end", [hang, reset])
async def test_a_report_that_got_no_answer_may_be_there(server, end):
    server.answers = [end]
    assert delivery().is_unknown(await failure(server.url, delivery()))
    assert not delivery(idempotent=True).is_unknown(await failure(server.url, delivery(idempotent=True)))


async def test_an_answer_that_is_cut_off_has_said_what_matters(server):
    server.answers = [truncated]
    assert await send(server.url, delivery()) is None


@pytest.mark.parametrize(
    ("status", "error", "unknown"),
    [
        (400, errors.BadRequest, False),
        (401, errors.NotAuthorised, False),
        (408, errors.UpstreamUnavailable, False),
        (409, errors.BadRequest, False),
        (429, errors.RateLimited, False),
        (500, errors.UpstreamUnavailable, False),
        (502, errors.UpstreamUnavailable, True),
        (503, errors.UpstreamUnavailable, False),
        (504, errors.UpstreamUnavailable, True),
        (303, errors.InvalidResponse, True),
    ],
)
@pytest.mark.parametrize("body", [b"{}", b"x" * (2 * 1024**2 + 1)], ids=["read", "too_long_to_be_read"])
async def test_a_status_means_the_same_whether_its_body_is_read_or_not(server, status, error, unknown, body):
    server.answers = [answering(status, body, **{"Retry-After": "7"})]
    failed = await failure(server.url, delivery())
    assert (type(failed), delivery().is_unknown(failed)) == (error, unknown)


async def test_a_page_for_people_is_no_receipt(server):
    server.answers = [answering(200, b"<html>Log ind</html>", content_type="text/html")]
    assert delivery().is_unknown(await failure(server.url, delivery()))


async def test_an_empty_answer_is_a_receipt_whatever_its_type(server):
    server.answers = [answering(200, b" \r\n", content_type="text/html")]
    assert await send(server.url, delivery()) is None
