"""Rules of employers' reports to eIndkomst; each is a pure function.

The register delivers reports raw: joining them, and dropping those that were reversed, is left to the asking system
(WSDL of IndkomstOplysningPersonHent, rules of use). `report_parsing.py` reads a `Report` from an answer, `normalise.py`
makes periods.
"""

import calendar
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

from domain.overview import LeftOut
from domain.periods import add_months

REPORTED: Final = "I"
REVERSED: Final = "T"
"""The kinds of report (form 11000, field 011): »indberetning« and »tilbageførsel«."""

COMPANY_DIGITS: Final = 8
"""SE numbers and CVR numbers have eight digits, of one series."""

_COMPANY_NUMBER = re.compile(r"[0-9]{1,8}")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2})?")
_DURATION = re.compile(
    r"P(?=[0-9T])(?:([0-9]{1,6})Y)?(?:([0-9]{1,6})M)?(?:([0-9]{1,7})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9}(?:\.[0-9]+)?)S)?)?"
)
"""An xs:duration that is not negative. More digits than these leave the calendar."""

_DAYS_OF_400_YEARS = 146_097


class UnreadablePeriod(ValueError):
    """A report's period is none: without a date, ended before it began, or outside the calendar."""


@dataclass(frozen=True, slots=True)
class Days:
    """The days from `first` to `last`, both included. Raises UnreadablePeriod when `last` is before `first`."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise UnreadablePeriod

    @classmethod
    def of_month(cls, day: date) -> Self:
        """The calendar month in which `day` lies."""
        return cls(day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1]))


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """One form 11000 of a report: what a company says it paid a citizen. Its repr shows nothing of the citizen.

    `se_number` is the company's, eight characters; `own_id` the company's own identifier of the report; `income_type` a
    number; `marked` whether the register says that the report was taken back later (form 16000, field 021). `reporter`
    (001) is the SE number of its sender, and `reporters_cvr_number` (006) the CVR number of that: both as they
    stand, or None.
    """

    se_number: str
    own_id: str
    days: Days
    kind: str
    income_type: int
    marked: bool = False
    reporter: str | None = None
    reporters_cvr_number: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Reports:
    """The readable reports of an answer, in no certain order, and its unreadable items."""

    read: tuple[Report, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def __add__(self, other: "Reports") -> "Reports":
        return Reports(self.read + other.read, self.left_out + other.left_out)


@dataclass(frozen=True, slots=True)
class Employer:
    """A company by its number; `has_cvr_number` is whether that is a CVR number, or an SE number that may be one."""

    number: str
    has_cvr_number: bool


def paid_days(start: str | None, end: str | None, duration: str | None) -> Days:
    """The days of a DateIntervalType (OIO XML, xkom.dk 2007-09-01), of which parts may be missing.

    A duration includes the day of the date it is counted from: P1M from 1 January ends on 31 January.
    One date alone stands for its calendar month and no other: neither a start nor an end is invented beyond that.
    Raises UnreadablePeriod.
    """
    first, last = _day(start), _day(end)
    if first and last:
        return Days(first, last)
    if duration is not None:
        return _days_by_duration(first, last, _duration(duration))
    if (only := first or last) is None:
        raise UnreadablePeriod
    return Days.of_month(only)


def _day(text: str | None) -> date | None:
    """An xs:date; its time zone is dropped, since a day of the calendar is meant wherever it was written."""
    if text is None:
        return None
    if matched := _DATE.fullmatch(text):
        with suppress(ValueError):
            return date.fromisoformat(matched[1])
    raise UnreadablePeriod


def _duration(text: str) -> tuple[int, timedelta]:
    """An xs:duration as months, and days with their time."""
    matched = _DURATION.fullmatch(text)
    if matched is None:
        raise UnreadablePeriod
    years, months, days, hours, minutes, seconds = (float(part or 0) for part in matched.groups())
    return int(years * 12 + months), timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _days_by_duration(first: date | None, last: date | None, duration: tuple[int, timedelta]) -> Days:
    """Months are counted before days, and a day that a month lacks is its last (XML Schema 1.0 part 2, appendix E)."""
    months, rest = duration
    begun = 1 if rest.seconds or rest.microseconds else 0
    try:
        if first is not None:
            after = _months_from(first.toordinal(), months) + rest.days
            return Days(first, max(first, date.fromordinal(after - 1 + begun)))
        if last is not None:
            began = _months_from(last.toordinal() + 1, -months) - rest.days - begun
            return Days(min(last, date.fromordinal(began)), last)
    except (OverflowError, ValueError):
        # Not chained, since the calendar's own error may name the date.
        pass
    raise UnreadablePeriod


def _months_from(day: int, months: int) -> int:
    """So many months from a day, both as ordinals: also past the calendar's end, where the next day is worked out.

    The Gregorian calendar repeats itself every 400 years.
    """
    cycle = _DAYS_OF_400_YEARS if day > _DAYS_OF_400_YEARS and (months > 0 or day > date.max.toordinal()) else 0
    return add_months(date.fromordinal(day - cycle), months).toordinal() + cycle


def income_type(text: str) -> int | None:
    """Field 012 as a number, so that `0` and `00` are one type; None when it is no number of up to nine digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def not_reversed(reports: Sequence[Report]) -> list[Report]:
    """The reports that were not taken back; reversals themselves are none.

    A report was taken back when it is marked so; or when a reversal of the same company has its own id; or, for a
    reversal whose id no report has, when company, period and type of income are the same. A reversal of the last sort
    takes away one report: first one that is marked anyway, since the mark tells of the same reversal, then one without
    a CVR number of its own, then by id, so that the order of reports changes nothing.
    """
    reported = [report for report in reports if report.kind == REPORTED]
    reversals = [report for report in reports if report.kind == REVERSED]
    reversed_ids = {_identity(reversal) for reversal in reversals}
    reported_ids = {_identity(report) for report in reported}
    by_period = Counter(_subject(reversal) for reversal in reversals if _identity(reversal) not in reported_ids)
    left: list[Report] = []
    for report in sorted(reported, key=_first_to_go):
        if _identity(report) in reversed_ids:
            continue
        if by_period[_subject(report)] > 0:
            by_period[_subject(report)] -= 1
        elif not report.marked:
            left.append(report)
    return left


def _identity(report: Report) -> tuple[str, str]:
    """Own ids are the company's: two companies may use the same."""
    return report.se_number, report.own_id


def _subject(report: Report) -> tuple[str, Days, int]:
    return report.se_number, report.days, report.income_type


def _first_to_go(report: Report) -> tuple[bool, bool, str, str, str]:
    """The last two are there so that no two different reports are alike, and the order of the answer never decides."""
    has_cvr_number = told_cvr_number(report) is not None
    return not report.marked, has_cvr_number, report.own_id, report.reporters_cvr_number or "", report.reporter or ""


def told_cvr_number(report: Report) -> str | None:
    """The company's own CVR number, eight digits; None when the report does not tell it.

    Field 006 is the CVR number of the report's sender. That is the company itself unless field 001 names another:
    a bureau that reports for many never becomes an employer.
    """
    if report.reporter and _padded(report.reporter) != _padded(report.se_number):
        return None
    number = report.reporters_cvr_number or ""
    return _padded(number) if _COMPANY_NUMBER.fullmatch(number) and int(number) else None


def _padded(number: str) -> str:
    """Leading zeros are lost where a number was kept as one."""
    return number.zfill(COMPANY_DIGITS)


def employers(reports: Iterable[Report]) -> Mapping[Report, Employer]:
    """Each report's employer.

    A company is known by its CVR number: told by the report, or, where that does not, by its other reports if they tell
    one and the same. Else by its SE number, since a company's first one equals its CVR number.
    """
    told = {report: told_cvr_number(report) for report in reports}
    by_company: dict[str, set[str]] = {}
    for report, number in told.items():
        if number:
            by_company.setdefault(report.se_number, set()).add(number)
    only = {se_number: next(iter(numbers)) for se_number, numbers in by_company.items() if len(numbers) == 1}

    def employer(report: Report, number: str | None) -> Employer:
        cvr_number = number or only.get(report.se_number)
        return Employer(cvr_number or report.se_number, has_cvr_number=cvr_number is not None)

    return {report: employer(report, number) for report, number in told.items()}
