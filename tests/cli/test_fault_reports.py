"""`registerbro reports`: what needs a person is listed, shown, sent anew or removed, and nothing is opened unasked."""

import json
from datetime import timedelta

import pytest

from domain.service_windows import DENMARK
from registerbro.fault_reports.model import Content, State
from registerbro.services import Services

SECRET = "Zebrafinken sang"
ANSWER = "vi har ingen zebraer"


@pytest.fixture
async def box(make_settings):
    services = Services(make_settings())
    yield services.outbox
    await services.close()


@pytest.fixture
async def rejected(box):
    report = await box.accept(("a" * 52,), Content(SECRET, "/moedebooking", "4769"), "k")
    sending = await box.begin_delivery(report.id, timedelta(seconds=10))
    await box.reject(sending, "bad_request", ANSWER.encode())
    return report.id


async def test_the_dead_letters_are_listed_and_nothing_of_their_texts(registerbro, box, rejected):
    await box.accept(("b" * 52,), Content("venter"), "k")
    ended = registerbro("reports", "list", "--json")
    (listed,) = json.loads(ended.stdout)
    assert (listed["id"], listed["state"], listed["reason"]) == (rejected, "rejected", "bad_request")
    assert (ended.returncode, ended.stderr) == (0, "")
    plain = registerbro("reports", "list")
    assert plain.stdout.startswith(f"{rejected}  rejected ")
    assert "zebra" not in (ended.stdout + plain.stdout).lower()


async def test_other_states_are_listed_when_they_are_named(registerbro, box):
    report = await box.accept(("b" * 52,), Content("venter"), "k")
    ended = registerbro("reports", "list", "--json", "--state", "accepted", "--state", "sending")
    assert [one["id"] for one in json.loads(ended.stdout)] == [report.id]


async def test_a_report_is_shown_without_its_text_unless_that_is_asked_for(registerbro, rejected):
    closed, opened = (
        registerbro("reports", "show", rejected, "--json"),
        registerbro("reports", "show", rejected, "--text", "--json"),
    )
    assert "zebra" not in closed.stdout.lower()
    shown = json.loads(opened.stdout)
    assert (shown["text"], shown["vendors_answer"]) == (SECRET, ANSWER)
    assert (shown["page"], shown["error_code"]) == ("/moedebooking", "4769")
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["bad_request"]
    assert "attempt: " in registerbro("reports", "show", rejected).stdout


async def test_a_replay_sends_anew(registerbro, box, rejected):
    ended = registerbro("reports", "replay", rejected, "--json")
    assert json.loads(ended.stdout) == {"id": rejected, "state": "accepted"}
    assert (await box.record(rejected)).state is State.ACCEPTED
    assert await box.take_due() == (rejected,)


async def test_a_halt_is_told_of(registerbro, box):
    report = await box.accept(("b" * 52,), Content("venter"), "k")
    sending = await box.begin_delivery(report.id, timedelta(seconds=10))
    await box.release(sending, "not_authorised", halt=timedelta(minutes=15))
    assert "the vendor refused our token" in registerbro("reports", "list").stdout


@pytest.fixture
async def undecided(box):
    report = await box.accept(("a" * 52,), Content(SECRET), "k")
    for _ in range(2):
        await box.leave_unknown(await box.begin_delivery(report.id, timedelta(seconds=10)), "timeout")
        await box.replay(report.id)
    await box.leave_unknown(await box.begin_delivery(report.id, timedelta(seconds=10)), "timeout")
    return report.id


async def test_what_the_vendor_may_have_is_listed_with_what_to_do(registerbro, box, undecided):
    plain = registerbro("reports", "list").stdout
    at = (await box.record(undecided)).accepted_at.astimezone(DENMARK).isoformat(timespec="milliseconds")
    assert plain.startswith(f"{undecided}  unknown_outcome  {at}  timeout\n")
    assert "`registerbro reports settle ID`" in plain
    assert "`registerbro reports replay ID`" in plain
    (listed,) = json.loads(registerbro("reports", "list", "--json").stdout)
    assert (listed["needs_decision"], listed["unknown_outcomes"], listed["due_at"]) == (True, 3, None)


async def test_what_is_sent_again_by_itself_is_listed_with_its_time_and_needs_nobody(registerbro, box):
    report = await box.accept(("a" * 52,), Content(SECRET), "k")
    await box.leave_unknown(await box.begin_delivery(report.id, timedelta(seconds=10)), "timeout")
    plain = registerbro("reports", "list").stdout
    assert "timeout; due " in plain
    assert "settle" not in plain


async def test_what_may_have_come_twice_stays_listed_when_it_is_delivered(registerbro, box, undecided):
    registerbro("reports", "settle", undecided)
    assert registerbro("reports", "list").stdout == ""
    assert registerbro("reports", "sent-again").stdout.startswith(f"{undecided}  delivered ")
    (listed,) = json.loads(registerbro("reports", "sent-again", "--json").stdout)
    assert (listed["id"], listed["state"], listed["unknown_outcomes"]) == (undecided, "delivered", 3)


async def test_an_operator_settles_a_report_on_record(registerbro, box, undecided):
    ended = registerbro("reports", "settle", undecided, "--case", "FM-7", "--reason", "leverandøren har den", "--json")
    assert json.loads(ended.stdout) == {"id": undecided, "state": "delivered"}
    record = await box.record(undecided)
    assert (record.state, record.case) == (State.DELIVERED, "FM-7")
    again = registerbro("reports", "settle", undecided)
    assert (again.returncode, again.stderr) == (2, "registerbro: that cannot be done: the report is delivered\n")


@pytest.mark.parametrize("case", ["x" * 101, "6102991234", "sag 610299-1234", "a\nb"])
async def test_what_is_no_case_number_is_refused(registerbro, box, undecided, case):
    ended = registerbro("reports", "settle", undecided, "--case", case)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert case not in ended.stderr
    assert (await box.record(undecided)).needs_decision


async def test_a_discard_is_noted_with_its_reason(registerbro, box, rejected):
    assert registerbro("reports", "discard", rejected, "--reason", "tom besked").stdout == f"{rejected}: discarded\n"
    assert await box.record(rejected) is None
    (noted,) = json.loads(registerbro("reports", "discards", "--json").stdout)
    assert (noted["id"], noted["reason"]) == (rejected, "tom besked")
    assert noted["by"]
    assert "tom besked" in registerbro("reports", "discards").stdout


@pytest.mark.parametrize("reason", [(), ("--reason", " ")])
async def test_a_discard_without_a_reason_is_refused(registerbro, box, rejected, reason):
    ended = registerbro("reports", "discard", rejected, *reason)
    assert ended.returncode == 2
    assert await box.record(rejected)


@pytest.mark.parametrize("command", [("show",), ("replay",), ("discard", "--reason", "x")])
def test_an_unknown_id_is_one_line(registerbro, command):
    ended = registerbro("reports", command[0], "nonsense", *command[1:])
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", "registerbro: no such report: nonsense\n")


@pytest.mark.parametrize(
    ("url", "said"),
    [("redis://127.0.0.1:1/0", "the ledger does not answer"), ("cache", "has no append-only file")],
)
def test_a_ledger_that_cannot_be_used_is_one_line(registerbro, empty_redis, url, said):
    ended = registerbro("reports", "list", LEDGER_URL=empty_redis[url].url if url in empty_redis else url)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1


async def test_after_the_loss_of_the_sealing_keys_the_recovery_key_opens_the_reports(
    registerbro, make_settings, tmp_path
):
    file = tmp_path / "recovery.key"
    made = registerbro("reports", "recovery-key", str(file))
    name, _, public = made.stdout.strip().partition("=")
    assert (name, file.stat().st_mode & 0o777) == ("REGISTERBRO_BOOKING_VENDOR__RECOVERY_KEY", 0o600)
    services = Services(make_settings(BOOKING_VENDOR__RECOVERY_KEY=public))
    report = await services.outbox.accept(("a" * 52,), Content(SECRET), "k")
    await services.close()
    lost = {"SEALING_KEYS": "A" * 43 + "="}
    assert registerbro("reports", "show", "--text", report.id, **lost).returncode == 1
    recovered = registerbro("reports", "recover", str(file), "--json", **lost)
    assert (recovered.returncode, json.loads(recovered.stdout)) == (0, {"reports": 1, "lost": 0})
    assert SECRET in registerbro("reports", "show", "--text", report.id, **lost).stdout


def test_a_recovery_key_is_never_written_over_and_what_is_none_is_named(registerbro, tmp_path):
    file = tmp_path / "recovery.key"
    assert registerbro("reports", "recovery-key", str(file)).returncode == 0
    before = file.read_text()
    again = registerbro("reports", "recovery-key", str(file))
    assert (again.returncode, again.stderr) == (2, f"registerbro: {file}: cannot be written: File exists\n")
    assert file.read_text() == before
    file.write_text("no key")
    other = registerbro("reports", "recover", str(file))
    assert (other.returncode, other.stderr) == (2, f"registerbro: {file}: is not 32 bytes in urlsafe base64\n")
