"""The API is what its OpenAPI document says, whatever is thrown at it: no 5xx, and every answer as documented."""

import asyncio
import threading
from contextlib import suppress
from datetime import timedelta

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from config.celery import QUEUES
from domain.overview import KONTAKTFORLOEB
from portal import api
from registerbro.services import Services
from registerbro.storage.coordination import queue_liveness
from tests.portal.conftest import CITIZEN_SCOPE, settle
from tests.support import examples

EVERY_SCOPE = f"{CITIZEN_SCOPE} ops:read ops:write"
EXAMPLES = examples(15, least=3)
NOT_PROMISED = [
    checks.positive_data_acceptance,  # what R9 says of a text, JSON Schema cannot: it counts other characters
    checks.negative_data_rejection,  # parameters that no call knows are ignored, as everywhere on the web
]
NO_HTTP = (400, b"Invalid HTTP request received.")
"""What the server says of a request that no API sees, such as one with an empty Content-Length."""
STREAMS = "/v1/overview/events"
"""Ends only when every register is settled; it has tests of its own."""


@pytest.fixture
def served(settings, empty_redis, monkeypatch):
    """Served from a thread, since schemathesis calls without a loop; with a sign of life from every queue.

    It lasts as long as a busy machine may take, since a mark that lasts longer than any is kept says nothing.

    The register of deadlines has answered, so that a deadline is not the citizen's and need not be waited for.
    """
    monkeypatch.setattr(queue_liveness, "HEARTBEAT_KEPT_FOR", timedelta(hours=1))
    with empty_redis["broker"].client() as broker:
        for queue in QUEUES:
            broker.set(f"alive:{queue}", 1, ex=timedelta(hours=1))
    asyncio.run(_deadlines_are_known(settings))
    server = uvicorn.Server(uvicorn.Config(api.create(settings), port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    (listening, *_) = server.servers[0].sockets
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


async def _deadlines_are_known(settings):
    services = Services(settings)
    await settle(services, KONTAKTFORLOEB)
    await services.close()


@pytest.fixture(params=["valid", "operator", "wrong", "none"])
def headers(request, signer):
    tokens = {
        "valid": signer.token(scope=EVERY_SCOPE),
        "operator": signer.token(None, scope=EVERY_SCOPE),
        "wrong": "x.y.z",
    }
    return {"Authorization": f"Bearer {tokens[request.param]}"} if request.param in tokens else {}


@pytest.fixture
def own_settings():
    return {"REFRESHES_PER_MINUTE": "100000"}


@pytest.fixture
def contract(served):
    return schemathesis.openapi.from_url(f"{served}/openapi.json")


@pytest.mark.parametrize("generation", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_as_documented(contract, headers, generation):
    for found in contract.exclude(path=STREAMS).get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=generation))
        @hypothesis_settings(
            max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
        )
        def each(case):
            answer = case.call(headers=headers, timeout=30)
            if (answer.status_code, answer.content) != NO_HTTP:
                case.validate_response(answer, excluded_checks=NOT_PROMISED)

        with suppress(Unsatisfiable):  # a call that takes nothing cannot be given anything wrong
            each()


def test_every_call_has_examples_and_every_problem_its_name(contract):
    paths = contract.raw_schema["paths"]
    assert {"/v1/overview", "/v1/overview/refresh", STREAMS, "/v1/banner", "/v1/fault-reports"} <= set(paths)
    assert paths["/v1/overview"]["get"]["responses"]["200"]["content"]["application/json"]["example"]["overviews"]
    names = contract.raw_schema["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert {"outside-target-group", "fault-report-too-long", "rate-limited", "unauthorised"} <= set(names)
