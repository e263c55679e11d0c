"""A citizen's subscription at Ungedatabasen: made before the first fetch, cancelled at the end, and never "no data"."""

import asyncio
from datetime import date, timedelta

import pytest

from cli.forget import erase
from domain.citizen import Citizen
from domain.cpr import Cpr
from domain.overview import UNAVAILABLE_TEXT
from registerbro import audit_log, refresh
from registerbro.pages.reader import Reader, SectionState
from registerbro.refresh.request import Reason
from registerbro.services import Services
from registerbro.storage.coordination.leases import CITIZENS_WISH
from registerbro.storage.keys import subscription_key
from registerbro.telemetry import metrics
from registerbro.upstreams.errors import BadRequest, EventsNotYet, NotAudited, UpstreamUnavailable, WrongPerson
from simulators import Simulation, citizens
from tests.support import SteppedClock
from workers.udb import client, subscription, tasks

CPR = Cpr.parse(citizens.EXAMPLE.cpr)
TODAY = date(2026, 11, 23)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def simulation():
    with Simulation() as running:
        yield running


@pytest.fixture
def control(simulation):
    simulation.control.reset()
    simulation.control.unsubscribe_all()
    return simulation.control


@pytest.fixture
def clock():
    return SteppedClock(1_790_000_000_000)


async def _at_once(_):
    """Waits for a retry without waiting."""


@pytest.fixture
def own_settings(simulation):
    return {"UDB__BASE_URL": simulation.urls["udb"], "UDB__EVENTS_AFTER": "PT24H"}


@pytest.fixture
async def services(app, make_settings, control, clock, own_settings):
    it = Services(make_settings(**own_settings), _at_once, clock)
    yield it
    await it.close()


@pytest.fixture
async def reader(services):
    it = Reader(services.settings)
    yield it
    await it.close()


async def fetch(services, cpr=CPR):
    with audit_log.about(services.citizens.id_of(cpr), CITIZENS_WISH):
        return await tasks.fetch(services, cpr)


async def refuses(services, cpr=CPR):
    """The error of a fetch for which there is no data yet."""
    with pytest.raises(EventsNotYet) as raised:
        await fetch(services, cpr)
    return raised.value


def writes(control):
    return [one.operation for one in control.calls("udb").writes]


def refused(reason):
    return metrics.SUBSCRIPTIONS_REFUSED.labels("udb", reason)._value.get()


class Page:
    """What a portal and then the worker do."""

    def __init__(self, services, reader, digits=CPR.digits, groups=(12,)):
        self.services = services
        self.reader = reader
        self.citizen = Citizen(Cpr.parse(digits), frozenset(groups), education_order=False)
        self.id = services.citizens.id_of(self.citizen.cpr)

    async def open(self):
        """Opens the page, has the task run, and returns the sections."""
        await refresh.request_due(self.services, self.citizen, ["udb"], reason=Reason.OPERATOR, today=TODAY)
        await tasks.REGISTER.refresh(self.services, self.id)
        return (await self.reader.read_sections(self.citizen.cpr, "udb")).by_id.values()


# --- Until events can be there ----------------------------------------------------------------------------------------


async def test_a_new_citizens_section_is_the_text_of_r8_until_the_events_come_and_then_the_courses(
    services, reader, control
):
    control.events_after(3600)
    page = Page(services, reader)
    for _ in range(2):
        sections = await page.open()
        assert {(view.state, view.message) for view in sections} == {(SectionState.UNAVAILABLE, UNAVAILABLE_TEXT)}
        assert all(view.retry_after and not view.items for view in sections)
    control.events_after(0)
    sections = await page.open()
    assert {view.state for view in sections} == {SectionState.READY}
    assert [item["name"] for view in sections if view.id == "started_educations" for item in view.items] == [
        "Hf", "Eux",
    ]  # fmt: skip
    assert writes(control) == ["subscribe"]


async def test_no_events_are_no_data_of_a_subscription_that_is_old_enough_and_not_before(services, control, clock):
    nobody = Cpr.parse(citizens.EMPTY.cpr)
    for _ in range(23):
        await refuses(services, nobody)
        clock.pass_(hours=1)
    assert (await refuses(services, nobody)).retry_after <= timedelta(hours=1)
    clock.pass_(hours=1)
    assert not any((await fetch(services, nobody)).normalised.sections.values())
    assert writes(control) == ["subscribe"]


@pytest.mark.parametrize("code", ["3", "4367", "1010"])
async def test_a_code_for_no_data_is_not_believed_of_whom_the_register_has_just_taken(services, control, clock, code):
    control.fault("udb", {"kind": "fejl", "kode": code, "status": 404})
    await refuses(services)
    clock.pass_(hours=25)
    assert not any((await fetch(services)).normalised.sections.values())


async def test_events_are_looked_for_at_growing_intervals(services, control, clock):
    control.events_after(10**6)
    waits = []
    for _ in range(6):
        waits.append((await refuses(services)).retry_after)
        clock.pass_(minutes=20)
    rounded = [round(wait.total_seconds() / 60, 1) for wait in waits]
    assert rounded == [0.5, 20, 40, 60, 60, 60]
    clock.pass_(hours=21, minutes=30)
    assert (await refuses(services)).retry_after <= timedelta(minutes=30)


async def test_events_that_have_come_are_shown_however_new_the_subscription_is(services):
    assert (await fetch(services)).normalised.sections["fgu"]


async def test_many_first_fetches_at_once_subscribe_once(services, control):
    ended = await asyncio.gather(*(fetch(services) for _ in range(5)), return_exceptions=True)
    assert {type(one).__name__ for one in ended} <= {"Fetched", "EventsNotYet"}
    assert writes(control) == ["subscribe"]


async def test_what_was_asked_before_the_subscription_ended_is_no_data_no_more(services, clock, monkeypatch):
    nobody = Cpr.parse(citizens.EMPTY.cpr)
    await refuses(services, nobody)
    clock.pass_(hours=25)
    asked = client.fetch

    async def meanwhile(upstream, cpr):
        found = await asked(upstream, cpr)
        await services.subscriptions.end("udb", services.citizens.ids_of(cpr))
        return found

    monkeypatch.setattr(client, "fetch", meanwhile)
    assert "changed" in str(await refuses(services, nobody))


# --- Who is not subscribed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("8002", "no_active_plan"),
        ("8060", "no_contact_group"),
        ("8066", "no_education_plan"),
        ("8067", "not_under_30"),
        ("8068", "no_contact_group"),
    ],
)
async def test_a_refusal_is_no_data_and_its_reason_is_told_to_operators(services, control, logged, code, reason):
    before = refused(reason)
    control.fault("udb", {"kind": "fejl", "kode": code, "status": 400, "operation": "subscribe"})
    fetched = await fetch(services)
    assert not any(fetched.normalised.sections.values())
    assert refused(reason) == before + 1
    (told,) = [line for line in logged if line["event"] == "subscription_refused"]
    assert (told["reason"], told["code"], told["citizen"]) == (reason, code, services.citizens.id_of(CPR))
    assert CPR.digits not in str(logged)
    assert control.calls("udb").total == 0
    assert await services.subscriptions.record("udb", services.citizens.id_of(CPR)) is None


async def test_a_citizen_whom_the_register_refuses_is_asked_about_again_at_the_next_fetch(services, control):
    without_plan = Cpr.parse(citizens.NOT_SUBSCRIBED.cpr)
    for _ in range(2):
        assert not any((await fetch(services, without_plan)).normalised.sections.values())
    assert writes(control) == ["subscribe", "subscribe"]


@pytest.mark.parametrize("digits", [citizens.UNKNOWN.cpr, citizens.STRANGER])
async def test_whom_the_register_does_not_know_has_no_data(services, control, digits):
    assert not any((await fetch(services, Cpr.parse(digits))).normalised.sections.values())
    assert control.subscriptions() == {}


# --- Failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 503}, UpstreamUnavailable),
        ({"kind": "status", "status": 422}, BadRequest),
        ({"kind": "fejl", "kode": "9999", "status": 400}, BadRequest),
    ],
)
async def test_a_subscription_that_fails_fails_the_fetch_and_is_asked_for_again(services, control, fault, error):
    control.fault("udb", fault | {"operation": "subscribe"})
    with pytest.raises(error):
        await fetch(services)
    assert control.calls("udb").total == 0
    control.mend("udb")
    assert (await fetch(services)).normalised.sections["fgu"]


async def test_a_receipt_that_got_lost_subscribes_once(services, control):
    control.fault("udb", {"kind": "reset_after", "operation": "subscribe", "times": 1})
    assert (await fetch(services)).normalised.sections["fgu"]
    sent = control.calls("udb").writes
    # The repeat with the same id is refused, and a new one finds it there.
    assert [one.status for one in sent] == [None, 412, 200]
    assert sent[0].request_id == sent[1].request_id != sent[2].request_id
    assert list(control.subscriptions()) == [CPR.digits]


async def test_a_worker_that_was_killed_after_it_subscribed_leaves_one_subscription(services, control, clock):
    ids = services.citizens.ids_of(CPR)
    store = services.subscriptions
    await store.begin("udb", CPR, ids, within=timedelta(seconds=15), keep_for=DAY)
    with audit_log.about(ids[0], CITIZENS_WISH):
        await client.subscribe(services.upstream("udb"), CPR)
    assert (await refuses(services)).retry_after <= timedelta(seconds=15)
    clock.pass_(seconds=16)
    assert (await fetch(services)).normalised.sections["fgu"]
    assert list(control.subscriptions()) == [CPR.digits]
    assert (await store.status("udb")).held == 1


async def test_without_the_ledger_no_events_are_never_no_data_and_nobody_is_subscribed(
    services, control, clock, empty_redis
):
    nobody = Cpr.parse(citizens.EMPTY.cpr)
    await refuses(services, nobody)
    await fetch(services)
    clock.pass_(days=2)
    empty_redis["ledger"].stop()
    try:
        assert "ledger" in str(await refuses(services, nobody))
        assert "ledger" in str(await refuses(services, Cpr.parse(citizens.FOUR_JOBS.cpr)))
        # What is known is shown all the same.
        assert (await fetch(services)).normalised.sections["fgu"]
    finally:
        empty_redis["ledger"].start()
    assert writes(control) == ["subscribe", "subscribe"]


async def test_a_ledger_that_goes_between_subscription_and_record_has_the_citizen_asked_for_again(
    services, control, clock, monkeypatch
):
    confirm = services.subscriptions.confirm

    async def gone(*_):
        raise ConnectionError

    monkeypatch.setattr(services.subscriptions, "confirm", gone)
    await refuses(services)
    monkeypatch.setattr(services.subscriptions, "confirm", confirm)
    clock.pass_(seconds=16)
    assert (await fetch(services)).normalised.sections["fgu"]
    assert list(control.subscriptions()) == [CPR.digits]


async def test_another_persons_events_cut_the_register_off(services, control):
    control.fault("udb", {"kind": "wrong_person"})
    with pytest.raises(WrongPerson):
        await fetch(services)
    control.mend("udb")
    assert (await services.admission("udb").status())["override"] == "forced_open"


async def test_one_damaged_event_refuses_no_other_and_has_the_register_be_partial(services, reader, control):
    control.fault("udb", {"kind": "damaged"})
    sections = await Page(services, reader).open()
    assert {view.state for view in sections} == {SectionState.READY}
    left_out = (await fetch(services)).normalised.left_out
    assert [(one.kind, one.place) for one in left_out] == [("haendelsestype", "event 10")]


# --- The end ----------------------------------------------------------------------------------------------------------


async def test_who_leaves_the_target_group_has_the_subscription_cancelled(services, reader, control):
    await Page(services, reader).open()
    with pytest.raises(refresh.OutsideTargetGroup):
        await Page(services, reader, groups=(2,)).open()
    assert list(control.subscriptions()) == [CPR.digits]
    await subscription.cancel_due(services)
    assert control.subscriptions() == {}
    assert (await services.subscriptions.status("udb")).held == 0
    assert writes(control) == ["subscribe", "cancel"]


async def test_who_leaves_the_target_group_while_the_ledger_is_away_is_cancelled_when_it_is_not_used(
    services, reader, control, clock, empty_redis, logged
):
    page = Page(services, reader)
    await page.open()
    empty_redis["ledger"].stop()
    try:
        await refresh.end_fetching(services, page.citizen)
    finally:
        empty_redis["ledger"].start()
    assert "subscriptions_not_ended" in {line["event"] for line in logged}
    await subscription.cancel_due(services)
    assert list(control.subscriptions()) == [CPR.digits]
    clock.pass_(days=32)
    await subscription.cancel_due(services)
    assert control.subscriptions() == {}


async def test_a_forgotten_citizen_leaves_no_subscription_and_then_nothing_at_all(
    services, reader, control, empty_redis
):
    page = Page(services, reader)
    await page.open()
    control.fault("udb", {"kind": "status", "status": 503, "operation": "cancel"})
    forgotten = await erase(services, services.citizens.ids_of(CPR), undelivered=False)
    assert forgotten.subscriptions == 1
    await subscription.cancel_due(services)
    # The register is down: what its cancellation needs is kept, and nothing else.
    with empty_redis["ledger"].client() as seen:
        fields = seen.hgetall(subscription_key("udb", page.id))
    assert {b"state", b"number"} <= fields.keys() <= {b"state", b"number", b"tries"}
    assert (await services.subscriptions.status("udb")).ending == 1
    assert list(control.subscriptions()) == [CPR.digits]


async def test_a_cancellation_that_failed_is_made_when_the_register_is_back(services, control, clock, logged):
    await fetch(services)
    await services.subscriptions.end("udb", services.citizens.ids_of(CPR))
    control.fault("udb", {"kind": "status", "status": 503, "operation": "cancel"})
    for _ in range(3):
        # Only the first tries it: it is not due again so soon.
        await subscription.cancel_due(services)
    assert [line["reason"] for line in logged if line["event"] == "subscription_not_cancelled"] == ["unavailable"]
    # Each of two request ids is sent twice: the register remembers it, and has failed.
    sent = [(one.status, one.request_id) for one in control.calls("udb").writes[1:]]
    assert [status for status, _ in sent] == [503, 412, 503, 412]
    assert (sent[0][1], sent[2][1]) == (sent[1][1], sent[3][1])
    control.mend("udb")
    clock.pass_(seconds=31)
    await subscription.cancel_due(services)
    assert control.subscriptions() == {}
    assert "subscription_cancelled" in {line["event"] for line in logged}
    assert CPR.digits not in str(logged)
    assert (await services.subscriptions.status("udb")).held == 0


async def test_a_register_that_fails_at_cancelling_is_asked_by_one_run_about_one_citizen(services, control):
    for one in (citizens.EXAMPLE, citizens.EVERY_EDUCATION):
        await fetch(services, Cpr.parse(one.cpr))
        await services.subscriptions.end("udb", services.citizens.ids_of(Cpr.parse(one.cpr)))
    control.fault("udb", {"kind": "status", "status": 500, "operation": "cancel"})
    await subscription.cancel_due(services)
    assert len({one.citizen for one in control.calls("udb").writes if one.operation == "cancel"}) == 1
    assert (await fetch(services, Cpr.parse(citizens.UNKNOWN_DATES.cpr))).normalised.sections["fgu"]


async def test_while_the_register_is_spared_no_further_cancellation_is_tried(services, control):
    for one in (citizens.EXAMPLE, citizens.EVERY_EDUCATION, citizens.UNKNOWN_DATES):
        await fetch(services, Cpr.parse(one.cpr))
        await services.subscriptions.end("udb", services.citizens.ids_of(Cpr.parse(one.cpr)))
    control.fault("udb", {"kind": "gone"})
    for _ in range(3):
        await subscription.cancel_due(services)
    status = await services.subscriptions.status("udb")
    assert (status.held, status.ending) == (3, 3)
    assert (await services.admission("udb").status())["state"] == "open"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "fejl", "kode": "1010", "status": 404},
        {"kind": "fejl", "kode": "4405", "status": 400},
        {"kind": "fejl", "kode": "8060", "status": 400},
        {"kind": "status", "status": 412},
    ],
)
async def test_who_cannot_be_subscribed_any_more_is_cancelled(services, control, fault):
    await fetch(services)
    await services.subscriptions.end("udb", services.citizens.ids_of(CPR))
    control.fault("udb", fault | {"operation": "cancel"})
    await subscription.cancel_due(services)
    assert (await services.subscriptions.status("udb")).held == 0


@pytest.mark.parametrize("fault", [{"kind": "not_found"}, {"kind": "status", "status": 403}])
async def test_a_cancellation_at_a_wrong_path_or_without_the_right_to_it_stays_on_record(services, control, fault):
    await fetch(services)
    await services.subscriptions.end("udb", services.citizens.ids_of(CPR))
    control.fault("udb", fault | {"operation": "cancel"})
    await subscription.cancel_due(services)
    assert (await services.subscriptions.status("udb")).ending == 1


async def test_a_number_that_does_not_open_stays_on_record_and_is_told(services, control, logged, empty_redis):
    await fetch(services)
    await services.subscriptions.end("udb", services.citizens.ids_of(CPR))
    with empty_redis["ledger"].client() as seen:
        seen.hset(subscription_key("udb", services.citizens.id_of(CPR)), "number", b"altered")
    await subscription.cancel_due(services)
    assert [line["log_level"] for line in logged if line["event"] == "subscription_unreadable"] == ["critical"]
    assert (await services.subscriptions.status("udb")).ending == 1
    assert writes(control) == ["subscribe"]


async def test_who_is_active_keeps_the_subscription_and_who_is_no_longer_loses_it_a_day_later(
    services, reader, control, clock
):
    page = Page(services, reader)
    await refresh.request_due(services, page.citizen, ["udb"], reason=Reason.CITIZEN, today=TODAY)
    await tasks.REGISTER.refresh(services, page.id)
    clock.pass_(days=30)
    await subscription.cancel_due(services)
    assert list(control.subscriptions()) == [CPR.digits]
    clock.pass_(days=2)
    await subscription.cancel_due(services)
    assert control.subscriptions() == {}


# --- On record --------------------------------------------------------------------------------------------------------


async def test_subscribing_and_cancelling_are_one_entry_each_of_the_audit_log(services, audit_dir):
    await fetch(services)
    await services.subscriptions.end("udb", services.citizens.ids_of(CPR))
    await subscription.cancel_due(services)
    await services.audit_log.close()
    entries = audit_log.concerning(audit_dir, services.citizens.ids_of(CPR))
    assert [(one.upstream, one.behalf, one.purpose, one.outcome) for one in entries] == [
        ("udb", "citizen", "subscribe", "answered"),
        ("udb", "citizen", "show_page", "answered"),
        ("udb", "schedule", "cancel_subscription", "answered"),
    ]


async def test_what_cannot_be_put_on_record_is_not_subscribed(services, control):
    # Without the context that says about whom and why, a call is not made.
    with pytest.raises(NotAudited):
        await tasks.fetch(services, CPR)
    assert writes(control) == []
    assert control.subscriptions() == {}
