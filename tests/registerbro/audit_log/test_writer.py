"""Writing: what is on record is on the disk before it is done, and what cannot be put on record is not done."""

import asyncio
import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta

import pytest

from demo.installation import wait_for
from registerbro import audit_log
from registerbro.audit_log import Action, AuditNotWritten, LookUp, OperatorAction, chain
from registerbro.audit_log.anchors import NOBODY
from registerbro.storage.coordination.leases import CITIZENS_WISH, Behalf, Purpose, Wish
from registerbro.storage.keys import heads_key
from registerbro.upstreams.errors import NotAudited
from tests.registerbro.audit_log.conftest import ME, OTHER, look_up

JANES_WISH = Wish(Behalf.OPERATOR, Purpose.OPERATORS_REQUEST, "jane")


async def test_a_call_is_in_the_file_before_it_is_made(log):
    journal = log.journal()
    with audit_log.about(ME, CITIZENS_WISH):
        await journal.look_up("udb").call("request-1", "trace-1")
    (file,) = log.files
    (told,) = audit_log.concerning(log.directory, {ME})
    assert b'"request":"request-1"' in file.read_bytes()
    assert (told.upstream, told.behalf, told.purpose, told.outcome) == ("udb", "citizen", "show_page", "unknown")


async def test_one_look_up_is_one_row_however_many_calls_it_took(log):
    journal = log.journal()
    with audit_log.about(ME, JANES_WISH):
        trail = journal.look_up("su")
        for request, outcome in (("one", "timeout"), ("one", "unavailable"), ("two", "answered")):
            await trail.call(request, "trace")
            trail.answered(outcome)
        trail.end()
    await journal.close()
    (told,) = audit_log.concerning(log.directory, {ME})
    assert isinstance(told, LookUp)
    assert (told.requests, told.outcome, told.behalf, told.by) == (
        ["one", "one", "two"],
        "answered",
        "operator",
        "jane",
    )


async def test_a_look_up_with_a_purpose_of_its_own_is_about_the_same_citizen_and_on_the_same_behalf(log):
    journal = log.journal()
    with audit_log.about(ME, JANES_WISH):
        with audit_log.with_purpose(Purpose.SUBSCRIBE):
            await journal.look_up("udb").call("one", "trace")
        await journal.look_up("udb").call("two", "trace")
    with audit_log.with_purpose(Purpose.SUBSCRIBE), pytest.raises(NotAudited):
        await journal.look_up("udb").call("three", "trace")
    await journal.close()
    told = audit_log.concerning(log.directory, {ME})
    assert [(one.behalf, one.by, one.purpose) for one in told] == [
        ("operator", "jane", "subscribe"), ("operator", "jane", "operators_request"),
    ]  # fmt: skip


async def test_many_at_once_share_the_disk_and_each_is_there(log):
    journal = log.journal()
    await asyncio.gather(*(look_up(journal) for _ in range(300)))
    await journal.close()
    assert len(audit_log.concerning(log.directory, {ME})) == 300
    assert (await log.verify()).intact


async def test_two_processes_at_once_have_chains_of_their_own(log):
    first, second = log.journal(), log.journal()
    await asyncio.gather(*(look_up(journal) for journal in (first, second) for _ in range(20)))
    await first.close()
    await second.close()
    verdict = await log.verify()
    assert (verdict.intact, verdict.chains) == (True, 2)


async def test_the_next_process_goes_on_with_a_chain_that_was_left(log):
    for _ in range(3):
        await log.fill()
    verdict = await log.verify()
    assert (verdict.intact, verdict.chains, len(log.files)) == (True, 1, 3)


async def test_somebody_elses_look_ups_are_not_told(log):
    await log.fill(citizen=OTHER)
    assert audit_log.concerning(log.directory, {ME}) == []
    assert len(audit_log.concerning(log.directory, {ME, OTHER})) == 5


async def test_an_operators_action_is_told_with_who_why_and_how_it_ended(log):
    journal = log.journal()
    async with journal.action(Action.REFRESH, "jane", target="udb", citizen_id=ME, reason="the citizen called"):
        pass
    with pytest.raises(ZeroDivisionError):
        async with journal.action(Action.AUDIT_FOR, "john", citizen_id=ME):
            raise ZeroDivisionError
    await journal.close()
    done, failed = audit_log.concerning(log.directory, {ME})
    assert isinstance(done, OperatorAction)
    assert (done.action, done.by, done.target, done.reason, done.outcome) == (
        "refresh", "jane", "udb", "the citizen called", "done",
    )  # fmt: skip
    assert (failed.by, failed.outcome) == ("john", "ZeroDivisionError")


async def test_no_cpr_number_that_somebody_typed_gets_into_the_file(log):
    journal = log.journal()
    typed = "ring til 610299-1234 eller 6102991234 \ud800"
    async with journal.action(Action.BREAKER, "6102991234", target="610299 1234", reason=typed):
        pass
    await journal.close()
    written = log.files[0].read_bytes()
    assert b"1234" not in written
    assert b"ring til [redacted]" in written
    assert (await log.verify()).intact


async def test_a_look_up_about_nobody_is_not_made(log):
    with pytest.raises(NotAudited):
        await log.journal().look_up("udb").call("request", "trace")


async def test_where_the_folder_is_gone_nothing_is_done_and_later_it_goes_on(log):
    journal = log.journal()
    await look_up(journal)
    away = log.directory.with_name("away")
    await journal.close()
    journal = log.journal()
    log.directory.rename(away)
    with pytest.raises(NotAudited):
        await look_up(journal)
    with pytest.raises(AuditNotWritten):
        async with journal.action(Action.BREAKER, "jane"):
            pytest.fail("it was begun")
    away.rename(log.directory)
    await look_up(journal)
    await journal.close()
    assert (await log.verify()).intact


async def test_a_full_disk_leaves_nothing_half_written_and_is_got_over(log, monkeypatch):
    """The disk takes a part of the batch, as it does when it is full; then it has room again."""
    journal = log.journal()
    await look_up(journal)
    real = os.write
    full = True

    def write(file, data):
        if not full:
            return real(file, data)
        if len(data) > 40:
            return real(file, data[:40])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chain.os, "write", write)
    for _ in range(3):
        with pytest.raises(NotAudited, match="No space left on device"):
            await look_up(journal)
    full = False
    await look_up(journal)
    await journal.close()
    verdict = await log.verify()
    assert (verdict.intact, verdict.chains) == (True, 1)
    assert len(audit_log.concerning(log.directory, {ME})) == 2
    assert len(list(log.directory.glob("*.lock"))) == 1


async def test_without_the_ledger_look_ups_go_on(log, monkeypatch):
    async def away(*_, **__):
        raise ConnectionError

    monkeypatch.setattr(log.services.audit_anchors, "read", away)
    monkeypatch.setattr(log.services.audit_anchors, "put", away)
    await log.fill()
    assert len(audit_log.concerning(log.directory, {ME})) == 5
    assert [problem.what for problem in audit_log.verify(log.directory, {}).problems] == [
        "the ledger knows no such chain"
    ]


async def test_a_new_day_begins_a_new_file(log):
    day = [date(2026, 11, 24)]
    journal = log.journal(today=lambda: day[0])
    await look_up(journal)
    day[0] = date(2026, 11, 25)
    await look_up(journal)
    await journal.close()
    assert [file.name.split("-")[1] for file in log.files] == ["20261124", "20261125"]
    assert (await log.verify()).intact


async def test_what_has_been_kept_long_enough_is_removed_and_the_rest_is_still_whole(log):
    today = datetime.now(UTC).date()
    journal = log.journal(today=lambda: today - timedelta(days=200))
    await look_up(journal)
    await journal.close()
    journal = log.journal()
    await look_up(journal)
    await journal.tidy()
    await journal.close()
    verdict = await log.verify()
    assert (verdict.problems, verdict.chains, len(log.files)) == ((), 1, 1)
    assert len(audit_log.concerning(log.directory, {ME})) == 1
    assert b'"event":"removed"' in log.files[0].read_bytes()


async def test_a_clock_that_is_years_ahead_removes_nothing(log):
    await log.fill()
    today = datetime.now(UTC).date()
    journal = log.journal(today=lambda: today + timedelta(days=10_000))
    await journal.tidy()
    await journal.close()
    verdict = await log.verify()
    assert verdict.intact
    assert len(audit_log.concerning(log.directory, {ME})) == 5
    assert not any(b'"event":"removed"' in file.read_bytes() for file in log.files)


async def test_a_chain_that_nobody_holds_any_more_is_removed_whole_when_it_is_old(log):
    today = datetime.now(UTC).date()
    olds = [log.journal(today=lambda: today - timedelta(days=200)) for _ in range(2)]
    for old in olds:
        await look_up(old)
    for old in olds:
        await old.close()
    journal = log.journal()
    await look_up(journal)
    await journal.tidy()
    await journal.close()
    verdict = await log.verify()
    assert (verdict.problems, verdict.chains) == ((), 1)
    assert len(list(log.directory.glob("*.lock"))) == 1


WRITER = """
import asyncio, sys
from config.settings import load
from tests.registerbro.audit_log.conftest import look_up
from registerbro.services import Services
async def main():
    services = Services(load())
    print("ready", flush=True)
    while True:
        await asyncio.gather(*(look_up(services.audit_log) for _ in range(20)))
asyncio.run(main())
"""


def write_and_be_killed(log, ledger, project):
    """A process that writes as fast as it can, until it is killed at whatever it is at."""
    before = sum(file.stat().st_size for file in log.files)
    with subprocess.Popen([sys.executable, "-c", WRITER], cwd=project, stdout=subprocess.PIPE) as process:
        try:
            wait_for(lambda: sum(file.stat().st_size for file in log.files) > before + 20_000, "its records")
            wait_for(lambda: ledger.hlen(heads_key(NOBODY)) > 0, "its head")
        finally:
            process.kill()


async def test_killed_in_the_middle_of_writing_is_no_tampering_and_the_chain_goes_on(log, empty_redis, project):
    for _ in range(2):
        with empty_redis["ledger"].client() as ledger:
            write_and_be_killed(log, ledger, project)
    assert (await log.verify()).problems == ()
    await log.fill()
    verdict = await log.verify()
    assert (verdict.problems, verdict.chains) == ((), 1)


async def test_a_line_that_was_not_finished_is_told_of_as_that(log):
    await log.fill()
    heads = await log.services.audit_anchors.read()
    journal = log.journal()
    await look_up(journal)
    ends = time.monotonic() + 60
    while (await log.services.audit_anchors.read()) == heads:
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)
    # As if it had been killed then: what it wrote last is cut in the middle, and its lock is free.
    chain_now, journal._chain = journal._chain, None
    os.close(chain_now._lock)
    os.close(chain_now._file)
    with log.files[-1].open("ab") as file:
        file.write(b'{"chain":"x","seq":9,"pr')
    await log.fill()
    verdict = await log.verify()
    assert (verdict.intact, len(verdict.torn), verdict.chains) == (True, 1, 1)


async def test_what_a_record_costs(log):
    """Printed and not asserted: a busy machine decides it."""
    journal = log.journal()
    await look_up(journal)
    for at_once in (1, 50):
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(400 // at_once):
            await asyncio.gather(*(look_up(journal) for _ in range(at_once)))
        took, used = time.perf_counter() - began, time.process_time() - cpu
        print(f"{at_once} at once: {took / 400 * 1000:.2f} ms a look-up, {used / 400 * 1000:.2f} ms of CPU")
    size = sum(file.stat().st_size for file in log.files)
    await journal.close()
    print(f"{size / 801:.0f} bytes a look-up")
