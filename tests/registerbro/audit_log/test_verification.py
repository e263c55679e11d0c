"""Verifying: each way of tampering shows, and what was not tampered with does not."""

import asyncio
import json
import random

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registerbro import audit_log
from registerbro.audit_log import record
from registerbro.audit_log.chain import files_in, walk
from registerbro.audit_log.record import Damaged, Position
from tests.registerbro.audit_log.conftest import ME, look_up
from tests.support import examples


def rewritten(file, change):
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(change(lines)))


def forged(line, **facts):
    """The line with other facts, and a hash that fits: what somebody does who knows the format."""
    read = record.read(line.rstrip(b"\n"))
    before = Position(read.position.seq - 1, read.prev)
    return record.write(read.chain, before, {**read.facts, **facts})[0]


def appended(lines):
    last = record.read(lines[-1].rstrip(b"\n"))
    return [*lines, record.write(last.chain, last.position, {"event": "call", "citizen": ME})[0]]


TAMPERINGS = {
    "a line is changed": lambda lines: [*lines[:3], lines[3].replace(b"udb", b"su "), *lines[4:]],
    "a line is changed and its hash too": lambda lines: [*lines[:3], forged(lines[3], upstream="su"), *lines[4:]],
    "the last line is changed and its hash too": lambda lines: [*lines[:-1], forged(lines[-1], event="opened")],
    "a line is removed": lambda lines: [*lines[:3], *lines[4:]],
    "the first line is removed": lambda lines: lines[1:],
    "two lines are exchanged": lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    "a line is repeated": lambda lines: [*lines[:4], *lines[3:]],
    "the end is cut off": lambda lines: lines[:-2],
    "the end is cut off in the middle of a line": lambda lines: [*lines[:-2], lines[-2][:30]],
    "everything is cut off": lambda lines: [],
    "a line is added by hand": lambda lines: [*lines, b'{"event":"call"}\n'],
    "a line is added by somebody who knows the format": appended,
    "a blank line is added": lambda lines: [*lines[:2], b"\n", *lines[2:]],
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_each_tampering_is_found_and_its_file_named(log, tampering):
    await log.fill()
    (file,) = log.files
    assert (await log.verify()).intact
    rewritten(file, TAMPERINGS[tampering])
    verdict = await log.verify()
    assert not verdict.intact
    assert {problem.file for problem in verdict.problems} == {file.name}


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_file_that_was_removed_is_found(log, which):
    for _ in range(3):
        await log.fill()
    log.files[which].unlink()
    assert not (await log.verify()).intact


async def test_a_chain_of_which_every_file_was_removed_is_found(log):
    await log.fill()
    (file,) = log.files
    file.unlink()
    (problem,) = (await log.verify()).problems
    assert "every file of the chain is gone" in problem.what


async def test_a_chain_that_somebody_made_up_is_found(log):
    await log.fill()
    line, _ = record.write("madeup", Position(), {"event": "begun"})
    (log.directory / "madeup-20261125-000000000001-0.jsonl").write_bytes(line)
    (problem,) = (await log.verify()).problems
    assert problem.what == "the ledger knows no such chain"


async def test_a_chain_that_was_tampered_with_is_left_as_evidence(log):
    await log.fill()
    rewritten(log.files[0], lambda lines: lines[:-2])
    for _ in range(3):
        await log.fill()
    verdict = await log.verify()
    assert verdict.chains == 2
    assert not verdict.intact


async def test_a_log_that_is_being_written_is_whole(log):
    journal = log.journal()
    for _ in range(10):
        await asyncio.gather(*(look_up(journal) for _ in range(10)))
        assert (await log.verify()).problems == ()


facts = st.dictionaries(st.sampled_from(["by", "reason", "citizen", 'a"b']), st.text(max_size=20), max_size=3)
few = hypothesis.settings(max_examples=examples(50))


def chain_of(all_facts):
    lines, at = [], Position()
    for one in all_facts:
        line, at = record.write("chain", at, one)
        lines.append(line)
    return lines, at


@few
@given(st.lists(facts, min_size=1, max_size=5))
def test_what_is_written_is_read_as_it_was(all_facts):
    lines, _ = chain_of(all_facts)
    assert all(line.count(b"\n") == 1 for line in lines)
    assert [record.read(line[:-1]).facts for line in lines] == [json.loads(json.dumps(one)) for one in all_facts]


@few
@given(facts, st.data())
def test_no_byte_of_a_line_can_be_another(one, data):
    (line,), _ = chain_of([one])
    at = data.draw(st.integers(0, len(line) - 2))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[at]))
    with pytest.raises(Damaged):
        record.read(line[:at] + bytes([other]) + line[at + 1 : -1])


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_left_out_or_moved_shows(tmp_path, seed):
    """Any selection of the lines, in any order, but all of them in theirs or a beginning of that."""
    chance = random.Random(seed)
    lines, _ = chain_of([{"n": n} for n in range(8)])
    kept = chance.sample(lines, chance.randint(1, 8))
    file = tmp_path / "chain-20261125-000000000001-0.jsonl"
    file.write_bytes(b"".join(kept))
    walked = walk(files_in(tmp_path)["chain"], Position(), None)
    assert bool(walked.problems) is (kept != lines[: len(kept)])


async def test_a_damaged_line_does_not_hide_the_others(log):
    await log.fill()
    rewritten(log.files[0], lambda lines: [*lines[:3], b"nonsense\n", *lines[4:]])
    assert len(audit_log.concerning(log.directory, {ME})) >= 4
