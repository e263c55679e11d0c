"""What DFDG's answer comes to: calendar, deadlines, history of job titles, contact groups (R10; §2.1–2.2, 3.2, 3.4)."""

import re
from collections.abc import Iterable
from datetime import date

import nh3

from workers.dfdg import wire
from workers.dfdg.wire import Bookingfrist, Borger, Kalenderpost, Kontaktgruppe, Stillingsbetegnelse
from workers.domain.overview import (
    BookingDeadline,
    CalendarEntry,
    ContactGroupPeriod,
    EntryKind,
    JobTitle,
    Normalised,
    SectionItems,
)
from workers.vocabulary import known_only, normalised

_KIND = {
    wire.JOBLOG: EntryKind.JOBLOG,
    wire.INDSATS: EntryKind.ACTIVITY,
    wire.FRAVAER: EntryKind.ABSENCE,
    wire.MOEDE: EntryKind.MEETING,
}

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


def normalise(answer: Borger | None) -> Normalised:
    """The four sections that DFDG fills; None, an unknown person, leaves all of them empty.

    Calendar, deadlines and contact groups by their first day; job titles newest first, and those without a date last.
    Raises InvalidResponse when nothing is left of the calendar but what the contract does not know (R8).
    """
    posts, unknown = known_only(answer.kalender if answer else (), wire.KNOWN)
    # The rule is the calendar's own: what the other sections hold makes an empty one no truer.
    calendar = normalised({"calendar": _entries(posts)}, unknown)
    others: SectionItems = {
        "deadlines": _deadlines(answer.bookingfrister if answer else ()),
        "job_titles": _job_titles(answer.stillingsbetegnelser if answer else ()),
        "contact_groups": _contact_groups(answer.kontaktgrupper if answer else ()),
    }
    return Normalised({**calendar.sections, **others}, unknown)


def _entries(posts: Iterable[Kalenderpost]) -> list[CalendarEntry]:
    return sorted(map(_entry, posts), key=lambda item: (item.start, item.end, item.title, item.id))


def _deadlines(deadlines: Iterable[Bookingfrist]) -> list[BookingDeadline]:
    items = [
        BookingDeadline(id=one.id, deadline=one.frist, meeting_type=one.moedetype, active=one.aktiv, booked=one.booket)
        for one in dict.fromkeys(deadlines)
    ]
    return sorted(items, key=lambda item: (item.deadline, item.id))


def _job_titles(titles: Iterable[Stillingsbetegnelse]) -> list[JobTitle]:
    items = [JobTitle(title=one.titel, registered=one.registreret, ended=one.ophoert) for one in dict.fromkeys(titles)]
    return sorted(items, key=_newest_first)


def _contact_groups(groups: Iterable[Kontaktgruppe]) -> list[ContactGroupPeriod]:
    items = [ContactGroupPeriod(group=one.kode, start=one.startdato, end=one.slutdato) for one in dict.fromkeys(groups)]
    return sorted(items, key=lambda item: (item.start, item.end or date.max, item.group))


def _entry(post: Kalenderpost) -> CalendarEntry:
    held = post.type == wire.MOEDE and post.afholdt
    return CalendarEntry(
        id=post.id,
        kind=_KIND[post.type],
        title=post.titel,
        start=post.startdato,
        end=post.slutdato,
        held=held,
        text=(_FORMATTING.clean(post.tekst).strip() or None) if held and post.tekst else None,
    )


def _newest_first(title: JobTitle) -> tuple[int, str, date]:
    """A date that was lost is never invented: who has none comes after those who have one (§2.1)."""
    return (-title.registered.toordinal() if title.registered else 0, title.title, title.ended or date.max)
