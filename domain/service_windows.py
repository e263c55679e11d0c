"""Service windows: when a register is closed as planned, in Danish local time.

    Mon-Fri 20:30-05:00; Sun 00:00-24:00; 2023-03-10 09:00/2023-03-10 13:00

Weekly ones name the days on which they begin and may go over midnight; one-off ones have a beginning and an end.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DENMARK = ZoneInfo("Europe/Copenhagen")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_WEEKLY = re.compile(r"(?P<days>[A-Za-z]{3}(?:[-,][A-Za-z]{3})*) (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)")
_ONCE = re.compile(r"(?P<start>\d{4}-\d\d-\d\d \d\d:\d\d)/(?P<end>\d{4}-\d\d-\d\d \d\d:\d\d)")

Span = tuple[datetime, datetime]
"""The beginning and the end, which is not in it any more, both UTC."""


@dataclass(frozen=True, slots=True)
class Weekly:
    """Closed on these days (0 is Monday) from `start` to `end`, minutes after midnight; over 1440 is the next day."""

    days: frozenset[int]
    start: int
    end: int

    def spans(self, around: date) -> Iterator[Span]:
        """The closures that may hold a moment of this Danish day."""
        for day in (around - timedelta(days=1), around):
            if day.weekday() in self.days:
                yield _utc(day, self.start), _utc(day, self.end)


@dataclass(frozen=True, slots=True)
class Once:
    """Closed from one moment to another, both UTC."""

    start: datetime
    end: datetime

    def spans(self, _: date) -> Iterator[Span]:
        """The one closure."""
        yield self.start, self.end


def parse(text: str) -> tuple[Weekly | Once, ...]:
    """Reads windows separated by semicolons. Raises ValueError, naming the one that is none."""
    return tuple(_parse_one(part.strip()) for part in text.split(";") if part.strip())


def closed_until(windows: Iterable[Weekly | Once], now: datetime) -> datetime | None:
    """When the closure that holds `now` ends, with those that follow it without a break; None when it is open."""
    windows = tuple(windows)
    until = now
    while ends := [
        end
        for window in windows
        for start, end in window.spans(until.astimezone(DENMARK).date())
        if start <= until < end
    ]:
        until = max(ends)
        if until - now > timedelta(days=8):
            break
    return until if until > now else None


def _parse_one(text: str) -> Weekly | Once:
    if matched := _ONCE.fullmatch(text):
        start, end = (_moment(text, matched[name]) for name in ("start", "end"))
        if end <= start:
            raise ValueError(f"{text!r} ends before it begins")
        return Once(start, end)
    if matched := _WEEKLY.fullmatch(text):
        start_minute, end_minute = _minute(text, matched["start"]), _minute(text, matched["end"])
        if end_minute <= start_minute:
            end_minute += 24 * 60
        return Weekly(frozenset(_days(text, matched["days"])), start_minute, end_minute)
    raise ValueError(f"{text!r} is not like `Mon-Fri 20:30-05:00` or `2023-03-10 09:00/2023-03-10 13:00`")


def _days(text: str, days: str) -> Iterator[int]:
    for part in days.split(","):
        names = [name.capitalize() for name in part.split("-")]
        if not set(names) <= set(DAYS) or len(names) > 2:
            raise ValueError(f"{text!r} names a day that is none of {', '.join(DAYS)}")
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        yield from ((first + n) % 7 for n in range((last - first) % 7 + 1))


def _minute(text: str, clock: str) -> int:
    hour, minute = int(clock[:2]), int(clock[3:])
    if minute > 59 or hour * 60 + minute > 24 * 60:
        raise ValueError(f"{text!r} has a time of day that is none")
    return hour * 60 + minute


def _moment(text: str, moment: str) -> datetime:
    try:
        return datetime.strptime(moment, "%Y-%m-%d %H:%M").replace(tzinfo=DENMARK).astimezone(UTC)
    except ValueError:
        raise ValueError(f"{text!r} has a date that is none") from None


def _utc(day: date, minute: int) -> datetime:
    """A Danish wall-clock time: of two in autumn the first; in spring's missing hour, what the clock was set on to."""
    local = datetime.combine(day + timedelta(days=minute // 1440), time(minute // 60 % 24, minute % 60), DENMARK)
    return local.astimezone(UTC)


def danish_today() -> date:
    """The day in Denmark: R1's ages and every date that a citizen reads go by it."""
    return datetime.now(DENMARK).date()
