"""The page as the cache has it: four states, and never a failure that looks like no data."""

import json
import signal
from contextlib import contextmanager
from datetime import date, timedelta

import pytest

from domain.cpr import Cpr
from domain.overview import REGISTERS, SECTIONS, UNAVAILABLE_TEXT, Employment, sections_of
from registerbro.pages.reader import ANSWER_WITHIN, Reader, SectionState
from registerbro.services import Services
from registerbro.storage.keys import entry_key

CPR = Cpr.parse("6102991234")
NOW, HOUR = timedelta(0), timedelta(hours=1)
JOBS = {"employments": [Employment(employer="Føtex", start=date(2019, 1, 1), end=date(2020, 5, 31))]}


@pytest.fixture
def settings(make_settings):
    return make_settings()


@pytest.fixture
async def services(settings):
    it = Services(settings)
    yield it
    await it.close()


@pytest.fixture
async def reader(settings):
    it = Reader(settings)
    yield it
    await it.close()


@pytest.fixture
def me(services):
    return services.citizens.id_of(CPR)


async def store(services, register="eindkomst", sections=JOBS, *, age=NOW, fresh_for=12 * HOUR, usable_for=72 * HOUR):
    me = services.citizens.id_of(CPR)
    await services.entries.store(me, register, sections, age=age, fresh_for=fresh_for, usable_for=usable_for)


async def section(reader, name="employments"):
    (found,) = (view for view in (await reader.read_page(CPR)).sections() if view.id == name)
    return found


async def test_all_seven_sections_are_always_listed_in_order(reader):
    page = await reader.read_page(CPR)
    assert [view.id for view in page.sections()] == [
        "completed_educations", "started_educations", "su_attempts", "fgu", "stu", "employments", "benefits",
    ]  # fmt: skip
    assert [overview.id for overview in page.overviews] == ["education", "employment", "benefits"]


async def test_fresh_data_are_ready(reader, services):
    await store(services)
    view = await section(reader)
    assert (view.state, view.stale, view.message, view.retry_after) == (SectionState.READY, False, None, None)
    assert view.items == [{"employer": "Føtex", "start": "2019-01-01", "end": "2020-05-31"}]


async def test_an_answer_with_nothing_in_it_is_empty(reader, services):
    await store(services, sections={"employments": []})
    assert (await section(reader)).state is SectionState.EMPTY


async def test_old_data_are_shown_as_stale_when_refreshing_failed(reader, services, me):
    await store(services, age=13 * HOUR)
    await services.entries.fail(me, "eindkomst", "timeout", age=NOW, retry_after=HOUR)
    view = await section(reader)
    assert (view.state, view.stale) == (SectionState.READY, True)


async def test_what_is_being_fetched_is_pending(reader, services, me):
    await services.entries.mark_pending(me, {"eindkomst": HOUR})
    page = await reader.read_page(CPR)
    assert (await section(reader)).state is SectionState.PENDING
    assert not page.complete


async def test_old_data_are_shown_while_they_are_fetched_anew(reader, services, me):
    await store(services, age=13 * HOUR)
    await services.entries.mark_pending(me, {"eindkomst": HOUR})
    page = await reader.read_page(CPR)
    assert (await section(reader)).state is SectionState.READY
    assert page.complete


async def test_a_failure_without_data_is_unavailable_in_the_words_of_the_page(reader, services, me):
    await services.entries.fail(me, "eindkomst", "timeout", age=NOW, retry_after=timedelta(seconds=40))
    view = await section(reader)
    assert (view.state, view.message, view.items) == (SectionState.UNAVAILABLE, UNAVAILABLE_TEXT, [])
    assert 1 <= view.retry_after <= 40


async def test_one_register_that_fails_leaves_the_others_alone(reader, services, me):
    await store(services)
    await services.entries.fail(me, "udb", "unavailable", age=NOW, retry_after=HOUR)
    states = {view.id: view.state for view in (await reader.read_page(CPR)).sections()}
    assert states["employments"] is SectionState.READY
    assert {states[s.id] for s in sections_of("udb")} == {SectionState.UNAVAILABLE}


async def test_pending_that_was_never_settled_becomes_unavailable(reader, services, me):
    await services.entries.mark_pending(me, {"eindkomst": timedelta(milliseconds=1)})
    await services.cache.wait(0, 20)
    assert (await section(reader)).state is SectionState.UNAVAILABLE


async def test_a_cache_that_was_emptied_is_unavailable_and_never_empty(reader):
    assert {view.state for view in (await reader.read_page(CPR)).sections()} == {SectionState.UNAVAILABLE}


async def test_what_is_due_is_named_so_that_a_portal_can_ask_for_it(reader, services, me):
    await store(services)
    await services.entries.fail(me, "udb", "timeout", age=NOW, retry_after=HOUR)
    await services.entries.mark_pending(me, {"su": HOUR})
    assert (await reader.read_page(CPR)).due == ("ydelse",)


@pytest.mark.parametrize("damage", [b"", b"\x01garbage", b"x" * 100])
async def test_a_damaged_entry_is_unavailable(reader, services, me, damage):
    await store(services)
    await services.cache.hset(entry_key(me, "eindkomst"), "data", damage)
    assert (await section(reader)).state is SectionState.UNAVAILABLE


@pytest.mark.parametrize(
    ("field", "value"), [("usable_until", "soon"), ("fetched_at", None), ("data", None), ("v", "2"), ("v", None)]
)
async def test_an_entry_with_a_field_that_is_wrong_is_unavailable(reader, services, me, field, value):
    await store(services)
    change = services.cache.hdel(entry_key(me, "eindkomst"), field)
    if value is not None:
        change.close()
        change = services.cache.hset(entry_key(me, "eindkomst"), field, value)
    await change
    await store(services, "su", {"su_attempts": []})
    assert (await section(reader)).state is SectionState.UNAVAILABLE
    assert (await section(reader, "su_attempts")).state is SectionState.EMPTY


async def test_a_section_that_an_entry_lacks_is_unavailable(reader, services):
    await store(services, sections={})
    assert (await section(reader)).state is SectionState.UNAVAILABLE


@contextmanager
def frozen(server):
    server.process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.signal(signal.SIGCONT)


@contextmanager
def killed(server):
    server.process.kill()
    try:
        yield
    finally:
        server.start()


@pytest.mark.parametrize("away", [frozen, killed])
async def test_without_the_cache_the_page_still_comes_and_says_so(reader, services, empty_redis, away):
    await store(services)
    with away(empty_redis["cache"]):
        page = await reader.read_page(CPR)
    assert {view.state for view in page.sections()} == {SectionState.UNAVAILABLE}
    assert {view.message for view in page.sections()} == {UNAVAILABLE_TEXT}
    assert timedelta(milliseconds=300) > ANSWER_WITHIN


@pytest.mark.parametrize("away", [frozen, killed])
async def test_when_the_cache_is_back_so_is_the_page(reader, services, empty_redis, away):
    with away(empty_redis["cache"]):
        await reader.read_page(CPR)
    await store(services)
    assert (await section(reader)).state is SectionState.READY


async def test_the_page_as_json_is_what_the_interface_says(reader, services):
    await store(services)
    page = json.loads((await reader.read_page(CPR)).json_text())
    assert list(page) == ["complete", "generated_at", "overviews"]
    (employments,) = page["overviews"][1]["sections"]
    assert list(employments) == [
        "id", "register", "state", "source", "fetched_at", "stale", "retry_after", "message", "items",
    ]  # fmt: skip
    assert employments["register"] == "eindkomst"
    assert [s["source"] for o in page["overviews"] for s in o["sections"]] == [s.source for s in SECTIONS]
    assert {s["register"] for o in page["overviews"] for s in o["sections"]} == set(REGISTERS)


@pytest.mark.parametrize("state", ["fresh", "stale", "pending", "failed", "missing"])
async def test_each_page_counts_in_what_state_it_found_each_entry(services, reader, me, state):
    from registerbro.telemetry import metrics

    if state in {"fresh", "stale"}:
        fresh_for = HOUR if state == "fresh" else NOW
        await services.entries.store(me, "su", {"su_attempts": []}, age=NOW, fresh_for=fresh_for, usable_for=HOUR)
    if state == "pending":
        await services.entries.mark_pending(me, {"su": HOUR})
    if state == "failed":
        await services.entries.fail(me, "su", "timeout", age=NOW, retry_after=HOUR)
    counter = metrics.CACHE_READS.labels("su", state)
    before = counter._value.get()
    await reader.read_page(CPR)
    assert counter._value.get() == before + 1
