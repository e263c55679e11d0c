"""HEAD answers what GET does, without its body, whatever is asked for."""

import asyncio

import pytest

from domain.overview import REGISTERS
from portal import api
from tests.portal.conftest import problem, settle

CHANGING = {"date", "traceparent"}
OF_CONTENT = {"transfer-encoding"}
"""What an answer without content may leave out (RFC 9110, 9.3.2)."""
FIGURES = {"/v1/registers"}
"""What says something else at each moment, and so may be of another length."""
OPERATOR = "ops:read ops:write"


def same(headers, path):
    changing = CHANGING | ({"content-length"} if path in FIGURES else set())
    return {name: value if name not in changing else "" for name, value in headers.items() if name not in OF_CONTENT}


def gets(settings):
    paths = api.create(settings).openapi()["paths"]
    return [
        path.replace("{report_id}", "0192f0c1-7a3e-4c8e-9d51-5a3b2c1d0e9f") for path in paths if "get" in paths[path]
    ]


async def test_head_is_get_without_its_body_for_every_address(client, settings, services):
    for register in REGISTERS:
        await settle(services, register)
    paths = {*gets(settings), "/openapi.json"}
    assert len(paths) > 10
    for path in sorted(paths - {"/metrics"}):
        token = client.signer.token(scope=OPERATOR) if path in {"/v1/registers", "/v1/fault-reports"} else None
        asked = f"{path}?deadline=x" if path == "/v1/booking/times" else path
        got, head = await client.get(asked, token), await client.call("HEAD", asked, token)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert same(head.headers, path) == same(got.headers, path), path


async def test_the_metrics_have_a_head(client):
    head = await client.call("HEAD", "/metrics", "")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0


async def test_head_of_events_does_not_wait_for_any(client):
    """Nothing is in the cache and nobody works at it, so that the events go on for as long as a register may take."""
    async with asyncio.timeout(8):
        head = await client.call("HEAD", "/v1/overview/events")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert head.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/overview"])
async def test_head_needs_the_same_token_and_is_logged_as_what_it_is(client, logged, path):
    got, head = await client.get(path, ""), await client.call("HEAD", path, "")
    assert head.status_code == got.status_code
    # The line is written once the answer is out, and before the next request on its connection is begun.
    await client.get("/healthz", "")
    told = [(one["method"], one["route"]) for one in logged if one["event"] == "request_answered"]
    assert told[:2] == [("GET", path), ("HEAD", path)]


async def test_a_refused_method_names_head_among_those_there_are(client):
    answer = await client.post("/healthz")
    assert problem(answer) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_what_has_no_get_has_no_head(client):
    head = await client.call("HEAD", "/v1/overview/refresh")
    assert (head.status_code, head.headers["allow"], head.content) == (405, "POST", b"")
