"""The page over HTTP: always answered, never another citizen's, and told of as it fills."""

import asyncio
import json
import signal
from datetime import timedelta

import pytest

from domain.cpr import Cpr
from domain.overview import REGISTERS, SECTIONS, UNAVAILABLE_TEXT
from domain.service_windows import danish_today
from portal.api import dependencies, overview, pages
from portal.api.overview import DISMISSALS_PER_MINUTE
from registerbro import rules
from registerbro.storage.coordination import unknown_values
from registerbro.storage.keys import ACTIVE_KEY, entry_key
from tests.portal.conftest import JOB, ME, OTHER, problem, sections, settle
from tests.support import group_12_until

HOUR = timedelta(hours=1)


def queued(empty_redis):
    """Which refreshes lie in the queues."""
    with empty_redis["broker"].client() as broker:
        return {name for name in REGISTERS if broker.llen(name)}


async def settle_all(services, cpr=ME):
    for register in REGISTERS:
        await settle(services, register, {"employments": [JOB]} if register == "eindkomst" else None, cpr)


async def test_a_page_with_nothing_in_the_cache_is_pending_and_is_asked_for(client, empty_redis):
    answer = await client.get("/v1/overview")
    assert answer.status_code == 200
    assert {section["state"] for section in sections(answer).values()} == {"pending"}
    assert answer.json()["complete"] is False
    assert queued(empty_redis) == set(REGISTERS)


async def test_the_page_is_as_documented(client, services):
    await settle_all(services)
    answer = await client.get("/v1/overview")
    assert list(sections(answer)) == [section.id for section in SECTIONS]
    found = sections(answer)["employments"]
    assert found.pop("fetched_at").endswith("Z")
    assert found == {
        "id": "employments", "register": "eindkomst", "state": "ready", "source": "eIndkomst", "stale": False,
        "retry_after": None, "message": None,
        "items": [{"employer": "Føtex", "start": "2019-01-01", "end": "2020-05-31"}],
    }  # fmt: skip
    assert answer.json()["complete"] is True
    assert answer.headers["cache-control"] == "no-store"


async def test_a_page_that_is_fresh_asks_for_nothing(client, services, empty_redis):
    await settle_all(services)
    await client.get("/v1/overview")
    assert queued(empty_redis) == set()


async def test_old_data_are_shown_and_asked_for_anew(client, services, empty_redis):
    await settle_all(services)
    await settle(services, "eindkomst", {"employments": [JOB]}, age=13 * HOUR)
    with empty_redis["cache"].client() as cache:
        cache.delete(entry_key(services.citizens.id_of(Cpr.parse(ME)), "eindkomst"))
    await settle(services, "eindkomst", {"employments": [JOB]}, age=13 * HOUR)
    answer = await client.get("/v1/overview")
    assert (sections(answer)["employments"]["state"], sections(answer)["employments"]["stale"]) == ("ready", True)
    assert queued(empty_redis) == {"eindkomst"}


async def test_nobody_sees_another_citizens_page(client, services, signer):
    await settle_all(services, OTHER)
    assert {section["state"] for section in sections(await client.get("/v1/overview")).values()} == {"pending"}
    mine = await client.get("/v1/overview", signer.token(OTHER))
    assert sections(mine)["employments"]["items"]


@pytest.mark.parametrize(
    "claims",
    [{"contact_groups": [2]}, {"contact_groups": [1]}, {"contact_groups": []}, {"cpr": "8311014255"}],
    ids=["another group", "without an order", "no group", "turned 25"],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/overview"), ("POST", "/v1/overview/refresh"), ("GET", "/v1/overview/events")],
)
async def test_outside_the_target_group_there_is_no_page_and_nothing_is_fetched(
    client, signer, empty_redis, claims, method, path
):
    order = {"contact_groups": [1], "education_order": True} if "cpr" in claims else {}
    answer = await client.call(method, path, signer.token(**{"cpr": ME, **order, **claims}))
    assert problem(answer) == (403, "outside-target-group")
    assert queued(empty_redis) == set()


async def test_who_leaves_the_target_group_leaves_the_schedule(client, services, signer):
    await client.post("/v1/overview/refresh")
    assert await services.coordination.zcard(ACTIVE_KEY) == 1
    await client.get("/v1/overview", signer.token(contact_groups=[2]))
    assert await services.coordination.zcard(ACTIVE_KEY) == 0


# A law that ends group 12 tonight, and begins group 40 tomorrow, in a file that is changed while the API serves.

TODAY = danish_today()
TOMORROW = TODAY + timedelta(days=1)
LAW = group_12_until(TODAY)


@pytest.fixture
def night(monkeypatch):
    """Midnight in Denmark passes."""

    def passes():
        for module in (dependencies, overview, pages):
            monkeypatch.setattr(module, "danish_today", lambda: TOMORROW)

    return passes


class TestARulesFile:
    """Changed while the API serves; it is looked at again at each request, and not once in a second."""

    @pytest.fixture
    def own_settings(self, rules_file, monkeypatch):
        monkeypatch.setattr(rules, "LOOK_EVERY_SECONDS", 0)
        return {"RULES_FILE": str(rules_file)}

    async def seen(self, client, signer, group):
        """Status of the page and of a refresh, and whether the banner is there, for a citizen in a contact group."""
        token = signer.token(contact_groups=[group])
        page, banner = await client.get("/v1/overview", token), await client.get("/v1/banner", token)
        refreshed = await client.post("/v1/overview/refresh", token)
        return page.status_code, refreshed.status_code, banner.json()["in_target_group"]

    async def test_the_evening_before_and_the_morning_after_each_go_by_their_rule_without_a_restart(
        self, client, signer, rules_file, night
    ):
        inside, outside = (200, 202, True), (403, 403, False)
        assert [await self.seen(client, signer, group) for group in (12, 28, 40)] == [inside, inside, outside]
        rules_file.write_text(LAW, encoding="utf-8")
        assert [await self.seen(client, signer, group) for group in (12, 28, 40)] == [inside, outside, outside]
        night()
        assert [await self.seen(client, signer, group) for group in (12, 28, 40)] == [outside, outside, inside]

    async def test_a_file_with_a_gap_is_refused_with_its_line_and_the_rules_of_before_stay(
        self, client, signer, rules_file, night, logged
    ):
        rules_file.write_text(LAW, encoding="utf-8")
        assert (await self.seen(client, signer, 40))[2] is False
        later = LAW.replace(f"from = {TOMORROW}", f"from = {TOMORROW + timedelta(days=1)}")
        rules_file.write_text(later, encoding="utf-8")
        night()
        assert (await self.seen(client, signer, 40))[2] is True
        (line,) = [line for line in logged if line["event"] == "rules_not_reloaded"]
        assert line["detail"].startswith(f"{rules_file}:7: [[target_group]]: a gap: ")

    async def test_who_comes_in_is_in_the_schedule_with_their_first_visit(
        self, client, services, signer, rules_file, night
    ):
        rules_file.write_text(LAW, encoding="utf-8")
        night()
        await client.get("/v1/overview", signer.token(contact_groups=[40]))
        assert await services.coordination.zcard(ACTIVE_KEY) == 1
        known = await services.citizens.recall_with_standing(services.citizens.id_of(Cpr.parse(ME)))
        assert known.citizen.contact_groups == {40}


async def test_a_contact_group_that_no_table_knows_is_told_and_the_others_decide(client, services, signer, logged):
    answer = await client.get("/v1/overview", signer.token(contact_groups=[12, 77]))
    assert answer.status_code == 200
    assert [line["value"] for line in logged if line["event"] == "unknown_contact_group"] == ["77"]
    async with asyncio.timeout(30):
        while not (found := await unknown_values.status(services.coordination)):  # noqa: ASYNC110 - it is in Redis
            await asyncio.sleep(0.01)
    assert found["portal"].values == {"contact_group 77": 1}


async def test_looking_at_a_fresh_page_keeps_the_schedule_going(client, services):
    await settle_all(services)
    await client.get("/v1/overview")
    async with asyncio.timeout(30):
        while not await services.coordination.zcard(ACTIVE_KEY):  # noqa: ASYNC110 - it is noted beside the answer
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("server", ["cache", "broker", "ledger"])
@pytest.mark.parametrize("frozen", [False, True], ids=["gone", "frozen"])
@pytest.mark.xdist_group("processes")
async def test_without_a_redis_the_page_says_so_and_is_answered(client, redis_servers, server, frozen):
    if frozen:
        redis_servers[server].process.signal(signal.SIGSTOP)
    else:
        redis_servers[server].stop()
    try:
        answer = await client.get("/v1/overview")
        banner = await client.get("/v1/banner")
    finally:
        redis_servers[server].process.signal(signal.SIGCONT)
        if not frozen:
            redis_servers[server].start()
    assert (answer.status_code, banner.status_code) == (200, 200)
    print(server, answer.elapsed, banner.elapsed)
    expected = {("pending", None)} if server == "ledger" else {("unavailable", UNAVAILABLE_TEXT)}
    assert {(section["state"], section["message"]) for section in sections(answer).values()} == expected


async def test_a_refresh_says_what_it_came_to_per_register(client, services):
    await settle(services, "su")
    answer = await client.post("/v1/overview/refresh")
    assert answer.status_code == 202
    states = {name: one["state"] for name, one in answer.json()["registers"].items()}
    assert states == {"udb": "pending", "su": "fresh", "eindkomst": "pending", "ydelse": "pending"}


class TestTooMany:
    @pytest.fixture
    def own_settings(self):
        return {"REFRESHES_PER_MINUTE": "3"}

    async def test_a_citizen_who_asks_too_often_is_told_to_wait_and_nobody_else_is(self, client, signer):
        answers = [await client.post("/v1/overview/refresh") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
        assert problem(answers[-1]) == (429, "rate-limited")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert (await client.post("/v1/overview/refresh", signer.token(OTHER))).status_code == 202
        assert (await client.get("/v1/overview")).status_code == 200


class Events:
    """Reads a stream of server-sent events."""

    def __init__(self, answer):
        self._lines = answer.aiter_lines()

    async def __aiter__(self):
        event = {}
        async for line in self._lines:
            if not line and event:
                yield event["event"], json.loads(event["data"])
                event = {}
            name, _, value = line.partition(": ")
            if name in {"event", "data"}:
                event[name] = value


async def test_sections_are_told_of_as_they_land_and_the_stream_ends(client, services):
    seen = []
    token = client.signer.token()
    headers = {"Authorization": f"Bearer {token}"}
    async with asyncio.timeout(30), client.http.stream("GET", "/v1/overview/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        left = ["su", "ydelse", "eindkomst", "udb"]
        await settle(services, left.pop())
        async for event, section in Events(answer):
            seen.append((event, section.get("id"), section.get("state")))
            register = section.get("register")
            if left and register:
                await settle(services, left.pop())
    assert seen[-1] == ("settled", None, None)
    assert sorted(name for event, name, _ in seen[:-1]) == sorted(section.id for section in SECTIONS)


async def test_a_page_that_is_settled_is_told_at_once(client, services):
    await settle_all(services)
    answer = await client.get("/v1/overview/events")
    assert answer.text.count("event: section") == len(SECTIONS)
    assert answer.text.rstrip().endswith("event: settled\ndata: {}")


@pytest.mark.xdist_group("processes")
async def test_the_events_survive_a_restart_of_redis(client, services, redis_servers):
    """The cache comes back empty: what was being fetched is asked for again, and told of when it is there."""
    headers = {"Authorization": f"Bearer {client.signer.token()}"}
    async with asyncio.timeout(60), client.http.stream("GET", "/v1/overview/events", headers=headers) as answer:
        redis_servers["cache"].stop()
        await asyncio.sleep(0.5)
        redis_servers["cache"].start()
        await settle_all(services)
        seen = [(event, section.get("state")) async for event, section in Events(answer)]
    assert ("section", "unavailable") not in seen
    assert ("section", "ready") in seen
    assert seen[-1] == ("settled", None)


class TestNobodyComes:
    @pytest.fixture
    def own_settings(self):
        """A section is pending for its register's time and five seconds more."""
        return {
            f"{name}__{limit}_TIMEOUT": "PT0.5S" for name in map(str.upper, REGISTERS) for limit in ("ATTEMPT", "TOTAL")
        }

    async def test_the_stream_ends_by_itself_and_says_so(self, client):
        async with asyncio.timeout(30):
            answer = await client.get("/v1/overview/events")
        assert answer.text.count('"state":"unavailable"') == len(SECTIONS)
        assert "event: settled" in answer.text


async def test_the_banner_goes_for_good(client, signer):
    assert (await client.get("/v1/banner")).json() == {"in_target_group": True, "visible": True}
    assert (await client.put("/v1/banner/dismissed")).status_code == 204
    assert (await client.get("/v1/banner", signer.token(sub="a new log-in"))).json()["visible"] is False
    assert (await client.get("/v1/banner", signer.token(OTHER))).json()["visible"] is True


async def test_the_banner_is_hidden_so_often_within_a_minute_and_no_more(client, signer):
    answers = [await client.put("/v1/banner/dismissed") for _ in range(DISMISSALS_PER_MINUTE + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {204}
    assert problem(answers[-1]) == (429, "rate-limited")
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert (await client.put("/v1/banner/dismissed", signer.token(OTHER))).status_code == 204


async def test_outside_the_target_group_there_is_no_banner(client, signer):
    answer = await client.get("/v1/banner", signer.token(contact_groups=[2]))
    assert answer.json() == {"in_target_group": False, "visible": False}


async def test_an_answer_carries_the_trace_of_its_question(client):
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = await client.get("/v1/banner", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert answer.headers["traceparent"].split("-")[1] == trace
    assert (await client.get("/v1/banner", headers={"traceparent": "rubbish"})).headers["traceparent"]


@pytest.mark.parametrize(("path", "method"), [("/v1/nothing", "GET"), ("/v1/overview/refresh", "DELETE")])
async def test_what_is_not_there_is_a_problem_too(client, path, method):
    assert problem(await client.call(method, path))[1] in {"not-found", "method-not-allowed"}
