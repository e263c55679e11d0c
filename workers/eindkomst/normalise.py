"""What eIndkomst's reports come to on the page: the periods of employment of overview 2 (R2, R3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from workers.domain.overview import Employment, Normalised, UnknownValue
from workers.domain.periods import EMPLOYMENT_GAP, hull, merge, newest_first
from workers.eindkomst.reports import Employer, Report, Reports, employers, not_reversed, of_types
from workers.eindkomst.wire import NO_WORK, WORK
from workers.resilience.errors import InvalidResponse

CVR_ALONE = "Virksomhed med CVR-nr. {}"
SE_ALONE = "Virksomhed med SE-nr. {}"
"""What citizens read for an employer whose name is not known."""


@dataclass(frozen=True, slots=True)
class _Spell:
    """Some days of work at one employer, by its number."""

    employer: str
    start: date
    end: date


def normalise(reports: Reports, names: Mapping[str, str]) -> Normalised:
    """The one section that the register fills; `names` is a company's number → its name, as far as they are known.

    Periods at the same employer with at most a month between them are one (R3), newest first (R2). A period ends with
    the last that was reported. That a job goes on is not said by the register, and not guessed here: a report for this
    month ends with this month, and no end is ever None.

    A citizen without reports of work has no jobs, whatever else was reported. A type of income that nobody has told us
    of is no work; it is named, once for each report. Raises InvalidResponse when there is nothing to show but a report
    that could not be read: it may have been of work, and a failure must not look like no data (R8).
    """
    by_report = _employers(reports)
    spells = [_Spell(employer.number, report.days.first, report.days.last) for report, employer in by_report.items()]
    periods = merge(spells, EMPLOYMENT_GAP, _together, per=lambda spell: spell.employer)
    cvr_numbers = {employer.number for employer in by_report.values() if employer.has_cvr_number}

    def name(number: str) -> str:
        return names.get(number) or (CVR_ALONE if number in cvr_numbers else SE_ALONE).format(number)

    employments = [Employment(employer=name(one.employer), start=one.start, end=one.end) for one in periods]
    if reports.left_out and not employments:
        raise InvalidResponse(f"nothing is left to show beside {len(reports.left_out)} reports that cannot be read")
    in_order = newest_first(
        employments,
        start=lambda employment: employment.start,
        end=lambda employment: employment.end,
        name=lambda employment: employment.employer,
    )
    types = (report.income_type for report in reports.read)
    unknown = tuple(UnknownValue("indkomsttype", str(of_type)) for of_type in types if of_type not in WORK | NO_WORK)
    return Normalised({"employments": in_order}, unknown, reports.left_out)


def employer_numbers(reports: Reports) -> frozenset[str]:
    """The numbers of those who have employed the citizen, whose names the page will show; CVR may know them."""
    return frozenset(employer.number for employer in _employers(reports).values())


def _employers(reports: Reports) -> Mapping[Report, Employer]:
    """What is no pay for work is ignored before anything else is looked at, so that it can change nothing."""
    return employers(not_reversed(of_types(reports.read, WORK)))


def _together(earlier: _Spell, later: _Spell) -> _Spell:
    return _Spell(earlier.employer, hull(earlier, later).start, max(earlier.end, later.end))
