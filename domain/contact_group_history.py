"""Contact groups over time, from looks at the current ones: what each look showed, joined to one history.

The register tells the groups that are open now (§2.2 needs those that have ended). A group is one by its number and its
first day. Histories join in any order, so that a look that comes late adds what it saw and undoes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from domain.overview import ContactGroupPeriod

MOST_PERIODS: Final = 1_000
"""How many periods a history has at the most; of more, those that ended first are dropped. A citizen has a few."""

_NEVER: Final = -1
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SeenPeriod:
    """A contact group that looks have shown. `end` is the register's, or follows from a look that showed it no more."""

    group: int
    start: date
    end: date | None
    seen_on: date
    """The Danish day of the last look that showed it."""
    seen_at: int
    """The moment of that look."""

    @property
    def last_day(self) -> date:
        """Its last day, or the last of all while it has no end."""
        return self.end or date.max


@dataclass(frozen=True, slots=True)
class ContactGroupHistory:
    """Everything that looks have shown of one citizen's contact groups.

    `looked_at` and `looked_on` are moment and Danish day of the newest look that showed all that was open. Moments are
    numbers of one clock, by which looks are ordered.
    """

    periods: tuple[SeenPeriod, ...] = ()
    looked_at: int = _NEVER
    looked_on: date = date.min

    @classmethod
    def of_look(
        cls, groups: Iterable[ContactGroupPeriod], at: int, day: date, *, is_whole: bool = True
    ) -> "ContactGroupHistory":
        """The history that one look makes. It is not `is_whole` when a group that was open may not be in it."""
        seen = (SeenPeriod(one.group, one.start, one.end, day, at) for one in groups)
        return _history(seen, at, day) if is_whole else _history(seen, _NEVER, date.min)

    def joined(self, other: "ContactGroupHistory") -> "ContactGroupHistory":
        """Both histories as one.

        Of a group in both, the later look decides. A group that the newest look did not show has ended: on the day
        before that look, but not before the last day on which it was seen.
        """
        looked_at, looked_on = max(self.looked_at, other.looked_at), max(self.looked_on, other.looked_on)
        return _history((*self.periods, *other.periods), looked_at, looked_on)

    def shown(self) -> list[ContactGroupPeriod]:
        """The groups and their days. One that was announced, and never seen to have begun, is not among them."""
        return [
            ContactGroupPeriod(group=one.group, start=one.start, end=one.end)
            for one in sorted(self.periods, key=lambda one: (one.start, one.last_day, one.group))
            if one.start <= one.last_day
        ]


def _history(periods: Iterable[SeenPeriod], looked_at: int, looked_on: date) -> ContactGroupHistory:
    known: dict[tuple[int, date], SeenPeriod] = {}
    for one in periods:
        other = known.setdefault((one.group, one.start), one)
        known[one.group, one.start] = max(one, other, key=lambda period: (period.seen_at, period.last_day))
    ended = [one if one.seen_at >= looked_at else _ended(one, looked_on) for one in known.values()]
    ended.sort(key=lambda one: (one.last_day, one.start, one.group))
    return ContactGroupHistory(tuple(ended[-MOST_PERIODS:]), looked_at, looked_on)


def _ended(period: SeenPeriod, looked_on: date) -> SeenPeriod:
    """The period with an end, since the look on that day showed it no more."""
    if period.seen_on < period.start:
        return replace(period, end=period.start - _DAY)
    return replace(period, end=min(period.last_day, max(looked_on - _DAY, period.seen_on)))
