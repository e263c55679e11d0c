"""Recordings: what a register, or its simulator, has sent is read by the adapter, and is about nobody.

A file is written by `registerbro conformance UPSTREAM --record tests/recordings`; `python -m tests.recordings` writes
those of the simulators.
"""

from datetime import date
from pathlib import Path

import pytest

from config.settings import UPSTREAMS
from registerbro.conformance.calls import result_of
from registerbro.conformance.recording import Recording, replay
from registerbro.conformance.scanner import scan_alone
from workers.conformance import OPERATIONS

FILES = sorted(Path(__file__).parent.glob("*.json"))


def operation_of(recording):
    return next(one for one in OPERATIONS[recording.upstream] if one.name == recording.operation)


def test_there_is_one_of_every_upstream():
    assert {Recording.read(file.read_text("utf-8")).upstream for file in FILES} == set(UPSTREAMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_the_adapter_reads_it(file, make_settings):
    recording = Recording.read(file.read_text("utf-8"))
    found = await replay(
        recording, operation_of(recording), make_settings(BOOKING_VENDOR__TOKEN="x"), date(2026, 11, 30)
    )
    assert result_of(found) is recording.result


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_holds_no_number_that_somebody_could_have(file):
    assert scan_alone(file.read_text("utf-8")) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_named_after_what_it_records_and_holds_no_secret(file):
    text = file.read_text("utf-8")
    recording = Recording.read(text)
    assert file.stem == f"{recording.upstream}-{recording.operation}"
    assert [
        word for word in ("authorization", "bearer", "binarysecuritytoken", "certificate") if word in text.lower()
    ] == []
