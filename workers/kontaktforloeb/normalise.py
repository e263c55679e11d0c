"""Normalising of Kontaktforloeb's answers: the meetings of the calendar, and the booking deadlines (R10; §3.2, 3.3)."""

import re
from collections.abc import Iterable

import nh3

from domain.overview import BookingDeadline, CalendarEntry, EntryKind, Normalised, UnknownValue
from registerbro.refresh.unknown_values import normalised, showable
from registerbro.upstreams.item_reading import left_out, readable
from registerbro.upstreams.wire_types import Code
from workers.dfdg_gateway.calendar_entries import in_order
from workers.kontaktforloeb import wire
from workers.kontaktforloeb.wire import Borgerstatus, Frist, Indkaldelse, Indkaldelser

UNKNOWN_MEETING = "Samtale"
"""The name on the page of a meeting whose type is not known."""

_ABSOLUTE = re.compile(r"https://\w", re.IGNORECASE)
"""How a link begins that leads to the same place from any page: `//host`, `https:path` and `/path` depend on theirs."""


def _absolute(tag: str, attribute: str, value: str) -> str | None:
    """nh3's attribute filter: every attribute that it asks about but a link that is not an absolute https address."""
    del tag
    return value if attribute != "href" or _ABSOLUTE.match(value) else None


_FORMATTING = nh3.Cleaner(
    tags={"p", "br", "ul", "ol", "li", "strong", "em", "a"},
    attributes={"a": {"href"}},
    attribute_filter=_absolute,
    url_schemes={"https"},
    url_relative="deny",
    link_rel="noopener",
    strip_comments=True,
)
"""All that is left of a meeting's text: plain formatting, and absolute https links. Never a script or a style."""


def normalise(meetings: Indkaldelser | None, status: Borgerstatus | None) -> Normalised:
    """The two sections that the service fills; None, an unknown person, leaves a section empty.

    Both are by their days. A type that is not known is shown as UNKNOWN_MEETING, and named; a deadline whose status is
    not known is left out, and named. Raises InvalidResponse when all deadlines are left out so (R8).
    """
    calls = meetings.indkaldelser if meetings else ()
    held = readable(calls)
    frister = status.frister.frist if status and status.frister else ()
    known = [one for one in readable(frister) if one.friststatus_type in wire.STATUSES]
    unknown = [
        UnknownValue("FriststatusType", showable(str(one.friststatus_type)))
        for one in readable(frister)
        if one.friststatus_type not in wire.STATUSES
    ]
    # The rule is the deadlines' own: a meeting does not make an empty list of them true.
    deadlines = normalised({"deadlines": _deadlines(known)}, tuple(unknown))
    types = _unknown_types([*(one.samtale_type for one in held), *(one.samtale_type for one in known)])
    return Normalised(
        {"meetings": in_order(map(_entry, held)), **deadlines.sections},
        (*unknown, *types),
        (*left_out(calls), *left_out(frister)),
    )


def _entry(meeting: Indkaldelse) -> CalendarEntry:
    text = meeting.aftaletekst
    return CalendarEntry(
        id=meeting.indkaldelse_id,
        kind=EntryKind.MEETING,
        title=_name(meeting.samtale_type),
        start=meeting.first_day,
        end=meeting.last_day,
        held=bool(meeting.afholdt),
        text=(_FORMATTING.clean(text).strip() or None) if meeting.afholdt and text else None,
    )


def _deadlines(frister: Iterable[Frist]) -> list[BookingDeadline]:
    """Each once: of the same type and day, one that is active outweighs the others, as it is still to be met."""
    found: dict[str, BookingDeadline] = {}
    for one in frister:
        key = f"{one.samtale_type}-{one.fristdato.isoformat()}"
        is_active = one.friststatus_type == wire.ACTIVE or (key in found and found[key].active)
        found[key] = BookingDeadline(
            id=key, deadline=one.fristdato, meeting_type=_name(one.samtale_type), active=is_active
        )
    return sorted(found.values(), key=lambda item: (item.deadline, item.id))


def _name(code: Code) -> str:
    return wire.MEETING_TYPES.get(code, UNKNOWN_MEETING)


def _unknown_types(codes: Iterable[Code]) -> list[UnknownValue]:
    return [UnknownValue("SamtaleType", showable(str(code))) for code in codes if code not in wire.MEETING_TYPES]
