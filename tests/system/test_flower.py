"""The real Flower over real workers: it shows them to who signed in, and nothing of a citizen, and changes nothing."""

import re
import time
from datetime import date

import httpx
import pytest

from config.celery import QUEUES, WORKERS
from config.settings import PREFIX
from demo.installation import free_port, installation, listens
from domain.citizen import Citizen
from domain.cpr import Cpr
from registerbro.fault_reports import submit
from registerbro.refresh.request import Reason, request_due
from registerbro.services import Services
from simulators import citizens
from tests.support import app_for_environment

pytestmark = pytest.mark.xdist_group("processes")

TEXT = "Zebrafinken sang da mødet blev aflyst"
PAGES = ["/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks", "/api/queues/length", "/api/task/types"]


@pytest.fixture(scope="module")
def here(tmp_path_factory, redis_servers):
    for server in redis_servers.values():
        with server.client() as client:
            client.flushall()
    with installation(tmp_path_factory.mktemp("flower"), {"METRICS_PORT": ""}) as it:
        it.use_redis(redis_servers).start_simulators().start_workers()
        it.settings["METRICS_PORT"] = str(free_port())
        yield it.start_flower()


@pytest.fixture
def flower(here):
    with httpx.Client(base_url=here.flower_url, follow_redirects=False, timeout=30) as client:
        yield client


@pytest.fixture
def stranger(here):
    with httpx.Client(base_url=re.sub("//.*@", "//", here.flower_url), timeout=30) as client:
        yield client


@pytest.fixture
async def page_and_report(here, clean_environment):
    """Every constructed citizen's page was asked for, and one has handed in a fault report."""
    from config import settings as module

    for name, value in here.environment.items():
        clean_environment.setenv(name, value)
    # Another test of this process may have left the app with a broker of its own.
    app_for_environment()
    services = Services(module.settings())
    today = date(2026, 11, 23)
    for one in citizens.CITIZENS:
        who = Citizen(Cpr.parse(one.cpr), frozenset({12}), education_order=False)
        await request_due(services, who, reason=Reason.CITIZEN, today=today)
    await submit.submit(services, Cpr.parse(citizens.CITIZENS[0].cpr), TEXT, idempotency_key="k")
    yield
    await services.close()
    module.settings.cache_clear()


def until(look, within=60.0):
    ends = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < ends
        time.sleep(0.2)
    return found


def test_workers_tasks_and_queues_are_there(flower, page_and_report):
    workers = until(
        lambda: (seen := flower.get("/api/workers?refresh=1").json()) and len(seen) == len(WORKERS) and seen
    )
    consumed = {queue["name"] for worker in workers.values() for queue in worker["active_queues"]}
    assert consumed == set(QUEUES)
    queues = flower.get("/api/queues/length").json()["active_queues"]
    assert {queue["name"] for queue in queues} == set(QUEUES)
    until(
        lambda: (
            (seen := {task["name"] for task in flower.get("/api/tasks").json().values()})
            and {"udb.refresh", "booking_vendor.deliver", "su.alive"} <= seen
        )
    )
    for service in WORKERS:
        assert f"worker-{service}@" in flower.get("/workers").text
    assert flower.get("/broker").status_code == 200


def test_no_page_and_no_answer_holds_a_cpr_number_or_the_text_of_a_report(flower, page_and_report):
    until(lambda: "booking_vendor.deliver" in flower.get("/api/tasks?limit=500").text)
    seen = [flower.get(page).text for page in PAGES]
    seen += [flower.get(f"/task/{task}").text for task in list(flower.get("/api/tasks?limit=500").json())[:100]]
    seen += [flower.get(f"/worker/{name}").text for name in flower.get("/api/workers").json()]
    seen.append(flower.get("/tasks/datatable?draw=1&start=0&length=500&search[value]=&order[0][column]=0"
                           "&order[0][dir]=asc&columns[0][data]=name").text)  # fmt: skip
    everything = "".join(seen)
    assert "udb.refresh" in everything
    for one in citizens.CITIZENS:
        assert one.cpr not in everything
        assert f"{one.cpr[:6]}-{one.cpr[6:]}" not in everything
    assert "Zebra" not in everything


@pytest.mark.parametrize("page", PAGES)
def test_nobody_sees_anything_without_signing_in(stranger, page):
    assert stranger.get(page).status_code == 401
    assert stranger.get(page, auth=("demo", "wrong")).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/worker/shutdown/{worker}",
        "/api/worker/pool/restart/{worker}",
        "/api/worker/pool/grow/{worker}",
        "/api/worker/pool/shrink/{worker}",
        "/api/worker/queue/add-consumer/{worker}?queue=udb",
        "/api/worker/queue/cancel-consumer/{worker}?queue=udb",
        "/api/task/send-task/udb.sweep",
        "/api/task/async-apply/udb.sweep",
        "/api/task/apply/udb.sweep",
        "/api/task/revoke/some-id?terminate=true",
        "/api/task/timeout/udb.sweep?hard=1",
        "/api/task/rate-limit/udb.sweep?ratelimit=1",
        "/api/task/abort/some-id",
    ],
)
def test_nobody_changes_anything_also_who_signed_in(flower, here, path):
    worker = next(iter(until(lambda: flower.get("/api/workers?refresh=1").json())))
    assert flower.post(path.format(worker=worker), json={"args": []}).status_code == 403
    assert all(process.runs for process in here.processes.values())


def test_its_metrics_are_where_the_internal_network_reaches_them_and_not_on_its_own_port(flower, stranger, here):
    assert flower.get("/metrics").status_code == 404
    assert stranger.get("/metrics").status_code in {401, 404}
    port = here.settings["METRICS_PORT"]
    assert "flower_events_total" in httpx.get(f"http://127.0.0.1:{port}/metrics").text


def test_its_metrics_hold_nothing_of_a_citizen(here, page_and_report):
    told = httpx.get(f"http://127.0.0.1:{here.settings['METRICS_PORT']}/metrics").text
    assert not [one.cpr for one in citizens.CITIZENS if one.cpr in told]


def test_before_there_is_any_worker_it_shows_every_queue(tmp_path):
    with installation(tmp_path) as here:
        here.start_redis().start_flower()
        with httpx.Client(base_url=here.flower_url, timeout=30) as flower:
            assert flower.get("/api/workers?refresh=1").json() == {}
            queues = flower.get("/api/queues/length").raise_for_status().json()["active_queues"]
            page = flower.get("/broker").raise_for_status().text
    assert [queue for queue in QUEUES if queue not in page] == []
    assert {queue["name"]: queue["messages"] for queue in queues} == dict.fromkeys(QUEUES, 0)


@pytest.mark.parametrize("missing", ["FLOWER__USER", "FLOWER__PASSWORD"])
def test_flower_does_not_start_open_to_everybody(tmp_path, redis_servers, missing):
    port = free_port()
    values = {"FLOWER__USER": "demo", "FLOWER__PASSWORD": "secret", "FLOWER__PORT": str(port), missing: ""}
    with installation(tmp_path, values) as here:
        from demo.installation import _CELERY

        process = here.use_redis(redis_servers)._run("flower", [*_CELERY, "flower"], here.environment)
        assert process.popen.wait(60) == 1
        assert process.log.read_text().strip().splitlines()[-1] == f"registerbro: {PREFIX}{missing}: is missing"
        assert not listens(port)
