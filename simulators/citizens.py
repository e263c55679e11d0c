"""Constructed citizens: between them every section and boundary of the rules. Days of 61–91, so that none is real."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

STRANGER = "6805034111"
"""A CPR number that no register knows."""


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


@dataclass(frozen=True, slots=True)
class Citizen:
    """One constructed citizen, with what each register holds, in its own vocabulary; None where it knows nobody."""

    cpr: str
    name: str
    about: str
    contact_groups: tuple[int, ...] = (12,)
    education_order: bool = False
    udb: tuple[Mapping[str, Any], ...] | None = ()
    su: tuple[Mapping[str, Any], ...] | None = ()
    wages: tuple[Wages, ...] = ()
    ydelse: tuple[Mapping[str, Any], ...] | None = ()
    dfdg: tuple[Mapping[str, Any], ...] | None = ()
    advis: str | None = None
    """The code of the AdvisStruktur with which eIndkomst answers about this citizen, beside whatever it has."""
    answered_as: str | None = None
    """The number that eIndkomst's answer names in place of the one that was asked for."""
    known_to: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        held = {"udb": self.udb, "su": self.su, "eindkomst": self.wages, "ydelse": self.ydelse, "dfdg": self.dfdg}
        object.__setattr__(self, "known_to", tuple(name for name, data in held.items() if data))


@dataclass(frozen=True, slots=True)
class Company:
    """A company in CVR, as its newest `name`; `form` is its virksomhedsformkode and `status` the sammensatStatus.

    A number may have a document that was registered by `mistake`, beside the right one, or alone when `name` is None.
    """

    name: str | None
    form: int = 80
    status: str = "NORMAL"
    mistake: str | None = None


SOLE_PROPRIETORSHIP = 10
"""The virksomhedsformkode of an enkeltmandsvirksomhed, which is named after a person."""
STOCK_COMPANY = 60

COMPANIES: Mapping[str, Company] = {
    "11111111": Company("Føtex Ærøskøbing", STOCK_COMPANY),
    "22222222": Company("Bageriet på Hjørnet ApS"),
    "33333333": Company("<script>alert('job')</script> & Sønner"),
    "44444444": Company("Nordjysk Rengøring A/S", STOCK_COMPANY),
    "55555555": Company("Ålborg Havn"),
    "66666666": Company("Kæden A/S", STOCK_COMPANY),
    **{f"6000{n:04}": Company(f"Vikarbureau nr. {n}") for n in range(1, 41)},
    "70000001": Company("Café Æblet ApS"),
    "70000002": Company("Cykelsmeden i Gågaden ApS"),
    "70000003": Company("Taget Tilbage ApS"),
    "70000004": Company("Fortrudt ApS"),
    "70000005": Company("Annulleret ApS"),
    "70000006": Company("Står Ved Magt A/S", STOCK_COMPANY),
    "70000007": Company("Feriekassen"),
    "70000008": Company("Store Enheder A/S", STOCK_COMPANY),
    "70000009": Company("Lønbureauet Tal og Tid A/S", STOCK_COMPANY),
    "07000001": Company("Nul Først ApS"),
    "70000010": Company("Yrsa Enkeltmand", SOLE_PROPRIETORSHIP),
    "70000011": Company("Den Lukkede Butik ApS", status="OPLØST"),
    "70000012": Company("Rigtigt Registreret ApS", mistake="Fejlregistreret ApS"),
    "70000013": Company(None, mistake="Aldrig Til ApS"),
}
"""CVR number → company; 99999999 is one that CVR does not know."""


def education(
    name: str, status: str, start: str, end: str | None = None, kompetence: str = "KOMPETENCEGIVENDE"
) -> dict[str, Any]:
    """An ordinary education in UDB's vocabulary."""
    return {
        "type": "UDDANNELSE",
        "navn": name,
        "kompetence": kompetence,
        "status": status,
        "institution": {"nummer": "280051", "navn": "NEXT Uddannelse"},
        "startdato": start,
        **({"slutdato": end} if end else {}),
    }


def special(kind: str, place: str, status: str, start: str, end: str | None = None, **more: str) -> dict[str, Any]:
    """An FGU or STU in UDB's vocabulary."""
    return {
        "type": kind,
        "navn": f"{kind} forløb",
        "status": status,
        "institution": {"nummer": "101497", "navn": place},
        "startdato": start,
        **({"slutdato": end} if end else {}),
        **more,
    }


def su(name: str, start: str, *, kind: str = "UNGDOMSUDDANNELSE", withdrawn: bool = False) -> dict[str, Any]:
    """A registration in SU's vocabulary."""
    return {"uddannelsestype": kind, "uddannelse": name, "startdato": start, "annulleret": withdrawn}


def benefit(kind: str, start: str, end: str | None, *, job: bool = False) -> dict[str, Any]:
    """A benefit in the Ydelsesregister's vocabulary, without the CPR number that each repeats."""
    return {
        "kyYdelsesIdentifier": f"{kind}-{start}".lower(),
        "startdato": start,
        **({"slutdato": end} if end else {}),
        "ydelsestype": kind,
        "samtidigJob": job,
    }


LISTS = ("kontaktgrupper", "kalender", "bookingfrister", "stillingsbetegnelser")
"""The lists of DFDG's answer; `_in` says in which of them an item stands."""

Day = str | InDays


def entry(kind: str, title: str, start: Day, end: Day | None = None, *, key: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """An entry of DFDG's calendar; of one day when no end is given."""
    days = {"startdato": start, "slutdato": start if end is None else end}
    return {"_in": "kalender", "id": f"post-{key}", "type": kind, "titel": title, **days, **more}


def deadline(
    key: str, day: Day, *, kind: str = "Jobsamtale", active: bool = True, booked: bool = False
) -> dict[str, Any]:
    """A booking deadline in DFDG's vocabulary."""
    return {
        "_in": "bookingfrister",
        "id": f"frist-{key}",
        "frist": day,
        "moedetype": kind,
        "aktiv": active,
        "booket": booked,
    }


def job_title(title: str, registered: str | None, ended: str | None = None) -> dict[str, Any]:
    """A title of »Jeg søger job som« in DFDG's vocabulary."""
    return {"_in": "stillingsbetegnelser", "titel": title, "registreret": registered, "ophoert": ended}


def contact_group(number: int, start: Day, end: Day | None = None) -> dict[str, Any]:
    """A contact group in DFDG's vocabulary."""
    return {"_in": "kontaktgrupper", "kode": number, "startdato": start, "slutdato": end}


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


EXAMPLE = Citizen(
    "6102991234",
    "Alma Eksempel",
    "every section of the page, and an interrupted FGU",
    udb=(
        education("Htx", "GENNEMFOERT", "2015-08-10", "2018-06-27"),
        education("Hf", "IGANGVAERENDE", "2022-08-08"),
        education("Eux", "AFBRUDT", "2019-01-07", "2020-03-31", "ERHVERVSKOMPETENCEGIVENDE"),
        special("FGU", "FGU Hovedstaden", "AFBRUDT", "2019-08-12", "2020-02-01", speciale="Almen grunduddannelse"),
        special("STU", "STU Ærø", "GENNEMFOERT", "2020-08-10", "2021-06-25"),
    ),
    su=(su("Hf", "2019-08-01"), su("Eux", "2019-01-07"), su("Hf", "2019-08-01")),
    wages=(
        *monthly("11111111", (2019, 1), (2020, 5)),
        *monthly("22222222", (2021, 2), (2021, 9)),
        Wages("22222222", date(2022, 1, 1), date(2022, 1, 31)),
        Wages("22222222", date(2022, 1, 1), date(2022, 1, 31), kind="T"),
        *monthly("11111111", (2021, 1), (2021, 6), income_type="01"),
    ),
    ydelse=(
        benefit("UDDANNELSESHJAELP", "2021-03-01", None, job=True),
        benefit("SYGEDAGPENGE", "2020-06-01", "2020-07-15"),
    ),
    dfdg=(
        contact_group(12, "2022-11-01"),
        entry("INDSATS", "Praktik hos Bageriet på Hjørnet", month_end(-10), month_end(10), key="alma-1"),
        entry("FRAVAER", "Ferie", InDays(-40), InDays(-18), key="alma-2"),
        entry("JOBLOG", "Søgt job: butiksassistent", InDays(-3), key="alma-3"),
        entry("JOBLOG", "Søgt job: pædagogmedhjælper", InDays(-1), key="alma-4"),
        entry("JOBLOG", "Søgt job: lagermedarbejder", InDays(0), key="alma-5"),
        entry(
            "MOEDE", "Jobsamtale", InDays(-7), key="alma-6", afholdt=True,
            tekst="<p>Vi har aftalt, at du:</p><ul><li>søger <strong>to job</strong> om ugen</li>"
            '<li>læser mere på <a href="https://jobnet.dk" onclick="alert(1)">Jobnet</a></li></ul>'
            "<script>alert('aftaletekst')</script><p style=\"color:red\">Næste samtale er om en måned.</p>",
        ),
        entry("MOEDE", "Samtale med din a-kasse", InDays(5), key="alma-7"),
        deadline("alma-1", InDays(9)),
        deadline("alma-2", InDays(-2), kind="Rådighedssamtale"),
        deadline("alma-3", InDays(12), kind="Fællessamtale", booked=True),
        deadline("alma-4", InDays(20), kind="Sygeopfølgning", active=False),
        job_title("Pædagogmedhjælper", "2022-12-05"),
        job_title("Butiksassistent", "2022-05-01", "2022-09-01"),
        job_title("Lagermedarbejder", None),
        job_title("Tjener", None, "2022-03-01"),
    ),
)  # fmt: skip
EMPTY = Citizen("6203004235", "Bo Tom", "known to every register, which all hold nothing", (28,))
UNKNOWN = Citizen(
    "6304014236", "Carla Ny", "not known to the registers behind DFDG at all", udb=None, su=None, ydelse=None, dfdg=None
)
JOB_BOUNDARIES = Citizen(
    "6405024237",
    "Dion Grænse",
    "each row of the table of employment periods, at an employer of its own",
    wages=(
        *days("11111111", ("2022-01-01", "2022-01-31"), ("2022-03-01", "2022-03-31")),
        *days("22222222", ("2022-01-01", "2022-01-31"), ("2022-03-02", "2022-03-31")),
        *days("44444444", ("2022-01-01", "2022-01-30"), ("2022-02-28", "2022-03-31")),
        *days("55555555", ("2022-01-01", "2022-01-30"), ("2022-03-01", "2022-03-31")),
        *days("60000001", ("2022-05-01", "2022-05-31"), ("2022-06-01", "2022-06-30")),
        *days("60000002", ("2022-04-01", "2022-05-31"), ("2022-05-01", "2022-05-15")),
    ),
)
BENEFIT_BOUNDARIES = Citizen(
    "6506034238",
    "Esther Ydelse",
    "each row of the table of benefit periods, an unknown end, and a job in one part of a period",
    ydelse=(
        benefit("KONTANTHJAELP", "2022-01-01", "2022-01-31", job=True),
        benefit("KONTANTHJAELP", "2022-02-28", "2022-04-30"),
        benefit("DAGPENGE", "2022-01-01", "2022-01-31"),
        benefit("DAGPENGE", "2022-03-01", "2022-03-31"),
        benefit("UDDANNELSESHJAELP", "2023-01-01", None),
        benefit("UDDANNELSESHJAELP", "2024-06-01", "2024-07-31"),
    ),
)
SU_BOUNDARIES = Citizen(
    "8902004239",
    "Freja Skuddag",
    "SU before 2018, before 18 (born on 29 February), withdrawn, and twice the same",
    su=(
        su("Stx", "2017-12-31"),
        su("Htx", "2018-01-01"),
        su("Hhx", "2018-02-27"),
        su("Hf", "2018-02-28"),
        su("Eud", "2019-08-01", withdrawn=True),
        su("Eux", "2020-08-01"),
        su("Eux", "2020-08-01"),
        su("Jura", "2021-09-01", kind="VIDEREGAAENDE"),
    ),
)
LONG_HISTORY = Citizen(
    "6707014240",
    "Gorm Mangejob",
    "forty jobs",
    wages=tuple(
        wages
        for n in range(1, 41)
        for wages in monthly(f"6000{n:04}", (2010 + n // 3, 1 + n % 3 * 4), (2010 + n // 3, 3 + n % 3 * 4))
    ),
)
STRANGE_NAMES = Citizen(
    "6808024241",
    "Håkon Ærlig-Øst <b>",
    "names with markup, a company that CVR does not know, and Danish letters everywhere",
    udb=(education("<script>alert('uddannelse')</script>", "GENNEMFOERT", "2018-08-01", "2021-06-30"),),
    wages=(
        *monthly("33333333", (2020, 1), (2020, 3)),
        *monthly("99999999", (2021, 1), (2021, 3)),
        *monthly("55555555", (2022, 1), (2022, 3)),
    ),
)
UNKNOWN_DATES = Citizen(
    "6909034242",
    "Ida Ukendt",
    "educations and courses without an end, and a competence that shows nowhere",
    udb=(
        education("Eud", "GENNEMFOERT", "2018-08-01"),
        education("Stx", "AFBRUDT", "2017-08-01"),
        education("Kursus", "GENNEMFOERT", "2016-08-01", "2016-12-31", "INGEN"),
        special("FGU", "FGU Nord", "IGANGVAERENDE", "2023-01-09"),
        special("STU", "STU Vest", "IGANGVAERENDE", "2023-02-06"),
    ),
)
NEARLY_25 = Citizen(
    "8511014243",
    "Jonas Femogtyve",
    "unemployment benefit with an education order, 25 years old on 25 November 2026",
    (1,),
    education_order=True,
    wages=tuple(monthly("44444444", (2024, 1), (2024, 6))),
)
OUTSIDE = Citizen(
    "7010044244",
    "Karin Udenfor",
    "outside the target group, with a job that must never be looked up",
    (2,),
    wages=tuple(monthly("44444444", (2024, 1), (2024, 6))),
    dfdg=(
        contact_group(2, "2024-07-01"),
        entry("FRAVAER", "Barsel", InDays(-30), InDays(45), key="karin-1"),
        entry("MOEDE", "Jobsamtale", InDays(3), key="karin-2"),
        deadline("karin-1", InDays(0)),
        job_title("Kok", "2021-02-01"),
    ),
)
FLEKSJOB_ENDED = Citizen(
    "7106064256",
    "Åse Fleksjob",
    "contact group 7 ended, and no other is open: the CV is not searchable",
    (),
    dfdg=(contact_group(7, "2020-01-01", InDays(-10)), job_title("Kontorassistent", None)),
)
FLEKSJOB_AND_ANOTHER = Citizen(
    "7207074257",
    "Benny Togrupper",
    "contact group 7 ended while another was open, and is: the CV is searchable",
    (2,),
    dfdg=(contact_group(7, "2020-01-01", InDays(-10)), contact_group(2, "2021-01-01")),
)
FLEKSJOB_CHANGED = Citizen(
    "7308084258",
    "Dorthe Skift",
    "contact group 7 ended on the day on which another began: the CV is searchable",
    (2,),
    dfdg=(contact_group(7, "2020-01-01", InDays(-10)), contact_group(2, InDays(-10))),
)
NOT_JOBS = Citizen(
    "7111054245",
    "Lau Ydelse",
    "incomes that are no wages: SU and benefits",
    wages=tuple(
        wages for kind in ("01", "04", "06", "07") for wages in monthly("44444444", (2023, 1), (2023, 2), kind)
    ),
)
FOUR_JOBS = Citizen(
    "7212064246",
    "Mia Firejob",
    "one job more than the page shows at first",
    wages=tuple(wages for n in range(1, 5) for wages in monthly(f"6000{n:04}", (2020, n * 3 - 2), (2020, n * 3 - 1))),
)
RAW_REPORTS = Citizen(
    "7303994247",
    "Niels Rettelse",
    "reports as they come: one made twice and taken back once, a company with two SE numbers, one without a CVR number",
    wages=(
        *days("44444444", ("2022-01-01", "2022-01-31"), ("2022-01-01", "2022-01-31")),
        Wages("44444444", date(2022, 1, 1), date(2022, 1, 31), kind="T"),
        Wages("66666666", date(2022, 3, 1), date(2022, 3, 31)),
        Wages("66666666", date(2022, 4, 1), date(2022, 4, 30), se="66666674"),
        Wages(None, date(2022, 6, 1), date(2022, 6, 30), se="88888888"),
    ),
)
EVERY_EDUCATION = Citizen(
    "7404034248",
    "Olga Skolegang",
    "ordinary educations of both competences, and FGU and STU, in every status",
    udb=(
        education("Smed", "GENNEMFOERT", "2019-08-01", "2022-06-30", "ERHVERVSKOMPETENCEGIVENDE"),
        education("Tømrer", "IGANGVAERENDE", "2024-08-01", kompetence="ERHVERVSKOMPETENCEGIVENDE"),
        education("Frisør", "AFBRUDT", "2022-08-01", "2023-01-31", "ERHVERVSKOMPETENCEGIVENDE"),
        education("Hhx", "GENNEMFOERT", "2016-08-01", "2019-06-28"),
        education("Stx", "IGANGVAERENDE", "2024-08-01"),
        education("Hf", "AFBRUDT", "2020-08-01", "2021-02-28"),
        special("FGU", "FGU Fyn", "GENNEMFOERT", "2020-08-10", "2021-06-25", speciale="Produktionsgrunduddannelse"),
        special("FGU", "FGU Øst", "AFBRUDT", "2021-08-09", "2021-12-17", speciale="Erhvervsgrunduddannelse"),
        special("FGU", "FGU Syd", "IGANGVAERENDE", "2022-08-08", speciale="Almen grunduddannelse"),
        special("STU", "STU Fyn", "AFBRUDT", "2019-08-12", "2020-01-31"),
        special("STU", "STU Øst", "GENNEMFOERT", "2020-08-10", "2023-06-23"),
        special("STU", "STU Syd", "IGANGVAERENDE", "2023-08-14"),
    ),
)
BENEFIT_TYPES = Citizen(
    "7505014249",
    "Per Forsørget",
    "every type of benefit, each following the last without a day between",
    (12, 28),
    ydelse=(
        benefit("UDDANNELSESHJAELP", "2022-01-01", "2022-01-31"),
        benefit("KONTANTHJAELP", "2022-02-01", "2022-02-28"),
        benefit("DAGPENGE", "2022-03-01", "2022-03-31", job=True),
        benefit("SYGEDAGPENGE", "2022-04-01", "2022-04-30"),
        benefit("OVERGANGSYDELSE", "2022-05-01", "2022-05-31"),
        benefit("RESSOURCEFORLOEB", "2022-06-01", "2022-06-30"),
        benefit("REVALIDERING", "2022-07-01", "2022-07-31", job=True),
        benefit("LEDIGHEDSYDELSE", "2022-08-01", "2022-08-31"),
        benefit("JOBAFKLARING", "2022-09-01", "2022-09-30"),
        benefit("BARSELSDAGPENGE", "2022-10-01", "2022-10-31"),
    ),
)
MONTH_ENDS = Citizen(
    "7606004250",
    "Qvist Månedsslut",
    "benefits that end on 30 January, where a month later is the last of February: one merges, one does not",
    ydelse=(
        benefit("SYGEDAGPENGE", "2022-01-01", "2022-01-30"),
        benefit("SYGEDAGPENGE", "2022-02-27", "2022-03-31"),
        benefit("DAGPENGE", "2022-01-01", "2022-01-30"),
        benefit("DAGPENGE", "2022-02-28", "2022-03-31"),
    ),
)
SU_FROM_2018 = Citizen(
    "7707974251",
    "Rikke Nytår",
    "of age long before 2018: SU on the last day that does not count, and on the first that does",
    su=(su("Stx", "2017-12-31"), su("Hf", "2018-01-01")),
)
SU_WITHOUT_ATTEMPTS = Citizen(
    "7808994252",
    "Søren Fortrudt",
    "SU that comes to nought attempts: withdrawn, or for a higher education",
    (28,),
    su=(su("Stx", "2019-08-01", withdrawn=True), su("Jura", "2020-09-01", kind="VIDEREGAAENDE")),
)
YOUNG_WITH_ORDER = Citizen(
    "7905044253",
    "Tove Ung",
    "unemployment benefit with an education order, 22 years old, and in another contact group too",
    (1, 2),
    education_order=True,
    ydelse=(benefit("DAGPENGE", "2026-01-01", None),),
)
YOUNG_WITHOUT_ORDER = Citizen(
    "8009044254",
    "Ulla Uden",
    "unemployment benefit and young, but without an education order: outside the target group",
    (1,),
    ydelse=(benefit("DAGPENGE", "2026-01-01", None),),
)
TURNS_25 = Citizen(
    "8311014255",
    "Viggo Fødselsdag",
    "unemployment benefit with an education order, 25 years old on 23 November 2026: outside from that day on",
    (1,),
    education_order=True,
)

TWO_EMPLOYERS_ONE_BUREAU = Citizen(
    "7409034259",
    "Xenia Tojob",
    "two employers whose reports one bureau sends: the employers are shown, and the bureau is not",
    wages=(
        *monthly("70000001", (2023, 1), (2023, 6), reporter="70000009", names_person=True),
        *monthly("70000002", (2023, 4), (2023, 12), reporter="70000009", staff="0417-2"),
    ),
)
REVERSED = Citizen(
    "7510044260",
    "Ymer Tilbageført",
    "reports taken back by their mark, by their own id and by their period; one that stands, corrected months later",
    wages=(
        *monthly("70000003", (2023, 1), (2023, 1), reversed_later=True),
        Wages("70000004", date(2023, 2, 1), date(2023, 2, 28), own_id="LOEN-FEBRUAR"),
        # Only the own id says which report this takes back.
        Wages("70000004", date(2023, 2, 1), None, kind="T", own_id="LOEN-FEBRUAR"),
        *monthly("70000005", (2023, 3), (2023, 3)),
        *monthly("70000005", (2023, 3), (2023, 3), kind="T"),
        # Of two reports of one period, the own id says which is gone.
        Wages("70000006", date(2023, 4, 1), date(2023, 4, 30), own_id="LOEN-APRIL-1"),
        Wages("70000006", date(2023, 4, 1), date(2023, 4, 30), own_id="LOEN-APRIL-2"),
        Wages("70000006", date(2023, 4, 1), date(2023, 4, 30), kind="T", own_id="LOEN-APRIL-1"),
        Wages("70000006", date(2023, 5, 1), date(2023, 5, 31), month="202309"),
    ),
)
HOLIDAY_PAY = Citizen(
    "7611054261",
    "Zenia Feriepenge",
    "holiday pay alone, which is no work",
    wages=tuple(wages for kind in ("05", "07") for wages in monthly("70000007", (2023, 5), (2023, 6), kind)),
)
ADVIS_ALONE = Citizen(
    "7712064262",
    "Ægir Advis",
    "an answer of eIndkomst with an AdvisStruktur and no person, which is not the same as no jobs",
    advis="100",
)
MANY_REPORTS = Citizen(
    "7801074263",
    "Ølund Fjortendages",
    "300 reports: ten jobs in turn, each paid every fortnight for 15 months",
    wages=tuple(
        wages
        for n in range(10)
        for wages in fortnightly(f"6000{n + 1:04}", (2014 + (n * 15 + 4) // 12, (n * 15 + 4) % 12 + 1), 15)
    ),
)
ONE_UNREADABLE = Citizen(
    "7902024264",
    "Ågot Enulæselig",
    "forty reports of forty employers, one of which has no forms and says nothing",
    wages=tuple(
        wages
        for n in range(1, 41)
        for wages in monthly(f"6000{n:04}", (2020 + n // 12, n % 12 + 1), (2020 + n // 12, n % 12 + 1), forms=n != 20)
    ),
)
PERIODS = Citizen(
    "8003034265",
    "Aksel Periode",
    "pay periods told in every way but by both their days",
    wages=(
        Wages("60000001", date(2023, 1, 1), None),
        Wages("60000002", None, date(2023, 3, 31)),
        Wages("60000003", date(2023, 5, 1), None, duration="P1M"),
        Wages("60000004", None, date(2023, 7, 31), duration="P1M"),
        Wages("60000005", date(2023, 9, 1), None, duration="P14D"),
    ),
)
SE_NUMBERS = Citizen(
    "8205054267",
    "Birte Enhed",
    "employers that report under another number than their CVR number, which begins with a nought for one",
    wages=(
        *monthly("70000008", (2023, 1), (2023, 3), se="70000016"),
        *monthly("70000008", (2023, 4), (2023, 6)),
        *monthly("07000001", (2023, 8), (2023, 9), se="07000019"),
    ),
)
SOLE_PROPRIETOR = Citizen(
    "8306064268",
    "Carsten Ansat",
    "employed by a sole proprietor, whose company is named after a person",
    wages=tuple(monthly("70000010", (2023, 1), (2023, 12))),
)
CVR_DOCUMENTS = Citizen(
    "8407074269",
    "Ditte Register",
    "employers that CVR has as dissolved, as registered by mistake too, and as registered by mistake alone",
    wages=(
        *monthly("70000011", (2023, 1), (2023, 2)),
        *monthly("70000012", (2023, 4), (2023, 5)),
        *monthly("70000013", (2023, 7), (2023, 8)),
    ),
)
CPR_CHANGER = Citizen(
    "8104044266",
    "Ejner Skiftet",
    "has another number by now, and eIndkomst answers with that",
    wages=tuple(monthly("44444444", (2023, 1), (2023, 6))),
    answered_as="8104044274",
)

CITIZENS: tuple[Citizen, ...] = (
    EXAMPLE,
    FOUR_JOBS,
    JOB_BOUNDARIES,
    STRANGE_NAMES,
    LONG_HISTORY,
    BENEFIT_BOUNDARIES,
    SU_BOUNDARIES,
    UNKNOWN_DATES,
    NEARLY_25,
    NOT_JOBS,
    EMPTY,
    UNKNOWN,
    OUTSIDE,
    RAW_REPORTS,
    EVERY_EDUCATION,
    BENEFIT_TYPES,
    MONTH_ENDS,
    SU_FROM_2018,
    SU_WITHOUT_ATTEMPTS,
    YOUNG_WITH_ORDER,
    YOUNG_WITHOUT_ORDER,
    TURNS_25,
    FLEKSJOB_ENDED,
    FLEKSJOB_AND_ANOTHER,
    FLEKSJOB_CHANGED,
    TWO_EMPLOYERS_ONE_BUREAU,
    REVERSED,
    HOLIDAY_PAY,
    ADVIS_ALONE,
    MANY_REPORTS,
    ONE_UNREADABLE,
    PERIODS,
    SE_NUMBERS,
    SOLE_PROPRIETOR,
    CVR_DOCUMENTS,
)
"""Who can log in."""
BY_CPR: Mapping[str, Citizen] = {citizen.cpr: citizen for citizen in (*CITIZENS, CPR_CHANGER)}
"""All of them, with who stands on no list: a question about a changed number cuts the register off for everybody."""


def somebody_else(cpr: str, register: str) -> Citizen:
    """Another constructed citizen, of whom this register holds something."""
    return next(citizen for citizen in CITIZENS if citizen.cpr != cpr and register in citizen.known_to)
