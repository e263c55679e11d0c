"""The record of a chaos run and the verdict on it: from answers and the vendor's list, not from our own states."""

import json
from collections import Counter
from collections.abc import Mapping
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


def undelivered(submissions: list[Submission], vendor: list[dict]) -> set[str]:
    """The ids that were acknowledged and that the vendor does not have. `vendor` is its own list of what it took."""
    arrived = {_text(entry) for entry in vendor}
    return {report_id for one in submissions for report_id in one.ids if one.text not in arrived}


def verdict(
    submissions: list[Submission], vendor: list[dict], unknown: Mapping[str, int] | None = None, repeats: int = 0
) -> dict:
    """Counts what the promise is about. A report is known by its text, so that one sent under two keys is seen.

    `unknown` is by text how many attempts of a report are listed for operators as of unknown outcome, and `repeats` how
    often such a report may be sent again. A vendor that knows keys has each report once under the key that its citizen
    was told of: under another it is lost to them.
    """
    copies = Counter(map(_text, vendor))
    times = {text: {entry["report"]["FejlTidspunkt"] for entry in vendor if _text(entry) == text}
             for text, count in copies.items() if count > 1}  # fmt: skip
    may_come_again = {text: min(count, repeats) for text, count in (unknown or {}).items()}
    accepted = [one for one in submissions if one.answer is Answer.ACCEPTED]
    arrived = {(_text(entry), entry["key"]) for entry in vendor}
    delivered = [one for one in accepted if any((one.text, key) in arrived for key in (*one.ids, None))]
    strangers = copies.keys() - {one.text for one in submissions}
    refused = {one.text for one in submissions if one.answer is Answer.REFUSED}
    beyond = {text: max(0, count - 1 - may_come_again.get(text, 0)) for text, count in copies.items()}
    return {
        "accepted": len(accepted),
        "delivered": len(delivered),
        "lost": len(accepted) - len(delivered),
        "delivered_twice": sum(beyond.values()),
        "again_after_unknown": sum(count - 1 - beyond[text] for text, count in copies.items()),
        "at_another_time": sum(len(of_one) > 1 for of_one in times.values()),
        "refused_but_delivered": sum(text in copies for text in refused) + len(strangers),
        "vendor_saw_duplicates": sum(entry["received"] - 1 for entry in vendor),
    }


def holds(found: dict) -> bool:
    """Whether the promise held."""
    broken = ("lost", "delivered_twice", "at_another_time", "refused_but_delivered")
    return not any(found[name] for name in broken)


def _text(entry: dict) -> str:
    """The text of a report as the vendor took it."""
    return entry["report"]["Fejltekst"]
