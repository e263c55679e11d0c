"""The calendar, the history of job titles and the CV's status, over HTTP, whatever the cache holds."""

from datetime import date, timedelta

import pytest

from portal.api.pages import today
from simulators import citizens
from tests.portal.api.conftest import ME, OTHER, problem, settle
from workers.domain.cpr import Cpr
from workers.domain.overview import (
    UNAVAILABLE_TEXT,
    BookingDeadline,
    CalendarEntry,
    ContactGroupPeriod,
    EntryKind,
    JobTitle,
)

PATHS = {"/v1/calendar": "calendar:read", "/v1/job-titles": "profile:read", "/v1/cv-status": "profile:read"}
OUTSIDE = citizens.OUTSIDE.cpr


def entry(start, end=None, key="a", **own):
    days = {"start": date.fromisoformat(start), "end": date.fromisoformat(end or start)}
    whole = {"id": key, "kind": EntryKind.JOBLOG, "title": "Søgt job", "held": False, "text": None, **days} | own
    return CalendarEntry(**whole)


def deadline(day, key="frist-1", *, active=True, booked=False):
    return BookingDeadline(id=key, deadline=day, meeting_type="Jobsamtale", active=active, booked=booked)


async def kept(services, cpr=ME, **items):
    await settle(services, "dfdg", items, cpr=cpr, fresh_for=timedelta(minutes=15), usable_for=timedelta(hours=24))


async def wanted(services, register, cpr=ME):
    """Whether a refresh of a register was asked for."""
    who = services.citizens.id_of(Cpr.parse(cpr))
    return await services.coordination.zscore(f"wanted:{{{register}}}", who) is not None


@pytest.mark.parametrize(("path", "scope"), PATHS.items())
async def test_each_needs_its_own_scope_and_a_citizen(client, signer, path, scope):
    others = " ".join({"overview:read", *PATHS.values()} - {scope})
    assert problem(await client.get(path, signer.token(scope=others))) == (403, "forbidden")
    assert problem(await client.get(path, signer.token(None))) == (403, "forbidden")
    assert problem(await client.get(path, "")) == (401, "unauthorised")
    assert (await client.get(path, signer.token(scope=scope))).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("who", [ME, OUTSIDE])
async def test_with_nothing_in_the_cache_dfdg_alone_is_asked_whoever_it_is(client, signer, services, path, who):
    answer = await client.get(path, signer.token(who, contact_groups=[2]))
    assert (answer.status_code, answer.json()["state"]) == (200, "pending")
    assert answer.json()["fetched_at"] is None
    assert {name: await wanted(services, name, who) for name in ("dfdg", "udb", "su", "eindkomst", "ydelse")} == {
        "dfdg": True, "udb": False, "su": False, "eindkomst": False, "ydelse": False,
    }  # fmt: skip


@pytest.mark.parametrize("groups", [[12], [2]])
async def test_reading_the_calendar_puts_nobody_on_the_schedule(client, signer, services, groups):
    await client.get("/v1/calendar", signer.token(contact_groups=groups))
    keys = {key async for key in services.coordination.scan_iter("timetable:*")}
    assert keys <= {b"timetable:clock:{dfdg}"}


async def test_the_page_asks_for_its_own_registers_alone(client, services):
    await client.get("/v1/overview")
    assert await wanted(services, "udb")
    assert not await wanted(services, "dfdg")
    assert set((await client.post("/v1/overview/refresh")).json()["registers"]) == {"udb", "su", "eindkomst", "ydelse"}
    assert await services.coordination.exists("timetable:due:{udb}")
    assert not await services.coordination.exists("timetable:due:{dfdg}")


async def test_a_month_shows_what_touches_it_or_its_weeks_and_nothing_else(client, services):
    shown = [
        entry("2023-02-01", "2023-02-27", "ends on the Monday before"),
        entry("2023-02-01", "2023-05-01", "all around it"),
        entry("2023-03-06", "2023-03-24", "inside", kind=EntryKind.ACTIVITY),
        entry("2023-04-02", key="the Sunday after"),
    ]
    hidden = [entry("2023-02-01", "2023-02-26", "before"), entry("2023-04-03", key="after")]
    await kept(services, calendar=[*shown, *hidden])
    answer = (await client.get("/v1/calendar?month=2023-03")).json()
    assert answer["entries"] == [item.model_dump(mode="json") for item in shown]
    assert (answer["month"], answer["state"], answer["deadlines"]) == ("2023-03", "ready", [])
    assert answer["source"] == "Det fælles datagrundlag (DFDG)"
    assert answer["fetched_at"]
    assert (answer["stale"], answer["retry_after"], answer["message"]) == (False, None, None)


async def test_the_month_is_the_current_one_in_denmark_by_default(client, services):
    await kept(services)
    answer = (await client.get("/v1/calendar")).json()
    assert (answer["month"], answer["state"]) == (today().isoformat()[:7], "empty")


@pytest.mark.parametrize("month", ["1900-01", "2100-12", "2024-02"])
async def test_the_first_and_the_last_month_can_be_shown(client, services, month):
    await kept(services)
    assert (await client.get(f"/v1/calendar?month={month}")).json()["month"] == month


@pytest.mark.parametrize(
    "month", ["1899-12", "2101-01", "2023-13", "2023-00", "2023-3", "2023", "", "marts", "２０２３-03"]
)
async def test_a_month_that_is_none_is_a_problem_that_names_it(client, month):
    answer = await client.get("/v1/calendar", params={"month": month})
    assert problem(answer) == (422, "invalid-request")
    assert "month" in answer.json()["detail"]


async def test_only_a_deadline_that_is_active_and_neither_booked_nor_passed_is_shown(client, services):
    now, day = today(), timedelta(days=1)
    await kept(
        services,
        deadlines=[
            deadline(now - day, "passed"), deadline(now, "today"), deadline(now + day, "tomorrow"),
            deadline(now + day, "inactive", active=False), deadline(now + day, "booked", booked=True),
        ],
    )  # fmt: skip
    answer = (await client.get("/v1/calendar")).json()
    assert answer["deadlines"] == [
        {"id": "today", "deadline": now.isoformat(), "meeting_type": "Jobsamtale"},
        {"id": "tomorrow", "deadline": (now + day).isoformat(), "meeting_type": "Jobsamtale"},
    ]
    assert answer["state"] == "ready"


async def test_job_titles_are_newest_first_and_a_lost_date_is_null(client, services):
    titles = [
        JobTitle(title="Kok", registered=date(2022, 5, 1), ended=date(2022, 9, 1)),
        JobTitle(title="Tjener", registered=None, ended=None),
    ]
    await kept(services, job_titles=titles)
    assert (await client.get("/v1/job-titles")).json()["items"] == [
        {"title": "Kok", "registered": "2022-05-01", "ended": "2022-09-01"},
        {"title": "Tjener", "registered": None, "ended": None},
    ]


@pytest.mark.parametrize(
    ("groups", "state", "searchable"),
    [
        ([], "empty", None),
        ([(7, -100, None)], "ready", True),
        ([(7, -100, 0)], "ready", True),
        ([(7, -100, -1)], "ready", False),
        ([(7, -100, -1), (2, -50, None)], "ready", True),
        ([(7, -100, -1), (2, 1, None)], "ready", False),
    ],
)
async def test_the_cv_is_searchable_unless_contact_group_7_ended_alone(client, services, groups, state, searchable):
    def day(days):
        return None if days is None else today() + timedelta(days=days)

    periods = [ContactGroupPeriod(group=number, start=day(start), end=day(end)) for number, start, end in groups]
    await kept(services, contact_groups=periods)
    answer = (await client.get("/v1/cv-status")).json()
    assert (answer["state"], answer["searchable"]) == (state, searchable)


@pytest.mark.parametrize("path", PATHS)
async def test_a_failure_is_told_and_never_looks_like_no_data(client, services, path):
    who = services.citizens.id_of(Cpr.parse(ME))
    await services.entries.fail(who, "dfdg", "timeout", age=timedelta(0), retry_after=timedelta(seconds=30))
    answer = (await client.get(path)).json()
    assert (answer["state"], answer["message"]) == ("unavailable", UNAVAILABLE_TEXT)
    assert 1 <= answer["retry_after"] <= 30
    assert answer.get("searchable") is None


@pytest.mark.parametrize("path", PATHS)
async def test_without_the_cache_each_answers_at_once_that_it_is_unavailable(client, empty_redis, path):
    empty_redis["cache"].process.kill()
    try:
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["state"]) == (200, "unavailable")
    finally:
        empty_redis["cache"].start()


async def test_what_is_not_fresh_is_shown_as_stale_and_asked_for(client, services):
    await kept(services, job_titles=[JobTitle(title="Kok", registered=None, ended=None)])
    await services.entries.outdate(services.citizens.id_of(Cpr.parse(ME)), "dfdg")
    answer = (await client.get("/v1/job-titles")).json()
    assert (answer["state"], answer["stale"], len(answer["items"])) == ("ready", True, 1)
    assert await wanted(services, "dfdg")


async def test_nobody_sees_anothers(client, signer, services):
    await kept(
        services, calendar=[entry("2023-03-06")], job_titles=[JobTitle(title="Kok", registered=None, ended=None)]
    )
    for path in PATHS:
        assert (await client.get(path, signer.token(OTHER))).json()["state"] == "pending"
