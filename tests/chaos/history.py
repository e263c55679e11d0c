"""The record of a chaos run and the verdict on it: from answers and the vendor's list, not from our own states."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class Answer(StrEnum):
    """What the citizen was told in the end."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """Neither: the ledger did not answer, however often it was asked. It may be delivered, but only once."""


@dataclass(frozen=True)
class Submission:
    """One report as its citizen sees it: a text that no other report has, and the ids that it was accepted under."""

    text: str
    answer: Answer
    ids: tuple[str, ...] = ()
    detail: str = ""


class History:
    """A file to which every answer is appended the moment that it is given."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def note(self, submission: Submission) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(submission), ensure_ascii=False) + "\n")

    def submissions(self) -> list[Submission]:
        lines = self._path.read_text(encoding="utf-8").splitlines()
        return [
            Submission(**(fields | {"ids": tuple(fields["ids"]), "answer": Answer(fields["answer"])}))
            for fields in map(json.loads, lines)
        ]


def undelivered(submissions: list[Submission], vendor: dict) -> set[str]:
    """The ids that were acknowledged and that the vendor does not have. `vendor` is its own list, by key."""
    return {report_id for one in submissions for report_id in one.ids} - vendor.keys()


def verdict(submissions: list[Submission], vendor: dict) -> dict:
    """Counts what the promise is about. A report is known by its text, so that one sent under two keys is seen."""
    entries = Counter(entry["report"]["beskrivelse"] for entry in vendor.values())
    accepted = [one for one in submissions if one.answer is Answer.ACCEPTED]
    # By text and key: a report that arrived under another key than its citizen was told of is lost to them.
    arrived = {(entry["report"]["beskrivelse"], key) for key, entry in vendor.items()}
    delivered = [one for one in accepted if any((one.text, report_id) in arrived for report_id in one.ids)]
    strangers = entries.keys() - {one.text for one in submissions}
    refused = {one.text for one in submissions if one.answer is Answer.REFUSED}
    return {
        "accepted": len(accepted),
        "delivered": len(delivered),
        "lost": len(accepted) - len(delivered),
        "delivered_twice": sum(count - 1 for count in entries.values()),
        "refused_but_delivered": sum(text in entries for text in refused) + len(strangers),
        "vendor_saw_duplicates": sum(entry["received"] - 1 for entry in vendor.values()),
    }


def holds(found: dict) -> bool:
    """Whether the promise held."""
    return not (found["lost"] or found["delivered_twice"] or found["refused_but_delivered"])
