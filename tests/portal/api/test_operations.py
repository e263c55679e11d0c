"""What operators and machines ask: overrides, alive, ready, metrics."""

import pytest

from config.celery import QUEUES
from config.settings import ADMISSIONS
from portal.api import tokens
from redis_admission import Override
from registerbro.storage.coordination import partial_answers, queue_liveness
from tests.portal.conftest import Signer, problem


@pytest.mark.parametrize("upstream", ADMISSIONS)
async def test_an_override_is_in_force_for_everybody_and_is_lifted(client, signer, services, upstream):
    token = signer.token(None, scope="ops:write", sub="vagten")
    path = f"/v1/registers/{upstream}/override"
    answer = await client.put(path, token, json={"override": "forced_open", "reason": "varslet vedligehold"})
    assert answer.json() == {"name": upstream, "override": "forced_open"}
    ordered = await services.overrides.get(upstream)
    assert (ordered.override, ordered.by, ordered.reason) == (Override.FORCED_OPEN, "vagten", "varslet vedligehold")
    assert (await services.admission(upstream).status())["override"] == Override.FORCED_OPEN
    assert (await client.put(path, token, json={"override": None})).json()["override"] is None
    assert await services.overrides.get(upstream) is None
    assert "override" not in await services.admission(upstream).status()


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("nobody", {"override": None}, (404, "not-found")),
        ("udb", {"override": "forced_open"}, (422, "invalid-request")),
        ("udb", {"override": "forced_open", "reason": "  "}, (422, "invalid-request")),
        ("udb", {"override": "closed", "reason": "x"}, (422, "invalid-request")),
        ("udb", {"reason": "x"}, (422, "invalid-request")),
        *[
            ("udb", {"override": "forced_open", "reason": f"x{one}"}, (422, "invalid-request"))
            for one in ("\x1b[2J", "\n", "\t", "\x00", "\x7f", "\x9b", "\u202e", "\u2066", "\u200b", "\u2028", "\ufeff")
        ],
    ],
)
async def test_an_order_that_says_nothing_is_refused(client, signer, name, body, expected):
    answer = await client.put(f"/v1/registers/{name}/override", signer.token(None, scope="ops:write"), json=body)
    assert problem(answer) == expected


async def test_a_register_of_whose_answers_items_were_left_out_is_told_as_partial(client, signer, services):
    await partial_answers.record(services.coordination, "eindkomst", {"period": 3})
    answer = await client.get("/v1/registers", signer.token(None, scope="ops:read"))
    found = {name: one["partial"] for name, one in answer.json()["registers"].items() if one["partial"]}
    assert list(found) == ["eindkomst"]
    assert (found["eindkomst"]["items"], found["eindkomst"]["kinds"]) == (3, {"period": 3})


async def test_it_is_alive_whatever_is_missing(client, redis_servers):
    assert (await client.get("/healthz", "")).json() == {"status": "alive"}


async def test_it_is_ready_when_every_queue_has_shown_a_sign_of_life(client, services):
    before = await client.get("/readyz", "")
    assert (before.status_code, before.json()["ready"]) == (503, False)
    assert before.json()["redis"] == {"broker": True, "ledger": True, "cache": True}
    for queue in QUEUES:
        await queue_liveness.mark(services.coordination, queue)
    after = await client.get("/readyz", "")
    assert (after.status_code, after.json()["ready"]) == (200, True)
    assert after.json()["key_set"] == {"usable": True, "current": True}


async def test_it_is_not_ready_before_it_has_a_key_set_and_says_when_that_is_an_old_one(
    client, services, signer, monkeypatch
):
    monkeypatch.setattr(tokens, "AGAIN_AFTER_SECONDS", 0.0)
    for queue in QUEUES:
        await queue_liveness.mark(services.coordination, queue)
    good = signer.path.read_bytes()
    signer.path.write_bytes(b"{")
    without = await client.get("/readyz", "")
    assert (without.status_code, without.json()["key_set"]) == (503, {"usable": False, "current": False})
    signer.path.write_bytes(good)
    assert (await client.get("/readyz", "")).json()["key_set"] == {"usable": True, "current": True}
    signer.path.write_bytes(b"{")
    await client.get("/v1/banner", Signer(signer.path.with_name("other.json"), "unknown").token(key="unknown"))
    later = await client.get("/readyz", "")
    assert (later.status_code, later.json()["key_set"]) == (200, {"usable": True, "current": False})


@pytest.mark.parametrize("server", ["broker", "ledger", "cache"])
@pytest.mark.xdist_group("processes")
async def test_it_is_not_ready_without_a_redis_and_names_it(client, services, redis_servers, server):
    redis_servers[server].stop()
    try:
        answer = await client.get("/readyz", "")
    finally:
        redis_servers[server].start()
    assert answer.status_code == 503
    assert [name for name, is_there in answer.json()["redis"].items() if not is_there] == [server]


async def test_metrics_are_prometheus_text(client):
    answer = await client.get("/metrics", "")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "registerbro_upstream_calls_total" in answer.text
