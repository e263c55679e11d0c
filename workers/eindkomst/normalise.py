"""Normalising of eIndkomst's reports: the periods of employment of overview 2 (R2, R3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from domain.overview import Employment, Normalised, UnknownValue
from domain.periods import EMPLOYMENT_GAP, hull, merge, newest_first
from domain.rules import DEFAULT_RULES, Rules
from registerbro.upstreams.errors import InvalidResponse
from workers.eindkomst.reports import Employer, Report, Reports, employers, not_reversed

CVR_ALONE = "Virksomhed med CVR-nr. {}"
SE_ALONE = "Virksomhed med SE-nr. {}"
"""Text on the page for an employer whose name is unknown."""


@dataclass(frozen=True, slots=True)
class _Spell:
    """Some days of work at one employer, by its number."""

    employer: str
    start: date
    end: date


def normalise(
    reports: Reports,
    names: Mapping[str, str],
    employed: Mapping[Report, Employer] | None = None,
    rules: Rules = DEFAULT_RULES,
) -> Normalised:
    """Makes the register's one section. `names` is a company's number → its name, as far as they are known.

    `employed` is what `employers_of` made of the same reports; it is made anew when None.

    Periods at the same employer with at most a month between them are one (R3), newest first (R2). A period ends with
    the last that was reported. That a job goes on is not said by the register, and not guessed here: a report for this
    month ends with this month, and no end is ever None.

    A citizen without reports of work has no jobs, whatever else was reported. An unknown type of income is no
    work; it is named, once for each report. Raises InvalidResponse when there is nothing to show but a report that
    could not be read: it may have been of work, and a failure must not look like no data (R8).
    """
    by_report = employers_of(reports, rules) if employed is None else employed
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
    strange = (report.income_type for report in reports.read if _is_work(report, rules) is None)
    unknown = tuple(UnknownValue("indkomsttype", str(of_type)) for of_type in strange)
    return Normalised({"employments": in_order}, unknown, reports.left_out)


def employers_of(reports: Reports, rules: Rules = DEFAULT_RULES) -> Mapping[Report, Employer]:
    """The reports of work that stand, each with its employer.

    Drops reports of no pay for work before any other rule, so that they cannot affect it. Whether a type of income is
    pay for work is told by the report's first day, so that a later law takes no old job away.
    """
    return employers(not_reversed([report for report in reports.read if _is_work(report, rules)]))


def _is_work(report: Report, rules: Rules) -> bool | None:
    """Whether a report is of pay for work; None for a type that the table of income types does not know on its day."""
    return rules.income_types.at(report.income_type, report.days.first)


def employer_numbers(employed: Mapping[Report, Employer]) -> frozenset[str]:
    """The numbers of the employers that the page will name; CVR may know them."""
    return frozenset(employer.number for employer in employed.values())


def _together(earlier: _Spell, later: _Spell) -> _Spell:
    return _Spell(earlier.employer, hull(earlier, later).start, max(earlier.end, later.end))
