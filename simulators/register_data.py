"""Register data of constructed citizens: their types, and builders that speak each register's own vocabulary."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Wages:
    """One report of a company to eIndkomst: `kind` T takes an earlier one away; `income_type` 00 is wages.

    `cvr` may be missing in a report. `se` is the number that reports, where that is not the CVR number itself, and
    `reporter` the bureau that does it for the company. The pay period is `start` to `end`, or one of them, alone or
    with `duration` (xs:duration); `month` is the tax month (yyyymm), that of the period unless it is said. `own_id` is
    made of all the rest when it is not given. `reversed_later` is the mark on a report that a later one took back.
    `staff` is a staff number. With `names_person` the person's name and address are in the report, and without `forms`
    it has no more than its period.
    """

    cvr: str | None
    start: date | None
    end: date | None
    income_type: str = "00"
    kind: str = "I"
    se: str | None = None
    duration: str | None = None
    month: str | None = None
    own_id: str | None = None
    reporter: str | None = None
    reversed_later: bool = False
    staff: str | None = None
    names_person: bool = False
    forms: bool = True

    @property
    def se_number(self) -> str:
        """The number that reports."""
        number = self.se or self.cvr
        if number is None:
            raise ValueError("a report has an SE number or a CVR number")
        return number

    @property
    def first_day(self) -> date:
        """The first day of the pay period that is told."""
        day = self.start or self.end
        if day is None:
            raise ValueError("a period has a start or an end")
        return day

    @property
    def tax_month(self) -> str:
        """The month that the income belongs to for tax, as yyyymm."""
        return self.month or f"{self.first_day:%Y%m}"


@dataclass(frozen=True, slots=True)
class InDays:
    """A day so many days from today, or from the last day of this month; so that a calendar is never out of date."""

    days: int
    from_month_end: bool = False

    def on(self, today: date) -> date:
        """The day that this is."""
        last = (today.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        return (last if self.from_month_end else today) + timedelta(days=self.days)


def month_end(days: int) -> InDays:
    """So many days from the last day of this month."""
    return InDays(days, from_month_end=True)


def danish_today() -> date:
    """The day in Denmark."""
    return datetime.now(ZoneInfo("Europe/Copenhagen")).date()


DFDG_SERVICES = ("visitering", "kontaktforloeb", "jobsearch", "borgerindsats")
"""The services of DFDG, each a register of its own; a citizen has a field of each one's name."""


@dataclass(frozen=True, slots=True)
class Citizen:
    """Constructed citizen, with each register's data in its vocabulary; None where it does not know the citizen."""

    cpr: str
    name: str
    about: str
    contact_groups: tuple[int, ...] = (12,)
    education_order: bool = False
    udb: tuple[Mapping[str, Any], ...] | None = ()
    su: tuple[Mapping[str, Any], ...] | None = ()
    wages: tuple[Wages, ...] = ()
    ydelse: tuple[Mapping[str, Any], ...] | None = ()
    visitering: tuple[Mapping[str, Any], ...] | None = ()
    kontaktforloeb: tuple[Mapping[str, Any], ...] | None = ()
    jobsearch: tuple[Mapping[str, Any], ...] | None = ()
    borgerindsats: tuple[Mapping[str, Any], ...] | None = ()
    udb_refusal: str | None = None
    """The code with which UDB refuses to subscribe the citizen."""
    advis: str | None = None
    """The code of the AdvisStruktur with which eIndkomst answers about this citizen, beside whatever it has."""
    answered_as: str | None = None
    """The number that eIndkomst's answer names in place of the one that was asked for."""
    known_to: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        held = {"udb": self.udb, "su": self.su, "eindkomst": self.wages, "ydelse": self.ydelse}
        held |= {name: getattr(self, name) for name in DFDG_SERVICES}
        object.__setattr__(self, "known_to", tuple(name for name, data in held.items() if data))


Event = dict[str, Any]


def event(kind: str, day: str | None, school: str, place: str, name: str, **more: Any) -> Event:  # noqa: ANN401
    """An event in UDB's vocabulary, with an id of its own; `more` are fields of it or, in `of`, of its education."""
    of = {"type": "UDDANNELSE", **more.pop("of", {})}
    code = sum(map(ord, name + of["type"])) % 9000 + 1000
    key = "-".join(filter(None, (kind, day, school, str(code), *map(str, more.values()))))
    return {
        "haendelsesIdentifier": f"h-{key}".replace(" ", "_"),
        "haendelsestype": kind,
        **({"dato": day} if day else {}),
        "uddannelse": {"kode": str(code), "navn": name, **of},
        "institution": {"nummer": school, "navn": place},
        **more,
    }


def admission(name: str, day: str, kompetence: str = "KOMPETENCEGIVENDE") -> Event:
    """An admission to an ordinary education."""
    return event("OPTAGELSE", day, "280051", "NEXT Uddannelse", name, of={"kompetence": kompetence})


def fgu(kind: str, day: str, **more: str) -> Event:
    """An event of one FGU."""
    return event(kind, day, "101555", "FGU Midt", "FGU", of={"type": "FGU"}, **more)


def education(
    name: str, status: str, start: str, end: str | None = None, kompetence: str = "KOMPETENCEGIVENDE", **more: str
) -> tuple[Event, ...]:
    """The events of an ordinary education: IGANGVAERENDE, AFBRUDT or GENNEMFOERT; `more` are fields of the last."""
    last = _last(status, end, "280051", "NEXT Uddannelse", name, of={"kompetence": kompetence}, **more)
    return admission(name, start, kompetence), *last


def special(kind: str, place: str, status: str, start: str, end: str | None = None, **more: str) -> tuple[Event, ...]:
    """The events of an FGU or STU; one institution per place."""
    school, name, of = str(101000 + sum(map(ord, place)) % 1000), f"{kind} forløb", {"type": kind}
    first = event("OPTAGELSE", start, school, place, name, of=of, **more)
    return first, *_last(status, end, school, place, name, of=of)


def _last(status: str, *where: Any, **more: Any) -> tuple[Event, ...]:  # noqa: ANN401 - as `event` takes it
    """The event that ends a course, if it has ended."""
    kind = {"AFBRUDT": "AFBRUD", "GENNEMFOERT": "FULDFOERELSE"}.get(status)
    return (event(kind, *where, **more),) if kind else ()


def su(name: str, start: str, *, kind: str = "UNGDOMSUDDANNELSE", withdrawn: bool = False) -> dict[str, Any]:
    """A registration in SU's vocabulary."""
    return {"uddannelsestype": kind, "uddannelse": name, "startdato": start, "annulleret": withdrawn}


def benefit(kind: str, start: str, end: str | None, *, job: bool | None = False) -> dict[str, Any]:
    """A benefit in the Ydelsesregister's vocabulary, without the CPR number that each repeats."""
    return {
        "kyYdelsesIdentifier": f"{kind}-{start}".lower(),
        "startdato": start,
        **({"slutdato": end} if end else {}),
        "ydelsestype": kind,
        "samtidigJob": job,
    }


def bare_benefit(start: str, end: str | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - odd values too
    """A benefit of the published fields alone, with `more` of them or others."""
    return {"startdato": start, **({"slutdato": end} if end else {}), **more}


def monthly(
    cvr: str,
    first: tuple[int, int],
    last: tuple[int, int],
    income_type: str = "00",
    **more: Any,  # noqa: ANN401 - whatever a report may have
) -> Iterator[Wages]:
    """A report for each month from `first` to `last` (year, month), both included."""
    year, month = first
    while (year, month) <= last:
        following = date(year + month // 12, month % 12 + 1, 1)
        yield Wages(cvr, date(year, month, 1), following - timedelta(days=1), income_type, **more)
        year, month = following.year, following.month


def fortnightly(cvr: str, first: tuple[int, int], months: int) -> Iterator[Wages]:
    """Two reports for each of so many months from `first` (year, month)."""
    for n in range(months):
        year, month = first[0] + (first[1] - 1 + n) // 12, (first[1] - 1 + n) % 12 + 1
        (whole,) = monthly(cvr, (year, month), (year, month))
        middle = whole.first_day.replace(day=14)
        yield replace(whole, end=middle)
        yield replace(whole, start=middle + timedelta(days=1))


def days(cvr: str, *periods: tuple[str, str]) -> Iterator[Wages]:
    """A report for each period of days."""
    for start, end in periods:
        yield Wages(cvr, date.fromisoformat(start), date.fromisoformat(end))
