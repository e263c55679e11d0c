"""Normalising of VisiteringOgStatus' answers: contact groups (§2.2) and the absence of the calendar (§3.2)."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Final

from domain.overview import CalendarEntry, ContactGroupPeriod, EntryKind, Normalised, UnknownValue
from domain.rules import DEFAULT_RULES, Rules
from registerbro.refresh.unknown_values import told
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.item_reading import left_out, readable
from workers.dfdg_gateway.calendar_entries import in_order
from workers.visitering.wire import AlleFravaer, Fravaer, Kontaktgruppe, Status

ABSENCES: Final[Mapping[int, str]] = {
    1: "Uddannelse",
    2: "Midlertidigt arbejde",
    3: "Borgerligt ombud",
    4: "Barsel i højst 14 dage",
    6: "Under 18 år uden forsørgelsespligtige forældre",
    7: "Kan ikke få pension",
    8: "Barsel",
    9: "Friperiode",
    10: "Ferie",
    11: "Sygdom",
}
"""`fravaerType` → the title in the calendar: the published code list, whose end could not be read."""
ABSENCE: Final = "Fravær"
"""The title of an absence of any other type."""


def normalise(
    status: Status | None, absences: AlleFravaer | None, today: date, rules: Rules = DEFAULT_RULES
) -> Normalised:
    """The two sections of the register; None, an unknown person, leaves its section empty. `today` is the Danish day.

    Contact groups and absence are by their first day, and those without an end after the others. An absence of a type
    that the list does not have is shown as »Fravær«, and named. A contact group that no table knows on its last day,
    or `today` while it is open, is kept, and named.

    Raises InvalidResponse when a contact group could not be read and no other one is open: what that one is decides
    whether any is, and the list must not look like that of a citizen without an open group (R8).
    """
    groups, entries = (status.kontaktgrupper if status else ()), (absences.fravaer if absences else ())
    periods = _periods(readable(groups))
    if left_out(groups) and not any(one.start <= today and (one.end is None or today <= one.end) for one in periods):
        raise InvalidResponse("no contact group is open beside one that cannot be read")
    known = readable(entries)
    return Normalised(
        {"contact_groups": periods, "absences": in_order(map(_entry, known))},
        (*_unknown_groups(periods, rules, today), *_unknown_types(known)),
        (*left_out(groups), *left_out(entries)),
    )


def _periods(groups: Iterable[Kontaktgruppe]) -> list[ContactGroupPeriod]:
    items = [
        ContactGroupPeriod(group=one.kontaktgruppe_type, start=one.starttidspunkt, end=one.sluttidspunkt)
        for one in dict.fromkeys(groups)
    ]
    return sorted(items, key=lambda item: (item.start, item.end or date.max, item.group))


def _unknown_groups(periods: Iterable[ContactGroupPeriod], rules: Rules, today: date) -> Iterator[UnknownValue]:
    for one in periods:
        if rules.unknown_contact_groups(frozenset({one.group}), one.end or today):
            yield UnknownValue("kontaktgruppe", str(one.group))


def _entry(absence: Fravaer) -> CalendarEntry:
    return CalendarEntry(
        id=absence.fravaer_identifier,
        kind=EntryKind.ABSENCE,
        title=_title(absence) or ABSENCE,
        start=absence.start_dato,
        end=absence.slut_dato,
        held=False,
        text=None,
    )


def _unknown_types(absences: Iterable[Fravaer]) -> Iterator[UnknownValue]:
    for one in absences:
        if _title(one) is None:
            yield UnknownValue("fravaerType", told(one.fravaer_type))


def _title(absence: Fravaer) -> str | None:
    """The title of a type that the list has: as a number, and never as what merely equals one (`true`, `10.0`)."""
    kind = absence.fravaer_type
    return ABSENCES.get(kind) if type(kind) is int else None
