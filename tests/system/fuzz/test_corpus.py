"""Every answer of the corpus, over a real socket, is a valid result or one of our errors: the one its name says."""

import pytest
import pytest_asyncio

from config.celery import REGISTERS
from tests.system.fuzz.messages import Message, Wired, client_at, upstream_through
from tests.system.fuzz.paths import CORPUS, FAULT_REPORT, PATHS, outcome, validated_text

TARGETS = (*PATHS, FAULT_REPORT)
FILES = {target: sorted((CORPUS / target).iterdir()) for target in TARGETS}


def expected(file):
    """`two-persons.wrong_person.http` is told as `wrong_person`; None when a name says nothing, as the fuzzer's own."""
    parts = file.name.split(".")
    return parts[-2] if len(parts) > 2 else None


def named(file):
    return f"{file.parent.name}-{file.name.partition('.')[0]}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answered_with():
    """What comes of an answer of these bytes."""
    wired = Wired()
    async with client_at(wired) as http:

        async def answered(target, raw):
            wired.raw = raw
            body = raw if target == "http" else Message.parse(raw).body
            return await outcome(target, upstream_through(http, target), body)

        yield answered


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("file", [file for target in PATHS for file in FILES[target]], ids=named)
async def test_a_hostile_answer_comes_to_a_valid_result_or_one_of_our_errors(answered_with, file):
    came_of_it = await answered_with(file.parent.name, file.read_bytes())
    assert came_of_it == (expected(file) or came_of_it)


UNSIGNED = "schema-fault-about-a-replacement-number.ok.http"
"""A refusal of the question, which no gateway signs; it says of the citizen only what their number says."""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("file", FILES["eindkomst"], ids=named)
async def test_where_signatures_are_verified_no_answer_without_one_is_believed(answered_with, file):
    came_of_it = await answered_with("eindkomst_signed", file.read_bytes())
    assert (came_of_it == "ok") == (file.name == UNSIGNED)
    assert came_of_it in {expected(file) or came_of_it, "invalid_response"}


@pytest.mark.parametrize("file", FILES[FAULT_REPORT], ids=named)
def test_a_hostile_text_is_a_valid_report_or_refused_as_one(file):
    came_of_it = validated_text(file.read_bytes())
    assert came_of_it == (expected(file) or came_of_it)


@pytest.mark.parametrize("target", sorted({*TARGETS, *REGISTERS}))
def test_every_target_has_what_is_good_and_what_is_not(target):
    assert {"ok"} < set(map(expected, FILES[target])) - {None}
