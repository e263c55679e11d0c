"""Constructed citizens: between them every section and boundary of the rules. Days of 61–91, so that none is real.

Over 350 lines, since it is one table: each citizen is named in it with all that the registers hold of them.
"""

from collections.abc import Mapping
from datetime import date

from simulators import dfdg_data as dfdg
from simulators.calendar_citizens import (
    FLEKSJOB_AND_ANOTHER,
    FLEKSJOB_CHANGED,
    FLEKSJOB_ENDED,
    OPEN_ENDS,
    UNKNOWN_WORDS,
)
from simulators.register_data import (
    Citizen,
    InDays,
    Wages,
    bare_benefit,
    benefit,
    days,
    education,
    fgu,
    fortnightly,
    month_end,
    monthly,
    special,
    su,
)

STRANGER = "6805034111"
"""A CPR number that no register knows."""

EXAMPLE = Citizen(
    "6102991234",
    "Alma Eksempel",
    "every section of the page, and an interrupted FGU",
    udb=(
        *education("Htx", "GENNEMFOERT", "2015-08-10", "2018-06-27"),
        *education("Hf", "IGANGVAERENDE", "2022-08-08"),
        *education("Eux", "AFBRUDT", "2019-01-07", "2020-03-31", "ERHVERVSKOMPETENCEGIVENDE"),
        *special("FGU", "FGU Hovedstaden", "AFBRUDT", "2019-08-12", "2020-02-01", speciale="Almen grunduddannelse"),
        *special("STU", "STU Ærø", "GENNEMFOERT", "2020-08-10", "2021-06-25"),
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
    visitering=(
        dfdg.contact_group(12, "2022-11-01", written="utc"),
        dfdg.absence("alma-1", dfdg.FERIE, InDays(-40), InDays(-18), "Rejser til Bornholm"),
    ),
    kontaktforloeb=(
        dfdg.meeting(
            "alma-1", dfdg.JOBSAMTALE, dfdg.At(InDays(-7), "09:00:00"), dfdg.At(InDays(-7), "09:45:00"), afholdt=True,
            sted="Jobcenter Ærø, Vestergade 1",
            aftaletekst="<p>Vi har aftalt, at du:</p><ul><li>søger <strong>to job</strong> om ugen</li>"
            '<li>læser mere på <a href="https://jobnet.dk" onclick="alert(1)">Jobnet</a></li></ul>'
            "<script>alert('aftaletekst')</script><p style=\"color:red\">Næste samtale er om en måned.</p>",
        ),
        dfdg.meeting("alma-2", dfdg.RAADIGHED, dfdg.At(InDays(5), "13:30:00", "bare"), minutes=30, afholdt=False),
        dfdg.deadline(dfdg.JOBSAMTALE, InDays(9)),
        dfdg.deadline(dfdg.RAADIGHED, InDays(-2), dfdg.PASSED),
        dfdg.deadline(dfdg.FAELLES, InDays(12), dfdg.BOOKED),
        dfdg.deadline(dfdg.OPFOELGNING, InDays(-1)),
    ),
    jobsearch=(
        dfdg.job_title(dfdg.PAEDAGOGMEDHJAELPER, "2022-12-05", harUddannelse=True, aarSidstBrugt=2022),
        dfdg.job_title(dfdg.LAGERMEDARBEJDER),
        dfdg.former_title(dfdg.PAEDAGOGMEDHJAELPER, "2022-12-05", harUddannelse=True, aarSidstBrugt=2022),
        dfdg.former_title(dfdg.BUTIKSASSISTENT, "2022-05-01", "2022-09-01"),
        dfdg.former_title(dfdg.TJENER, None, "2022-03-01"),
    ),
    borgerindsats=(
        dfdg.activity("alma-1", "Praktik hos Bageriet på Hjørnet", month_end(-10), month_end(10)),
        dfdg.job_log(
            "alma-1",
            dfdg.task("alma-1", "Søgt job: butiksassistent", InDays(-3), done=True, at="10:15:00"),
            dfdg.task("alma-2", "Søgt job: pædagogmedhjælper", InDays(-1)),
            dfdg.task("alma-3", "Søgt job: lagermedarbejder", InDays(0)),
        ),
    ),
)  # fmt: skip
EMPTY = Citizen("6203004235", "Bo Tom", "known to every register, which all hold nothing", (28,))
UNKNOWN = Citizen(
    "6304014236",
    "Carla Ny",
    "not known to the registers behind DFDG at all",
    udb=None,
    su=None,
    ydelse=None,
    visitering=None,
    kontaktforloeb=None,
    jobsearch=None,
    borgerindsats=None,
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
    udb=(*education("<script>alert('uddannelse')</script>", "GENNEMFOERT", "2018-08-01", "2021-06-30"),),
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
        *education("Eud", "GENNEMFOERT", "2018-08-01"),
        *education("Stx", "AFBRUDT", "2017-08-01"),
        *education("Kursus", "GENNEMFOERT", "2016-08-01", "2016-12-31", "INGEN"),
        *special("FGU", "FGU Nord", "IGANGVAERENDE", "2023-01-09"),
        *special("STU", "STU Vest", "IGANGVAERENDE", "2023-02-06"),
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
    visitering=(dfdg.contact_group(2, "2024-07-01"), dfdg.absence("karin-1", dfdg.BARSEL, InDays(-30), InDays(45))),
    kontaktforloeb=(
        dfdg.meeting(
            "karin-1", dfdg.JOBSAMTALE, dfdg.At(InDays(3), "10:00:00", "utc"), dfdg.At(InDays(3), "10:45:00", "utc")
        ),
        dfdg.deadline(dfdg.JOBSAMTALE, InDays(0)),
    ),
    jobsearch=(
        dfdg.job_title(dfdg.KOK, "2021-02-01", aliasIdentifier=dfdg.identifier("alias-kok")),
        dfdg.former_title(dfdg.KOK, "2021-02-01", aliasIdentifier=dfdg.identifier("alias-kok")),
    ),
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
        *education("Smed", "GENNEMFOERT", "2019-08-01", "2022-06-30", "ERHVERVSKOMPETENCEGIVENDE"),
        *education("Tømrer", "IGANGVAERENDE", "2024-08-01", kompetence="ERHVERVSKOMPETENCEGIVENDE"),
        *education("Frisør", "AFBRUDT", "2022-08-01", "2023-01-31", "ERHVERVSKOMPETENCEGIVENDE"),
        *education("Hhx", "GENNEMFOERT", "2016-08-01", "2019-06-28"),
        *education("Stx", "IGANGVAERENDE", "2024-08-01"),
        *education("Hf", "AFBRUDT", "2020-08-01", "2021-02-28"),
        *special("FGU", "FGU Fyn", "GENNEMFOERT", "2020-08-10", "2021-06-25", speciale="Produktionsgrunduddannelse"),
        *special("FGU", "FGU Øst", "AFBRUDT", "2021-08-09", "2021-12-17", speciale="Erhvervsgrunduddannelse"),
        *special("FGU", "FGU Syd", "IGANGVAERENDE", "2022-08-08", speciale="Almen grunduddannelse"),
        *special("STU", "STU Fyn", "AFBRUDT", "2019-08-12", "2020-01-31"),
        *special("STU", "STU Øst", "GENNEMFOERT", "2020-08-10", "2023-06-23"),
        *special("STU", "STU Syd", "IGANGVAERENDE", "2023-08-14"),
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
BENEFITS_UNTOLD = Citizen(
    "8508074270",
    "Emma Uoplyst",
    "benefits told by contact group or not at all, with and without a job told, one expected and one unreadable",
    ydelse=(
        bare_benefit("2023-01-01", "2023-03-31", kontaktgruppeType=12),
        bare_benefit("2023-04-01", "2023-06-30", kontaktgruppeType="Modtager af uddannelseshjælp", samtidigJob=False),
        bare_benefit("2023-10-01", "2023-12-31", kontaktgruppeType="28", samtidigJob=None),
        bare_benefit("2024-01-01", "2024-01-31", kontaktgruppeType=28, samtidigJob=True),
        bare_benefit("2024-05-01", "2024-05-31"),
        bare_benefit("2024-06-01", "2024-06-30", kontaktgruppeType=29, samtidigJob=False),
        benefit("BORGERLOEN", "2024-08-01", "2024-08-31"),
        benefit("KONTANTHJAELP", "2099-01-01", None),
        bare_benefit("2024-02-30", kontaktgruppeType=12),
    ),
)
CPR_CHANGER = Citizen(
    "8104044266",
    "Ejner Skiftet",
    "has another number by now, and eIndkomst answers with that",
    wages=tuple(monthly("44444444", (2023, 1), (2023, 6))),
    answered_as="8104044274",
)

FGU_CHANGES = Citizen(
    "8508084270",
    "Egon Skoleperiode",
    "one FGU with three admissions, the last of them to another speciality, and in danger of dropping out",
    udb=(
        fgu("OPTAGELSE", "2023-08-14", skoleperiode="BA"),
        fgu("OPTAGELSE", "2024-01-08", skoleperiode="US", speciale="Almen grunduddannelse"),
        fgu("OPTAGELSE", "2024-08-12", skoleperiode="US", speciale="Produktionsgrunduddannelse"),
        fgu("FARE_FOR_AFBRUD", "2024-11-04"),
    ),
)
NEVER_MET = Citizen(
    "8609054271",
    "Fie Udeblevet",
    "an education that never began, and one that was completed after an interruption",
    udb=(
        *education("Kok", "AFBRUDT", "2021-08-09", "2021-08-20", aarsag="Ej mødt"),
        *education("Hf", "AFBRUDT", "2020-08-10", "2021-03-01"),
        *education("Hf", "GENNEMFOERT", "2020-08-10", "2023-06-22")[1:],
    ),
)
NOT_SUBSCRIBED = Citizen(
    "8710064272",
    "Gro Udenplan",
    "without an education plan, so that Ungedatabasen takes no subscription",
    udb_refusal="8066",
    su=(su("Hf", "2020-08-01"),),
)

CITIZENS: tuple[Citizen, ...] = (
    EXAMPLE, FOUR_JOBS, JOB_BOUNDARIES, STRANGE_NAMES, LONG_HISTORY, BENEFIT_BOUNDARIES, SU_BOUNDARIES,
    UNKNOWN_DATES, NEARLY_25, NOT_JOBS, EMPTY, UNKNOWN, OUTSIDE, RAW_REPORTS, EVERY_EDUCATION, BENEFIT_TYPES,
    MONTH_ENDS, SU_FROM_2018, SU_WITHOUT_ATTEMPTS, YOUNG_WITH_ORDER, YOUNG_WITHOUT_ORDER, TURNS_25, FLEKSJOB_ENDED,
    FLEKSJOB_AND_ANOTHER, FLEKSJOB_CHANGED, TWO_EMPLOYERS_ONE_BUREAU, REVERSED, HOLIDAY_PAY, ADVIS_ALONE,
    MANY_REPORTS, ONE_UNREADABLE, PERIODS, SE_NUMBERS, SOLE_PROPRIETOR, CVR_DOCUMENTS, FGU_CHANGES, NEVER_MET,
    NOT_SUBSCRIBED, BENEFITS_UNTOLD, OPEN_ENDS, UNKNOWN_WORDS,
)  # fmt: skip
"""The citizens who can log in."""
BY_CPR: Mapping[str, Citizen] = {citizen.cpr: citizen for citizen in (*CITIZENS, CPR_CHANGER)}
"""All citizens, with the one on no list: a question about a changed number cuts the register off for all."""


def somebody_else(cpr: str, register: str) -> Citizen:
    """Another constructed citizen, of whom this register holds something."""
    return next(citizen for citizen in CITIZENS if citizen.cpr != cpr and register in citizen.known_to)
