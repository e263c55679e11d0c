"""Verification of the audit log against itself and the ledger, and search for the records about a citizen."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registerbro.audit_log.anchors import Head
from registerbro.audit_log.chain import File, Problem, Walked, files_in, lines_of, walk
from registerbro.audit_log.record import Damaged, Position, read

UNKNOWN = "unknown"
"""Outcome without a record of the end: the process was killed, or is still at work."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict on the audit log. `torn` are lines that a killed process did not finish, which is no tampering."""

    chains: int
    records: int
    problems: tuple[Problem, ...]
    torn: tuple[Problem, ...]

    @property
    def intact(self) -> bool:
        """Whether no line was changed, removed, moved or added, as far as the files and anchors show."""
        return not self.problems


@dataclass(slots=True)
class LookUp:
    """Look-up of a citizen at an upstream."""

    at: str
    citizen: str
    upstream: str
    behalf: str
    by: str
    """The operator on whose behalf it was made; empty for citizens and the schedule."""
    purpose: str
    trace: str
    requests: list[str] = field(default_factory=list)
    """The request ids of its calls, in order. A retry has the id of the first call."""
    outcome: str = UNKNOWN


@dataclass(slots=True)
class OperatorAction:
    """Action of an operator on a citizen's data."""

    at: str
    action: str
    by: str
    target: str
    citizen: str
    reason: str
    outcome: str = UNKNOWN
    user: str = ""
    """The system's user of the command's process; empty for calls of the API, and in older records."""


def verify(directory: Path, heads: Mapping[str, Head]) -> Verdict:
    """Follows every chain in `directory` and below, at least up to its anchor. Raises OSError.

    Read the heads first: a process writes lines before it moves their anchor.
    """
    files = files_in(directory)
    problems: list[Problem] = []
    torn: list[Problem] = []
    records = 0
    for chain in sorted({*files, *heads}):
        walked = _verified(chain, files.get(chain, []), heads.get(chain))
        problems += walked.problems
        torn += walked.torn
        records += walked.records
    return Verdict(len({*files, *heads}), records, tuple(problems), tuple(torn))


def concerning(directory: Path, citizen_ids: Collection[str]) -> list[LookUp | OperatorAction]:
    """Every look-up of these citizen ids, and every operator's action on them, the oldest first. Raises OSError.

    A citizen has several ids after a change of pepper. `verify` finds damaged lines; this function skips them.
    """
    found: list[LookUp | OperatorAction] = []
    for files in files_in(directory).values():
        found += _of_chain(files, citizen_ids)
    return sorted(found, key=lambda one: one.at)


def _verified(chain: str, files: list[File], head: Head | None) -> Walked:
    """A chain from its floor to its head."""
    floor = head.floor if head else Position()
    # Expired files may still be there.
    while len(files) > 1 and files[1].first <= floor.seq + 1:
        files = files[1:]
    walked = walk(files, floor, head)
    last = files[-1].path.name if files else f"{chain}-*.jsonl"
    if head is None:
        walked.problems.append(Problem(last, None, "the ledger knows no such chain"))
    elif not files:
        what = f"every file of the chain is gone, and the ledger knows of line {head.position.seq}"
        walked.problems.append(Problem(last, None, what))
    elif walked.end.seq < head.position.seq:
        what = f"the end is cut off: it ends with line {walked.end.seq}, and the ledger knows of {head.position.seq}"
        walked.problems.append(Problem(last, None, what))
    return walked


def _of_chain(files: list[File], citizen_ids: Collection[str]) -> Iterator[LookUp | OperatorAction]:
    """The records of one chain. A look-up's calls and its outcome are in one chain, unless its process dropped it."""
    wanted = [citizen_id.encode() for citizen_id in citizen_ids]
    begun: dict[str, LookUp | OperatorAction] = {}
    for file in files:
        for _, line, _ in lines_of(file.path):
            is_outcome = b'"event":"outcome"' in line
            if not is_outcome and not any(citizen_id in line for citizen_id in wanted):
                continue
            if is_outcome and not begun:
                continue
            try:
                facts = read(line).facts
            except Damaged:
                continue
            _take_in(begun, facts)
    yield from (one for one in begun.values() if one.citizen in citizen_ids)


def _take_in(begun: dict[str, LookUp | OperatorAction], facts: Mapping[str, Any]) -> None:
    identity, event = facts.get("id", ""), facts.get("event")
    if event == "call":
        look_up = begun.setdefault(
            identity,
            LookUp(
                facts["at"], facts["citizen"], facts["upstream"], facts["behalf"], facts.get("by", ""),
                facts["purpose"], facts.get("trace", ""),
            ),
        )  # fmt: skip
        if isinstance(look_up, LookUp):
            look_up.requests.append(facts["request"])
    elif event == "action":
        begun[identity] = OperatorAction(
            facts["at"], facts["action"], facts["by"], facts["target"], facts.get("citizen", ""),
            facts.get("reason", ""), user=facts.get("user", ""),
        )  # fmt: skip
    elif event == "outcome" and identity in begun:
        begun[identity].outcome = facts["outcome"]
