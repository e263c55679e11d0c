"""The second way to open fault reports: what the sealing keys no longer open, the key that is locked away does."""

from datetime import timedelta

import pytest

from config.settings import BookingVendorSettings
from registerbro.fault_reports.model import Content, Recovered
from registerbro.fault_reports.outbox import Outbox
from registerbro.storage.sealing.recovery_key import PrivateRecoveryKey, RecoveryKey
from registerbro.storage.sealing.sealer import Sealer, Unreadable
from tests.registerbro.fault_reports.conftest import ME

CONTENT = Content("Min læge hedder Ærø 😀", "/moedebooking", "4769")
LEASE = timedelta(seconds=15)


@pytest.fixture
def pair():
    return PrivateRecoveryKey.new()


@pytest.fixture
def box(ledger, pair):
    """An outbox with this sealing key; with the recovery key unless it is said otherwise."""

    def make(key, recovery_key=pair.public):
        settings = BookingVendorSettings(recovery_key=recovery_key)
        return Outbox(ledger, Sealer([key * 32]), lambda: (b"a pepper for tests alone",), settings)

    return make


def test_only_the_private_half_opens_and_only_what_is_in_its_place(pair):
    sealed = RecoveryKey(pair.public).seal(b"x", "place")
    assert PrivateRecoveryKey(pair.text).open(sealed, "place") == b"x"
    for key, place in ((pair, "another place"), (PrivateRecoveryKey.new(), "place")):
        with pytest.raises(Unreadable):
            key.open(sealed, place)
    with pytest.raises(Unreadable):
        pair.open(b"", "place")


async def test_after_the_loss_of_the_keys_a_report_is_recovered_and_can_be_sent(box, pair):
    report = await box(b"1").accept((ME,), CONTENT, "k")
    after = box(b"2")
    with pytest.raises(Unreadable):
        await after.contents(report.id)
    assert await after.recover(pair) == Recovered(reports=1, lost=0)
    assert after.open(await after.begin_delivery(report.id, LEASE)) == CONTENT
    assert await after.recover(pair) == Recovered(reports=0, lost=0)


async def test_without_a_recovery_key_it_is_lost_and_that_is_said(box, pair):
    await box(b"1", None).accept((ME,), CONTENT, "k")
    assert await box(b"2").recover(pair) == Recovered(reports=0, lost=1)


async def test_the_text_is_erased_with_its_recovery(make_outbox, ledger, clock, pair):
    outbox = make_outbox(clock, recovery_key=pair.public)
    report = await outbox.accept((ME,), CONTENT, "k")
    assert await ledger.redis.hexists(f"{{reports}}:report:{report.id}", "recovery")
    await outbox.deliver(await outbox.begin_delivery(report.id, LEASE), "FM-1")
    clock.pass_(days=7, seconds=1)
    await outbox.tidy()
    fields = await ledger.redis.hkeys(f"{{reports}}:report:{report.id}")
    assert not {b"content", b"recovery"} & set(fields)


@pytest.mark.parametrize("key", ["", "short", "Å" * 44])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(ValueError, match="32 bytes"):
        PrivateRecoveryKey(key)
