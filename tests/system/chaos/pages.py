"""What pages showed during a chaos run, and whether it was so."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from domain.overview import UNAVAILABLE_TEXT

UNNAMED = re.compile(r"Virksomhed med (?:CVR|SE)-nr\. \d+")
"""What a page shows in place of the name of a company that CVR has not told."""


@dataclass
class Seen:
    """What pages showed: of each citizen's section its states, and how long it was without anything to show."""

    shown: Counter[tuple[int, str, str, str]] = field(default_factory=Counter)
    pending_since: dict[tuple[int, str], float] = field(default_factory=dict)
    longest_pending: float = 0.0

    def note(self, citizen: int, page: Mapping, now: float) -> list[str]:
        """Notes a page; returns what is wrong with it by itself. `citizen` is a number in a list of ours."""
        problems = []
        for section in sections(page):
            state, place = section["state"], (citizen, section["id"])
            told = (section["message"], section["retry_after"] is not None, section["items"])
            if state == "unavailable" and told != (UNAVAILABLE_TEXT, True, []):
                problems.append(f"{section['id']} is unavailable and does not say so")
            if state == "pending":
                began = self.pending_since.setdefault(place, now)
                self.longest_pending = max(self.longest_pending, now - began)
            else:
                self.pending_since.pop(place, None)
            self.shown[(*place, state, json.dumps(section["items"], sort_keys=True))] += 1
        return problems

    def wrong(self, truths: Mapping[int, Mapping]) -> list[str]:
        """What was shown and is not so, by each citizen's page when all was well.

        An employment whose company CVR did not name in time is shown by the company's number, as documented: names are
        compared where both pages have one.
        """
        true = {
            (citizen, section["id"]): (section["state"], section["items"])
            for citizen, page in truths.items()
            for section in sections(page)
        }
        problems = []
        for (citizen, section, state, items), times in self.shown.items():
            if state not in {"ready", "empty"} or (citizen, section) not in true:
                continue
            true_state, true_items = true[citizen, section]
            if state != true_state or not _same(json.loads(items), true_items):
                told = f"citizen {citizen} was shown {section} as {state}, {times} times"
                problems.append(f"{told}, and it is {true_state}{'' if state != true_state else ' of other items'}")
        return problems


def _same(shown: list[dict], true: list[dict]) -> bool:
    """Whether these are the same items, in any order among those of the same dates where a company has no name."""
    if shown == true:
        return True
    if len(shown) != len(true) or not any(_is_unnamed(item) for item in [*shown, *true]):
        return False
    # The order of employments of the same dates is by name (R2), and so may differ too.
    left = list(true)
    for item in sorted(shown, key=_is_unnamed):
        fits = next((one for one in left if one == item), None) or next(
            (one for one in left if _is_unnamed(item) != _is_unnamed(one) and _nameless(one) == _nameless(item)), None
        )
        if fits is None:
            return False
        left.remove(fits)
    return True


def _is_unnamed(item: Mapping) -> bool:
    return UNNAMED.fullmatch(str(item.get("employer"))) is not None


def _nameless(item: Mapping) -> dict:
    return {name: value for name, value in item.items() if name != "employer"}


def sections(page: Mapping) -> Iterator[dict]:
    return (section for overview in page["overviews"] for section in overview["sections"])
