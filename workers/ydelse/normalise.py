"""Normalising of the Ydelsesregister's answer: the benefits of overview 3 (R2, R4, R5)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from domain.dated_tables import Table
from domain.overview import Benefit, Normalised, UnknownValue
from domain.periods import BENEFIT_GAP, hull, merge, newest_first
from domain.rules import DEFAULT_RULES, Rules
from registerbro.refresh.unknown_values import told
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.item_reading import left_out, readable
from workers.ydelse.wire import BENEFIT_OF_GROUP, Ydelse, YdelseSvar, group

UNKNOWN_BENEFIT = "Ukendt ydelse"
"""The label on the page of a benefit whose type the register does not say, or not in a way that is known."""


@dataclass(frozen=True, slots=True)
class _Period:
    """A period with a benefit. `kind` tells apart what must not merge, such as two types that are not known."""

    kind: str
    type: str
    start: date
    end: date | None
    concurrent_job: bool | None


def normalise(answer: YdelseSvar | None, today: date, rules: Rules = DEFAULT_RULES) -> Normalised:
    """The one section that the register fills; None, an unknown person, leaves it empty. `today` is the Danish day.

    A period has the name that its type had on its first day, so that an old one keeps its old name. Periods of the same
    name with less than a month between them are one (R4), newest first (R2). A period that begins after today is
    expected and has not begun: it is not shown. A type without a name on its day is shown as UNKNOWN_BENEFIT and
    named. Raises InvalidResponse when there is nothing to show but an item that could not be read (R8).
    """
    items = answer.ydelser.ydelse if answer else ()
    begun = [one for one in readable(items) if one.startdato <= today]
    odd = left_out(items)
    if odd and not begun:
        raise InvalidResponse(f"nothing is left to show beside {len(odd)} benefits that cannot be read")
    labels = rules.benefits
    periods = merge([_period(one, labels) for one in begun], BENEFIT_GAP, _together, per=lambda period: period.kind)
    benefits = [
        Benefit(type=one.type, start=one.start, end=one.end, concurrent_job=one.concurrent_job) for one in periods
    ]
    in_order = newest_first(
        benefits,
        start=lambda benefit: benefit.start,
        end=lambda benefit: benefit.end,
        name=lambda benefit: benefit.type,
    )
    unknown = tuple(value for one in begun for value in _unknown_values(one, labels))
    return Normalised({"benefits": in_order}, unknown, odd)


def _period(ydelse: Ydelse, labels: Table[str, str]) -> _Period:
    label = _label(ydelse, labels)
    job = ydelse.samtidig_job
    return _Period(
        kind=label or repr((ydelse.ydelsestype, ydelse.kontaktgruppe_type)),
        type=label or UNKNOWN_BENEFIT,
        start=ydelse.startdato,
        end=ydelse.slutdato,
        concurrent_job=job if isinstance(job, bool) else None,
    )


def _label(ydelse: Ydelse, labels: Table[str, str]) -> str | None:
    """The label by the type, else by the contact group; None when neither has one on the period's first day."""
    of_group = BENEFIT_OF_GROUP.get(group(ydelse.kontaktgruppe_type) or 0)
    day = ydelse.startdato
    return _label_of(ydelse.ydelsestype, day, labels) or _label_of(of_group, day, labels)


def _label_of(code: object, day: date, labels: Table[str, str]) -> str | None:
    return labels.at(code, day) if isinstance(code, str) else None


def _unknown_values(ydelse: Ydelse, labels: Table[str, str]) -> Iterator[UnknownValue]:
    """The values that are no part of what is known: of the type, of the contact group that it hangs on, of the job."""
    kind, of_group, job = ydelse.ydelsestype, ydelse.kontaktgruppe_type, ydelse.samtidig_job
    if _label_of(kind, ydelse.startdato, labels) is None and (kind is not None or of_group is None):
        yield UnknownValue("ydelsestype", told(kind))
    if of_group is not None and _label(ydelse, labels) is None:
        yield UnknownValue("kontaktgruppeType", told(of_group))
    if job is not None and not isinstance(job, bool):
        yield UnknownValue("samtidigJob", told(job))


def _together(earlier: _Period, later: _Period) -> _Period:
    """One period of two (R4, R5): of whether there was a job meanwhile, Ja outranks Ukendt, and Ukendt outranks Nej."""
    span = hull(earlier, later)
    jobs = (earlier.concurrent_job, later.concurrent_job)
    job = True if True in jobs else None if None in jobs else False
    return _Period(earlier.kind, earlier.type, span.start, span.end, job)
