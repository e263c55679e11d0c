"""What eIndkomst's answer comes to on the page: the periods of employment of overview 2 (R2, R3)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from workers.domain.overview import Employment, Normalised, UnknownValue
from workers.domain.periods import EMPLOYMENT_GAP, hull, merge, newest_first
from workers.eindkomst import wire
from workers.eindkomst.wire import Report
from workers.vocabulary import normalised

CVR_ALONE = "Virksomhed med CVR-nr. {}"
SE_ALONE = "Virksomhed med SE-nr. {}"
"""What citizens read for an employer whose name is not known."""

_KINDS = frozenset({wire.REPORTED, wire.REVERSED})


@dataclass(frozen=True, slots=True)
class _Spell:
    """Some days of work at one employer, by its number."""

    employer: str
    start: date
    end: date


def normalise(reports: Iterable[Report], names: Mapping[str, str]) -> Normalised:
    """The one section that the register fills; `names` is CVR number → name, as far as they are known.

    Periods at the same employer with at most a month between them are one (R3), newest first (R2). Employers are told
    apart by CVR number; one without it by SE number, which is the same series: a company's own number serves as both.

    A period ends with the last that was reported. That a job goes on is not said by the register, and not guessed
    here: a report for this month ends with this month, and no end is ever None.

    A report with an unknown kind or type of income is left out and named, once per value. Raises InvalidResponse when
    nothing is left to show but such (R8).
    """
    reports = tuple(reports)
    jobs = tuple(_jobs(reports))
    with_cvr = _cvr_numbers(jobs)
    periods = merge(map(_spell, jobs), EMPLOYMENT_GAP, _together, per=lambda spell: spell.employer)
    employments = [
        Employment(employer=_name(period.employer, with_cvr, names), start=period.start, end=period.end)
        for period in periods
    ]
    in_order = newest_first(
        employments,
        start=lambda employment: employment.start,
        end=lambda employment: employment.end,
        name=lambda employment: employment.employer,
    )
    return normalised({"employments": in_order}, _unknown(reports))


def employer_numbers(reports: Iterable[Report]) -> frozenset[str]:
    """The CVR numbers of those who have employed the citizen: whose names the page will show."""
    return _cvr_numbers(_jobs(reports))


def _cvr_numbers(jobs: Iterable[Report]) -> frozenset[str]:
    return frozenset(job.cvr_number for job in jobs if job.cvr_number)


def _is_wages(report: Report) -> bool:
    return report.form == wire.FORM_INCOME and report.income_type == wire.WAGES


def _jobs(reports: Iterable[Report]) -> Iterator[Report]:
    """The reports of wages that were not taken back.

    A reversal takes away one report of the same company and period, one without a CVR number first, so that the order
    in which they come changes nothing; with none to take away it is void.
    """
    wages = [report for report in reports if _is_wages(report)]
    reversals = Counter(map(_reported_as, (report for report in wages if report.kind == wire.REVERSED)))
    reported = (report for report in wages if report.kind == wire.REPORTED)
    for report in sorted(reported, key=lambda report: report.cvr_number or ""):
        if reversals[_reported_as(report)] > 0:
            reversals[_reported_as(report)] -= 1
        else:
            yield report


def _reported_as(report: Report) -> tuple[str, date, date]:
    return report.se_number, report.start, report.end


def _spell(job: Report) -> _Spell:
    return _Spell(job.cvr_number or job.se_number, job.start, job.end)


def _together(earlier: _Spell, later: _Spell) -> _Spell:
    return _Spell(earlier.employer, hull(earlier, later).start, max(earlier.end, later.end))


def _name(employer: str, with_cvr: frozenset[str], names: Mapping[str, str]) -> str:
    return names.get(employer) or (CVR_ALONE if employer in with_cvr else SE_ALONE).format(employer)


def _unknown(reports: Iterable[Report]) -> tuple[UnknownValue, ...]:
    """The values that the contract does not know, each once; a kind counts only where it decides about a job."""
    strange: set[tuple[str, str]] = set()
    for report in reports:
        if report.income_type is not None and report.income_type not in wire.INCOME_TYPES:
            strange.add(("indkomsttype", wire.shown(report.income_type)))
        elif report.kind is not None and report.kind not in _KINDS and _is_wages(report):
            strange.add(("indberetningsart", wire.shown(report.kind)))
    return tuple(UnknownValue(field, value) for field, value in sorted(strange))
