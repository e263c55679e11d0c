"""Entries of the calendar: in the order in which they are shown, each with an id of its own within its section."""

from collections.abc import Iterable
from datetime import date

from domain.overview import CalendarEntry

_LONGEST_ID = 100
"""Characters; of an `Identifier`."""


def in_order(entries: Iterable[CalendarEntry]) -> list[CalendarEntry]:
    """The entries by their days, each once, and those without an end last among the ones that begin with them.

    Of several with the same id, which a register should not give, all but the first are numbered: none is hidden.
    """
    taken: set[str] = set()
    found = []
    for entry in sorted(dict.fromkeys(entries), key=_place):
        own = _own_id(entry.id, taken)
        taken.add(own)
        found.append(entry if own == entry.id else entry.model_copy(update={"id": own}))
    return found


def _place(entry: CalendarEntry) -> tuple[date, date, str, str, bool, str]:
    return entry.start, entry.end or date.max, entry.title, entry.id, entry.held, entry.text or ""


def _own_id(wanted: str, taken: set[str]) -> str:
    own, number = wanted, 1
    while own in taken:
        number += 1
        own = f"{wanted[: _LONGEST_ID - len(str(number)) - 1]}-{number}"
    return own
