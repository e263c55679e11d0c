"""One trace from the portal's request through the queue to the register's call, recorded where that is wanted."""

import asyncio
import json
from datetime import timedelta
from itertools import pairwise

import httpx
import pytest

from demo import tokens
from demo.installation import installation, wait_for
from domain.cpr import LOOKS_LIKE_CPR, Cpr
from registerbro.telemetry import trace
from registerbro.telemetry.trace import Context
from simulators import citizens
from simulators.control import Control
from tests.collector import Collector

ME = citizens.EXAMPLE.cpr
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("flags", ["00", "01"])
def test_a_traceparent_is_read_and_written_as_it_was(flags):
    header = f"00-{TRACE}-{SPAN}-{flags}"
    assert trace.parse(header).header == header


@pytest.mark.parametrize(
    "header",
    [None, "", "rubbish", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"01-{TRACE}-{SPAN}-01", b"00", 7],
)
def test_what_is_no_traceparent_is_none(header):
    assert trace.parse(header) is None


def test_a_step_within_another_is_of_the_same_trace_and_the_first_is_of_a_new_one():
    with trace.span("a") as outer, trace.span("b") as inner:
        assert inner.context.trace_id == outer.context.trace_id
        assert inner.context.span_id != outer.context.span_id
    assert trace.current() is None
    with trace.span("c") as other:
        assert other.context.trace_id != outer.context.trace_id


def test_no_id_looks_like_a_cpr_number():
    """Redaction would hide it in the log, and the trace could not be followed there."""
    for _ in range(5000):
        with trace.span("a") as span:
            assert not LOOKS_LIKE_CPR.search(span.context.trace_id)
            assert not LOOKS_LIKE_CPR.search(span.context.span_id)


def test_what_was_not_to_be_sampled_stays_so():
    with trace.span("a", parent=Context(TRACE, SPAN, sampled=False)) as span:
        assert span.context.header.endswith("-00")


async def test_steps_at_the_same_time_do_not_meet():
    async def step():
        with trace.span("a") as span:
            await asyncio.sleep(0)
            return span.context.trace_id == trace.current().trace_id, span.context.trace_id

    steps = await asyncio.gather(*(step() for _ in range(20)))
    assert all(same for same, _ in steps)
    assert len({trace_id for _, trace_id in steps}) == 20


@pytest.mark.parametrize("inside", [True, False])
def test_a_message_carries_the_trace_that_it_was_published_in(app, empty_redis, inside):
    if inside:
        with trace.span("request", parent=Context(TRACE, SPAN)):
            app.send_task("su.refresh", args=["a" * 52], queue="su")
    else:
        app.send_task("su.refresh", args=["a" * 52], queue="su")
    with empty_redis["broker"].client() as client:
        headers = json.loads(client.lindex("su", 0))["headers"]
    assert (headers.get("traceparent", "").split("-")[1:2] == [TRACE]) is inside


@pytest.fixture
def collector():
    with Collector() as it:
        yield it


@pytest.fixture
def endpoint(collector):
    return collector.url


@pytest.fixture
def here(tmp_path, empty_redis, endpoint):
    with installation(tmp_path, {"TRACING_ENDPOINT": endpoint} if endpoint else {}) as it:
        it.use_redis(empty_redis).start_simulators().start_portal()
        worker = it.start_worker("udb")
        wait_for(lambda: worker.has_logged("worker_ready"), "the worker")
        yield it


def refresh(here):
    """Asks for a page as a portal does; returns the `traceparent` with which the register was called."""
    token = tokens.sign(
        (here.directory / "signing-key.pem").read_bytes(), issuer="registerbro-demo", audience="registerbro",
        cpr=Cpr.parse(ME), contact_groups=[12], education_order=False, lasts=timedelta(hours=1),
    )  # fmt: skip
    headers = {"Authorization": f"Bearer {token}", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    answer = httpx.post(f"{here.portal_url}/v1/overview/refresh", headers=headers, timeout=30)
    assert answer.status_code == 202
    with Control(here.upstreams) as control:
        wait_for(lambda: control.calls("udb").total > 0, "the call")
        called = control.calls("udb").calls[0].traceparent
    for name in ("worker-udb", "portal"):
        here.processes[name].stop()
    return called


@pytest.mark.xdist_group("processes")
def test_the_trace_of_a_request_reaches_the_register_and_each_step_is_recorded_without_a_citizen(here, collector):
    called = refresh(here)
    spans = {span.name: span for span in collector.spans if span.trace_id.hex() == TRACE}
    steps = ["POST /v1/overview/refresh", "run udb.refresh", "ask udb", "call udb"]
    assert set(steps) <= set(spans)
    assert spans[steps[0]].parent_span_id.hex() == SPAN
    for parent, child in pairwise(steps):
        assert spans[child].parent_span_id == spans[parent].span_id
    assert called == f"00-{TRACE}-{spans['call udb'].span_id.hex()}-01"
    assert not [number for number in (ME, f"{ME[:6]}-{ME[6:]}", "Bearer") if number.encode() in collector.bodies]


@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize("endpoint", [None])
def test_without_an_endpoint_nothing_is_recorded_and_the_logs_can_be_joined_all_the_same(here, collector, endpoint):
    assert refresh(here).split("-")[1] == TRACE
    assert collector.spans == []
    for name in ("portal", "worker-udb"):
        lines = [json.loads(line) for line in here.processes[name].log.read_text().splitlines() if line[:1] == "{"]
        joined = [line["event"] for line in lines if line.get("trace_id") == TRACE]
        assert {"portal": "request_answered", "worker-udb": "refresh_ended"}[name] in joined


def test_an_endpoint_without_the_extra_is_one_line(monkeypatch, make_settings):
    import sys

    from config.settings import SettingsError
    from registerbro.telemetry import otel

    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match="TRACING_ENDPOINT: needs the extra"):
        otel.enable(make_settings(TRACING_ENDPOINT="http://127.0.0.1:4318/v1/traces"), "test")
