"""One citizen's data, all of them and nobody else's: what a story leaves is exported, and is erased or named."""

import json
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from types import SimpleNamespace

import pytest

from cli import export
from cli.forget import erase
from domain.citizen import Citizen
from domain.cpr import Cpr
from domain.overview import ContactGroupPeriod, Employment
from portal.api.citizen_limits import Rate
from registerbro import audit_log, refresh
from registerbro.fault_reports import submit
from registerbro.refresh.request import Reason
from registerbro.storage.cache.booked_deadlines import BookedDeadlines
from registerbro.storage.coordination.leases import Purpose
from registerbro.storage.ledger.contact_groups import Look
from registerbro.storage.ledger.dismissed_banners import DismissedBanners
from registerbro.upstreams.quarantine import Watch
from tests.cli.conftest import NUMBER
from tests.conftest import PEPPER

OTHER = "0101907890"
TODAY = date(2026, 11, 23)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
MESSAGES = (
    "*celery*",
    "_kombu*",
    "unacked*",
    "udb*",
    "su*",
    "eindkomst*",
    "ydelse*",
    "visitering*",
    "kontaktforloeb*",
    "jobsearch*",
    "borgerindsats*",
    "booking_vendor*",
)
"""Keys of the broker that hold messages."""


async def live(services, number):
    """All that a citizen can leave, by the code that leaves it."""
    cpr = Cpr.parse(number)
    citizen = Citizen(cpr, frozenset({12}), education_order=False)
    me = services.citizens.id_of(cpr)
    await refresh.request_due(services, citizen, reason=Reason.CITIZEN, today=TODAY)
    jobs = {"employments": [Employment(employer=f"Bager {number[:6]}", start=date(2019, 1, 1), end=None)]}
    await services.entries.store(me, "eindkomst", jobs, age=timedelta(0), fresh_for=DAY, usable_for=DAY)
    await services.entries.fail(me, "udb", "timeout", age=timedelta(0), retry_after=DAY)
    lease = await services.leases.take(me, "kontaktforloeb", MINUTE, 10, Purpose.KEEP_PAGE_FRESH)
    assert lease.owner
    await services.timetable.take(
        "su", 10, per_second=1000, burst=MINUTE, outstanding=10, taken_for=MINUTE, early=True
    )  # fmt: skip
    await BookedDeadlines(
        services.cache, services.citizens, services.entries, services.settings.register("kontaktforloeb")
    ).record(citizen.cpr, f"deadline-{number[:6]}")
    await DismissedBanners(services.ledger, services.citizens).dismiss(citizen.cpr)
    await Rate(services, "refresh", 10, "refreshes").check(citizen)
    taken = await submit.submit(services, cpr, f"Zebrafinken {number[:6]}", page="/moedebooking", idempotency_key="k")
    await Watch(services.quarantine, "udb").put(me, 1_700_000_000_000)
    asked = await services.subscriptions.begin("udb", cpr, (me,), within=MINUTE, keep_for=DAY)
    await services.subscriptions.confirm("udb", me, cpr, asked.owner)
    group = ContactGroupPeriod(group=7, start=date(2019, 1, 1), end=None)
    await services.contact_groups.join((me,), Look([group], TODAY, timedelta(0)), DAY)
    with audit_log.about(me, lease.wish):
        trail = services.audit_log.look_up("kontaktforloeb")
        await trail.call("request-1", "trace-1")
        trail.answered("answered")
        trail.end()
    return SimpleNamespace(cpr=cpr, ids=services.citizens.ids_of(cpr), report=taken.id, lease=lease)


def held_in(client, key):
    """The value of a key, whatever its type, as one text of bytes."""
    match client.type(key):
        case b"string":
            return client.get(key) or b""
        case b"hash":
            return b"\n".join(part for pair in client.hgetall(key).items() for part in pair)
        case b"zset":
            return b"\n".join(client.zrange(key, 0, -1))
        case b"set":
            return b"\n".join(client.smembers(key))
        case b"list":
            return b"\n".join(client.lrange(key, 0, -1))
        case other:
            raise AssertionError(f"{key}: {other}")


def places(redis, *texts):
    """The keys of each server that name one of these texts, or hold it; messages, which `ELSEWHERE` names, left out."""
    wanted = [text.encode() for text in texts]
    found = set()
    for server, one in redis.items():
        with one.client() as client:
            for key in client.scan_iter():
                if not is_a_message(server, key.decode()) and any(
                    text in key + b"\n" + held_in(client, key) for text in wanted
                ):
                    found.add((server, key.decode()))
    return found


def stores_of(server, key):
    """The names of the stores that a key belongs to."""
    return {
        store.name
        for store in export.STORES
        if store.server == server and any(fnmatchcase(key, one) for one in store.keys)
    }


def is_a_message(server, key):
    return server == "broker" and any(fnmatchcase(key, one) for one in MESSAGES)


@pytest.fixture
async def story(services):
    return await live(services, NUMBER)


async def test_every_place_that_names_a_citizen_is_exported(services, story, empty_redis):
    document = await export.collect(services, story.cpr)
    found = places(empty_redis, *story.ids, story.report)
    # The index of reports by state holds a report's id, and the citizen's record of having handed it in.
    unknown = {key for server, key in found if not stores_of(server, key) and not key.startswith("{reports}:")}
    assert unknown == set()
    reached = {name for server, key in found for name in stores_of(server, key)}
    assert reached == {store.name for store in export.STORES}
    assert [name for name in reached if not document[name]] == []


async def test_what_is_exported_is_what_was_kept(services, story):
    document = json.loads(json.dumps(await export.collect(services, story.cpr)))
    (me,) = story.ids
    assert (document["format"], document["ids"]) == ("registerbro-export-1", [me])
    (known,) = document["citizen"]
    assert (known["id"], known["cpr_number"]) == (me, NUMBER)
    entries = {one["register"]: one for one in document["entries"]}
    assert entries["eindkomst"]["sections"]["employments"][0]["employer"] == "Bager 610299"
    assert entries["udb"]["failure"] == "timeout"
    assert [one["deadline"] for one in document["bookings"]] == ["deadline-610299"]
    (report,) = document["fault_reports"]
    assert (report["text"], report["page"]) == ("Zebrafinken 610299", "/moedebooking")
    assert (report["report"]["id"], report["report"]["state"]) == (story.report, "accepted")
    assert [one["report"] for one in document["reports_handed_in"]] == [story.report]
    assert document["banner"] == [{"id": me, "dismissed": True}]
    assert [(one["upstream"], one["since"][:10]) for one in document["quarantine"]] == [("udb", "2023-11-14")]
    (subscription,) = document["subscriptions"]
    assert (subscription["register"], subscription["state"], subscription["to_be_cancelled"]) == ("udb", "on", False)
    (groups,) = document["contact_groups"]
    assert groups["periods"] == [{"group": 7, "start": "2019-01-01", "end": None, "seen_on": "2026-11-23"}]
    assert {one["what"] for one in document["schedule"]} >= {"active", "due", "taken", "running"}
    wanted = {one["register"]: one["behalf"] for one in document["refreshes_wanted"]}
    assert (wanted["udb"], wanted["kontaktforloeb"]) == ("citizen", "schedule")
    assert len(document["requests_counted"]) == 1
    assert [one["upstream"] for one in document["audit_log"]] == ["kontaktforloeb"]
    for one in (*document["schedule"], *document["requests_counted"], *document["reports_handed_in"]):
        assert abs(datetime.fromisoformat(one["at"]) - datetime.now(UTC)) < timedelta(days=32)


async def test_nothing_of_anybody_else_is_exported(services, story):
    other = await live(services, OTHER)
    text = json.dumps(await export.collect(services, story.cpr))
    assert not [one for one in (*other.ids, other.report, OTHER, OTHER[:6]) if one in text]
    assert story.report in text


async def test_after_forget_only_what_is_named_stays(services, story, empty_redis):
    await services.leases.settle(story.lease, None)
    await erase(services, story.ids, undelivered=True)
    left = places(empty_redis, *story.ids, story.report)
    stay = {store.name for store in export.STORES if store.stays}
    assert {name for server, key in left for name in stores_of(server, key)} == stay
    assert [key for server, key in left if not stores_of(server, key)] == []
    document = await export.collect(services, story.cpr)
    assert {store.name for store in export.STORES if document[store.name]} == stay
    (subscription,) = document["subscriptions"]
    assert (subscription["state"], subscription["at"], subscription["to_be_cancelled"]) == ("ending", None, True)


async def test_what_is_kept_under_an_older_pepper_is_exported_too(services, story, make_settings):
    make_settings(PEPPER="another pepper for tests", OTHER_PEPPERS=PEPPER)
    later = type(services)(make_settings(PEPPER="another pepper for tests", OTHER_PEPPERS=PEPPER))
    try:
        await later.citizens.remember(story.cpr)
        document = await export.collect(later, story.cpr)
    finally:
        await later.close()
    assert document["ids"][1:] == list(story.ids)
    assert [one["id"] for one in document["citizen"]] == document["ids"]
    assert {one["id"] for one in document["fault_reports"]} == set(story.ids)
    assert len(document["audit_log"]) == 1


async def test_what_no_key_opens_is_told_without_its_contents(services, story, make_settings):
    later = type(services)(make_settings(SEALING_KEYS="A" * 43 + "="))
    try:
        document = await export.collect(later, story.cpr)
    finally:
        await later.close()
    (report,), (groups,) = document["fault_reports"], document["contact_groups"]
    assert groups["periods"] is None
    assert (report["opens"], report["text"], report["report"]["id"]) == (False, None, story.report)


def test_the_command_writes_a_file_for_its_owner_alone_and_is_on_record(run, audit_dir, tmp_path):
    file = tmp_path / "citizen.json"
    status, out, err = run(["export", "--output", str(file), "--reason", "asked for", "--by", "jane"])
    assert (status, out) == (0, "")
    assert (file.stat().st_mode & 0o777, err.count("\n")) == (0o600, 1)
    document = json.loads(file.read_text(encoding="utf-8"))
    (action,) = document["audit_log"]
    assert (action["action"], action["by"], action["reason"]) == ("export", "jane", "asked for")
    again = run(["export", "--output", str(file)])
    assert (again[0], again[2]) == (2, f"registerbro: {file}: cannot be written: File exists\n")
    assert json.loads(file.read_text(encoding="utf-8")) == document
    printed = json.loads(run(["export"])[1])
    assert [one["action"] for one in printed["audit_log"]] == ["export", "export"]
    assert NUMBER not in "".join(one.read_text() for one in audit_dir.glob("*.jsonl")) + out + err


def test_an_export_that_fails_leaves_no_file(run, empty_redis, monkeypatch, tmp_path):
    monkeypatch.setenv("REGISTERBRO_LEDGER_URL", "redis://127.0.0.1:1/0")
    file = tmp_path / "citizen.json"
    status, out, err = run(["export", "--output", str(file)])
    assert (status, out, err.count("registerbro: ")) == (1, "", 1)
    assert not file.exists()


def test_the_documents_members_are_documented(project):
    page = (project / "docs" / "cli.md").read_text(encoding="utf-8")
    table = page.partition("## What `export` gives")[2].partition("\n## ")[0]
    members = {"format", "made_at", "ids", "audit_log", "not_included", *(store.name for store in export.STORES)}
    assert [name for name in members if f"| `{name}` |" not in table] == []
