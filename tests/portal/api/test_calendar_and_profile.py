"""The calendar, the history of job titles and the CV's status, over HTTP, whatever the cache holds."""

from datetime import UTC, date, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cpr import Cpr
from domain.overview import (
    CALENDAR,
    UNAVAILABLE_TEXT,
    BookingDeadline,
    CalendarEntry,
    ContactGroupPeriod,
    EntryKind,
    JobTitle,
    sections_of,
)
from domain.service_windows import DENMARK, danish_today
from portal.api import openapi_examples
from portal.api.calendar_and_profile import PARTS, CalendarPart, CalendarView, together
from simulators import citizens
from tests.portal.conftest import ME, OTHER, problem, settle

PATHS = {"/v1/calendar": "calendar:read", "/v1/job-titles": "profile:read", "/v1/cv-status": "profile:read"}
OUTSIDE = citizens.OUTSIDE.cpr
REGISTERS = ("visitering", "kontaktforloeb", "jobsearch", "borgerindsats")
ASKED = {
    "/v1/calendar": {"visitering", "kontaktforloeb", "borgerindsats"},
    "/v1/job-titles": {"jobsearch"},
    "/v1/cv-status": {"visitering"},
}
"""The registers that each call reads."""
REGISTER_OF = {
    "deadlines": "kontaktforloeb", "meetings": "kontaktforloeb", "activities": "borgerindsats",
    "absences": "visitering", "joblog": "borgerindsats",
}  # fmt: skip
SUBSETS = [frozenset(some) for count in range(5) for some in combinations(REGISTERS, count)]
OPEN = object()
"""An end that is not known."""


def entry(start, end=None, key="a", **own):
    days = {
        "start": date.fromisoformat(start),
        "end": None if end is OPEN else date.fromisoformat(end or start),
    }
    whole = {"id": key, "kind": EntryKind.JOBLOG, "title": "Søgt job", "held": False, "text": None, **days} | own
    return CalendarEntry(**whole)


def deadline(day, key="7-2023-03-17", *, active=True):
    return BookingDeadline(id=key, deadline=day, meeting_type="Jobsamtale", active=active)


async def kept(services, cpr=ME, registers=REGISTERS, age=timedelta(0), **items):
    """What the registers said: these sections, and that there is nothing of their others."""
    for register in registers:
        own = {one.id: items[one.id] for one in sections_of(register) if one.id in items}
        times = {"age": age, "fresh_for": timedelta(minutes=15), "usable_for": timedelta(hours=24)}
        await settle(services, register, own, cpr=cpr, **times)


async def fail(services, *registers, again=timedelta(seconds=30)):
    who = services.citizens.id_of(Cpr.parse(ME))
    for register in registers:
        await services.entries.fail(who, register, "timeout", age=timedelta(0), retry_after=again)


def parts(answer):
    """The calendar's parts by id, in the order that is documented."""
    said = answer["parts"]
    assert [part["id"] for part in said] == ["deadlines", "meetings", "activities", "absences", "joblog"]
    return {part["id"]: part for part in said}


def states(answer):
    return {name: part["state"] for name, part in parts(answer).items()}


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
async def test_with_nothing_in_the_cache_its_registers_alone_are_asked_whoever_it_is(
    client, signer, services, path, who
):
    answer = await client.get(path, signer.token(who, contact_groups=[2]))
    assert (answer.status_code, answer.json()["state"]) == (200, "pending")
    assert answer.json()["fetched_at"] is None
    asked = {name for name in (*REGISTERS, "udb", "su", "eindkomst", "ydelse") if await wanted(services, name, who)}
    assert asked == ASKED[path]


@pytest.mark.parametrize("groups", [[12], [2]])
async def test_reading_the_calendar_puts_nobody_on_the_schedule(client, signer, services, groups):
    await client.get("/v1/calendar", signer.token(contact_groups=groups))
    keys = {key async for key in services.coordination.scan_iter("timetable:*")}
    assert keys <= {f"timetable:clock:{{{register}}}".encode() for register in REGISTERS}


async def test_the_page_asks_for_its_own_registers_alone(client, services):
    await client.get("/v1/overview")
    assert await wanted(services, "udb")
    assert [name for name in REGISTERS if await wanted(services, name)] == []
    assert set((await client.post("/v1/overview/refresh")).json()["registers"]) == {"udb", "su", "eindkomst", "ydelse"}
    assert await services.coordination.exists("timetable:due:{udb}")
    assert await services.coordination.exists(*(f"timetable:due:{{{name}}}" for name in REGISTERS)) == 0


async def test_a_month_shows_what_touches_it_or_its_weeks_and_nothing_else(client, services):
    shown = [
        entry("2023-02-01", "2023-02-27", "ends on the Monday before"),
        entry("2023-02-01", "2023-05-01", "all around it"),
        entry("2023-02-20", OPEN, "goes on"),
        entry("2023-03-06", "2023-03-24", "inside", kind=EntryKind.ACTIVITY),
        entry("2023-04-02", OPEN, "begins on the Sunday after"),
        entry("2023-04-02", key="the Sunday after"),
    ]
    hidden = [
        entry("2023-02-01", "2023-02-26", "before"), entry("2023-04-03", key="after"),
        entry("2023-04-03", OPEN, "after, and goes on"),
    ]  # fmt: skip
    await kept(services, joblog=[*shown, *hidden])
    answer = (await client.get("/v1/calendar?month=2023-03")).json()
    assert answer["entries"] == [item.model_dump(mode="json") for item in shown]
    assert (answer["month"], answer["state"], answer["deadlines"]) == ("2023-03", "ready", [])
    assert answer["source"] == "Det fælles datagrundlag (DFDG)"
    assert answer["fetched_at"]
    assert (answer["stale"], answer["retry_after"], answer["message"]) == (False, None, None)
    assert [one["end"] for one in answer["entries"] if "goes on" in one["id"]] == [None]


async def test_the_entries_of_all_parts_are_in_one_order_by_their_start(client, services):
    await kept(
        services,
        meetings=[entry("2023-03-06", key="b", kind=EntryKind.MEETING), entry("2023-03-20", key="d")],
        activities=[entry("2023-03-01", OPEN, "a", kind=EntryKind.ACTIVITY)],
        absences=[entry("2023-03-13", key="c", kind=EntryKind.ABSENCE)],
    )
    answer = (await client.get("/v1/calendar?month=2023-03")).json()
    assert [one["id"] for one in answer["entries"]] == ["a", "b", "c", "d"]
    assert states(answer) == {
        "deadlines": "empty", "meetings": "ready", "activities": "ready", "absences": "ready", "joblog": "empty",
    }  # fmt: skip


async def test_a_part_is_empty_in_a_month_that_it_has_nothing_in(client, services):
    await kept(services, meetings=[entry("2023-03-06", kind=EntryKind.MEETING)])
    for month, state in (("2023-03", "ready"), ("2023-05", "empty")):
        answer = (await client.get(f"/v1/calendar?month={month}")).json()
        assert (states(answer)["meetings"], answer["state"]) == (state, state)


async def test_the_month_is_the_current_one_in_denmark_by_default(client, services):
    await kept(services)
    answer = (await client.get("/v1/calendar")).json()
    assert (answer["month"], answer["state"]) == (danish_today().isoformat()[:7], "empty")


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


async def test_only_a_deadline_that_is_active_and_has_not_passed_is_shown(client, services):
    now, day = danish_today(), timedelta(days=1)
    await kept(
        services,
        deadlines=[
            deadline(now - day, "passed"), deadline(now, "today"), deadline(now + day, "tomorrow"),
            deadline(now + day, "inactive", active=False),
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
    ("groups", "searchable"),
    [
        ([], None),
        ([(7, -100, None)], True),
        ([(7, -100, 0)], True),
        ([(7, -100, -1)], False),
        ([(7, -100, -1), (2, -50, None)], True),
        ([(7, -100, -1), (2, 1, None)], False),
        ([(2, -100, -1)], None),
    ],
)
async def test_the_cv_is_searchable_unless_contact_group_7_ended_alone_or_unknown(client, services, groups, searchable):
    def day(days):
        return None if days is None else danish_today() + timedelta(days=days)

    periods = [ContactGroupPeriod(group=number, start=day(start), end=day(end)) for number, start, end in groups]
    await kept(services, contact_groups=periods)
    answer = (await client.get("/v1/cv-status")).json()
    assert (answer["state"], answer["searchable"]) == ("ready", searchable)


@pytest.mark.parametrize(("ended", "searchable"), [(-1, None), (-2, False), (0, True)])
async def test_what_was_known_yesterday_says_nothing_of_a_group_that_ended_then(client, services, ended, searchable):
    """It was open at the last look, and another may have been opened since."""
    today = danish_today()
    group = ContactGroupPeriod(group=7, start=today - timedelta(days=100), end=today + timedelta(days=ended))
    midnight = datetime.combine(today, datetime.min.time(), DENMARK)
    age = datetime.now(UTC) - midnight.astimezone(UTC) + timedelta(minutes=5)
    times = {"age": age, "fresh_for": timedelta(minutes=15), "usable_for": timedelta(hours=72)}
    await settle(services, "visitering", {"contact_groups": [group]}, **times)
    answer = (await client.get("/v1/cv-status")).json()
    assert (answer["state"], answer["stale"], answer["searchable"]) == ("ready", True, searchable)


@pytest.mark.parametrize("path", PATHS)
async def test_a_failure_is_told_and_never_looks_like_no_data(client, services, path):
    await fail(services, *ASKED[path])
    answer = (await client.get(path)).json()
    assert (answer["state"], answer["message"]) == ("unavailable", UNAVAILABLE_TEXT)
    assert 1 <= answer["retry_after"] <= 30
    assert answer.get("searchable") is None


async def erase(services):
    """Erases all entries, and that their refresh was asked for."""
    for redis, patterns in ((services.cache, ["entry:*"]), (services.coordination, ["lease:*", "wanted:*"])):
        found = [key for pattern in patterns for key in await redis.keys(pattern)]
        if found:
            await redis.delete(*found)


ITEMS = {
    "deadlines": [deadline(danish_today())],
    "meetings": [entry("2023-03-08", key="meetings", kind=EntryKind.MEETING)],
    "activities": [entry("2023-03-06", OPEN, "activities", kind=EntryKind.ACTIVITY)],
    "absences": [entry("2023-03-13", "2023-03-17", "absences", kind=EntryKind.ABSENCE)],
    "joblog": [entry("2023-03-20", key="joblog")],
    "job_titles": [JobTitle(title="Kok", registered=None, ended=None)],
    "contact_groups": [ContactGroupPeriod(group=2, start=date(2023, 1, 1), end=None)],
}
"""Something in every section."""


@pytest.mark.parametrize("how", ["unavailable", "pending"])
@pytest.mark.parametrize("items", [ITEMS, {}], ids=["full", "empty"])
async def test_whatever_registers_are_down_the_others_parts_are_there_and_no_other_is_empty(
    client, services, subtests, items, how
):
    """R8: all 16 sets of the four registers, on others that have something and on others that have nothing."""
    for down in SUBSETS:
        with subtests.test(down=sorted(down)):
            await erase(services)
            await _is_right_without(client, services, down, items, how)


async def _is_right_without(client, services, down, items, how):
    await kept(services, registers=[name for name in REGISTERS if name not in down], **items)
    if how == "unavailable":
        await fail(services, *down)
    known = "ready" if items else "empty"
    calendar = (await client.get("/v1/calendar?month=2023-03")).json()
    lacking = [part for part, register in REGISTER_OF.items() if register in down]
    assert states(calendar) == {part: how if part in lacking else known for part in REGISTER_OF}
    for part, said in parts(calendar).items():
        text = UNAVAILABLE_TEXT if how == "unavailable" and part in lacking else None
        assert (said["message"], (said["retry_after"] is None)) == (text, text is None)
        assert (said["fetched_at"] is None) == (part in lacking)
    assert {one["id"] for one in calendar["entries"]} == {
        part for part in REGISTER_OF if items and part not in {*lacking, "deadlines"}
    }
    assert bool(calendar["deadlines"]) == (bool(items) and "deadlines" not in lacking)
    something = items and len(lacking) < len(REGISTER_OF)
    assert calendar["state"] == ("ready" if something else how if lacking else "empty")
    assert calendar["message"] == (UNAVAILABLE_TEXT if calendar["state"] == "unavailable" else None)

    titles = (await client.get("/v1/job-titles")).json()
    assert (titles["state"], bool(titles["items"])) == ((how, False) if "jobsearch" in down else (known, bool(items)))
    status = (await client.get("/v1/cv-status")).json()
    expected = (how, None) if "visitering" in down else ("ready", True if items else None)
    assert (status["state"], status["searchable"]) == expected


async def test_what_is_kept_of_a_register_that_is_down_is_shown_as_old(client, services, subtests):
    for down in SUBSETS:
        with subtests.test(down=sorted(down)):
            await erase(services)
            await _is_old_of(client, services, down)


async def _is_old_of(client, services, down):
    await kept(services, registers=[name for name in REGISTERS if name not in down], **ITEMS)
    await kept(services, registers=down, age=timedelta(hours=2), **ITEMS)
    await fail(services, *down)
    calendar = (await client.get("/v1/calendar?month=2023-03")).json()
    assert {(part["state"], part["message"]) for part in calendar["parts"]} == {("ready", None)}
    old = {part for part, register in REGISTER_OF.items() if register in down}
    assert {name for name, part in parts(calendar).items() if part["stale"]} == old
    assert (calendar["state"], calendar["stale"], calendar["retry_after"]) == ("ready", bool(old), None)
    assert len(calendar["entries"]) == 4
    times = [datetime.fromisoformat(part["fetched_at"]) for part in calendar["parts"]]
    assert datetime.fromisoformat(calendar["fetched_at"]) == min(times)
    assert (max(times) - min(times) > timedelta(hours=1)) == (0 < len(old) < len(REGISTER_OF))


async def test_the_calendar_asks_again_after_the_shortest_of_its_waits(client, services):
    await fail(services, "borgerindsats", again=timedelta(seconds=600))
    await fail(services, "visitering", again=timedelta(seconds=100))
    await kept(services, registers=["kontaktforloeb"])
    answer = (await client.get("/v1/calendar")).json()
    assert 90 < answer["retry_after"] <= 100
    assert 590 < parts(answer)["joblog"]["retry_after"] <= 600
    assert answer["state"] == "unavailable"


MOMENTS = st.integers(0, 365 * 24 * 60).map(
    lambda minutes: datetime(2023, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@st.composite
def any_part(draw, name):
    state = draw(st.sampled_from(["ready", "empty", "pending", "unavailable"]))
    known, down = state in {"ready", "empty"}, state == "unavailable"
    return CalendarPart(
        id=name,
        state=state,
        source="DFDG",
        fetched_at=draw(MOMENTS) if known else None,
        stale=known and draw(st.booleans()),
        retry_after=draw(st.integers(1, 600)) if down else None,
        message=UNAVAILABLE_TEXT if down else None,
    )


@given(st.tuples(*(any_part(name) for name in PARTS)))
def test_the_whole_calendar_is_what_its_parts_come_to(of):
    """Held against the sentences of the rule, one by one."""
    whole = together(of)
    now = [str(part.state) for part in of]
    if "ready" in now:
        assert whole["state"] == "ready"
    elif "pending" in now:
        assert whole["state"] == "pending"
    elif "unavailable" in now:
        assert whole["state"] == "unavailable"
    else:
        assert (whole["state"], now) == ("empty", ["empty"] * 5)
    assert (whole["message"] is None) == (whole["state"] != "unavailable")
    fetched = sorted(part.fetched_at for part in of if part.fetched_at is not None)
    assert whole["fetched_at"] == (fetched[0] if fetched else None)
    waits = sorted(part.retry_after for part in of if part.retry_after is not None)
    assert whole["retry_after"] == (waits[0] if waits else None)
    assert whole["stale"] == (True in [part.stale for part in of])


def test_the_parts_are_the_calendars_sections():
    assert {section.id: section.register for section in CALENDAR} == REGISTER_OF
    assert set(PARTS) == set(REGISTER_OF)


def test_the_documented_example_is_of_the_rule():
    example = CalendarView.model_validate(openapi_examples.CALENDAR)
    assert {name: getattr(example, name) for name in together(example.parts)} == together(example.parts)


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
    await services.entries.outdate(services.citizens.id_of(Cpr.parse(ME)), "jobsearch")
    answer = (await client.get("/v1/job-titles")).json()
    assert (answer["state"], answer["stale"], len(answer["items"])) == ("ready", True, 1)
    assert [name for name in REGISTERS if await wanted(services, name)] == ["jobsearch"]


async def test_nobody_sees_anothers(client, signer, services):
    await kept(services, joblog=[entry("2023-03-06")], job_titles=[JobTitle(title="Kok", registered=None, ended=None)])
    for path in PATHS:
        assert (await client.get(path, signer.token(OTHER))).json()["state"] == "pending"
