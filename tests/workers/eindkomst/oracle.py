"""What an answer of eIndkomst means, worked out a second time and in the plainest way that is right.

It shares no code with the adapter that it judges: another parser, a calendar of its own, and searches through
everything instead of clever orders, so that a clever mistake shows. The rules it follows:

- Outcome first: a FejlStruktur anywhere is a failure; an AdvisStruktur is one where no person is, unless its code is
  known to mean "none". No data is only an answer without `IndkomstPersonUddata`. Every CPR number is the citizen's; one
  that stands for nobody (0000000000, or no number at all) makes the answer invalid, and no other person's.
- A form 11000 at level 1 of a report is a statement. One with anything unreadable is left out and counted; when none
  can be read it is a failure, and the agreement's where every report lacks field 011 or 012. It is one too when there
  is no job to show beside what was left out.
- Work is income of the types 0, 3, 8 and 9. Reversed is what is marked, what a reversal has the own id of, and what a
  reversal that did not find its own id has the company, period and type of.
- The employer is a CVR number where a report tells it of the company itself, else the company's SE number. Its periods
  are R3's, and their order is R2's.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property
from math import ceil, floor
from typing import Self
from xml.etree import ElementTree as ET

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
KONTEKST = "{http://rep.oio.dk/skat.dk/basis/kontekst/xml/schemas/2006/09/01/}"
E = "{http://rep.oio.dk/skat.dk/eindkomst/}"
CPR = "{http://rep.oio.dk/cpr.dk/xml/schemas/core/2005/03/18/}"
CLASS = "{{http://rep.oio.dk/skat.dk/eindkomst/class/{}/xml/schemas/20071202/}}"
ANGIVELSE = CLASS.format("angivelse")
BLANKET = CLASS.format("blanket")
FELT = CLASS.format("blanketfelt")
TEXT = CLASS.format("angivelsefelt")
VIRKSOMHED = "{http://rep.oio.dk/skat.dk/motor/class/virksomhed/xml/schemas/20080401/}"
START = "{http://rep.oio.dk/xkom.dk/xml/schemas/2006/09/01/}StartDate"
END = "{http://rep.oio.dk/xkom.dk/xml/schemas/2007/04/15/}EndDate"
DURATION = "{http://rep.oio.dk/xkom.dk/xml/schemas/2007/09/01/}DurationMeasure"

FAILURES = {
    2000: "unavailable",
    490: "unavailable",
    1000: "unavailable",
    500: "request_id_used",
    300: "not_authorised",
    410: "too_much",
}
WORK = {0, 3, 8, 9}
NOT_WORK = {1, 2, 4, 5, 6, 7, 10, 11, 20, 24, 26, 28, 29}
NOBODY = "0000000000"
XML_SPACE = " \t\r\n"


@dataclass(frozen=True)
class Outcome:
    """What an answer comes to: a failure and nothing else, or periods of employment in the page's order.

    `lacking` names the fields ("011", "012") that no report has, when that is why it is `not_authorised`.
    """

    failure: str | None = None
    employments: list[tuple[str, date, date]] = field(default_factory=list)
    left_out: int = 0
    unknown_types: int = 0
    lacking: frozenset[str] = frozenset()


# --- A calendar: a day is the number of days since 1 January of the year 1, without bounds


def month_length(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def day_number(year: int, month: int, day: int) -> int:
    before = year - 1
    days = 365 * before + before // 4 - before // 100 + before // 400
    return days + sum(month_length(year, earlier) for earlier in range(1, month)) + day - 1


def year_month_day(number: int) -> tuple[int, int, int]:
    year = number * 400 // 146097 + 1
    while day_number(year, 1, 1) > number:
        year -= 1
    while day_number(year + 1, 1, 1) <= number:
        year += 1
    month = max(month for month in range(1, 13) if day_number(year, month, 1) <= number)
    return year, month, number - day_number(year, month, 1) + 1


def months_later(number: int, months: int) -> int:
    """The same day so many months later, or the last of that month where it has no such day."""
    year, month, day = year_month_day(number)
    count = year * 12 + month - 1 + months
    year, month = count // 12, count % 12 + 1
    return day_number(year, month, min(day, month_length(year, month)))


def in_bounds(number: int) -> bool:
    """Whether a day is in one of the years 1–9999."""
    return day_number(1, 1, 1) <= number < day_number(10000, 1, 1)


def as_date(number: int) -> date:
    return date(*year_month_day(number))


# --- Reading


class Unreadable(Exception):
    """A statement cannot be read."""


@dataclass(frozen=True)
class Duration:
    """An xs:duration: whole months, then days with parts of a day."""

    months: int
    days: Fraction

    @classmethod
    def of(cls, text: str) -> Self:
        number = r"([0-9]+)"
        form = (
            rf"P(?:{number}Y)?(?:{number}M)?(?:{number}D)?(?:T(?:{number}H)?(?:{number}M)?(?:([0-9]+(?:\.[0-9]+)?)S)?)?"
        )
        positive = text.removeprefix("-")
        read = re.fullmatch(form, positive)
        if not read or positive[-1] in "PT":
            raise Unreadable
        years, months, days, hours, minutes, seconds = (Fraction(part or 0) for part in read.groups())
        whole = cls(int(12 * years + months), days + hours / 24 + minutes / 1440 + seconds / 86400)
        if text != positive and (whole.months or whole.days):
            raise Unreadable
        return whole


def text_of(element: ET.Element | None) -> str:
    return "" if element is None else (element.text or "")


def read_day(text: str) -> int:
    read = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?", text)
    if not read:
        raise Unreadable
    year, month, day = (int(part) for part in read.groups()[:3])
    if not 1 <= year <= 9999 or not 1 <= month <= 12 or not 1 <= day <= month_length(year, month):
        raise Unreadable
    return day_number(year, month, day)


def read_period(interval: ET.Element | None) -> tuple[int, int]:
    told = {child.tag: text_of(child).strip(XML_SPACE) for child in (() if interval is None else interval)}
    if set(told) == {START, END}:
        first, last = read_day(told[START]), read_day(told[END])
    elif set(told) == {START, DURATION}:
        first, duration = read_day(told[START]), Duration.of(told[DURATION])
        # Ends before the instant that is so much later, so in the last day that begins before it.
        last = max(first, ceil(months_later(first, duration.months) + duration.days) - 1)
    elif set(told) == {DURATION, END}:
        last, duration = read_day(told[END]), Duration.of(told[DURATION])
        first = min(last, floor(months_later(last + 1, -duration.months) - duration.days))
    elif set(told) in ({START}, {END}):
        year, month, _ = year_month_day(read_day(*told.values()))
        first, last = day_number(year, month, 1), day_number(year, month, month_length(year, month))
    else:
        raise Unreadable
    if last < first or not in_bounds(first) or not in_bounds(last):
        raise Unreadable
    return first, last


def fields_of(form: ET.Element, number: str) -> set[str]:
    """Every text, without white space around, that a form has in the field of this number."""
    return {
        text_of(stated.find(f"{TEXT}AngivelseFeltIndholdTekst")).strip(XML_SPACE)
        for stated in form.findall(f"{E}AngivelseFeltSamling/{E}AngivelseFeltIndholdStruktur")
        if text_of(stated.find(f"{E}BlanketFeltEnhedStruktur/{FELT}BlanketFeltNummerIdentifikator")).strip(XML_SPACE)
        == "1" + "0" * 14 + number
    }


def field_of(form: ET.Element, number: str) -> str:
    """The one text of a field; "" when it is absent."""
    texts = fields_of(form, number)
    if len(texts) > 1:
        raise Unreadable
    return "".join(texts)


def forms(samling: ET.Element | None, level: str, number: str) -> list[ET.Element]:
    return [
        form
        for form in ([] if samling is None else samling.findall(f"{E}{level}"))
        if text_of(form.find(f"{BLANKET}BlanketNummerIdentifikator")).strip(XML_SPACE) == number
    ]


@dataclass(frozen=True, eq=False)
class Statement:
    """A form 11000 that could be read. Two that say the same are two."""

    se_number: str
    own_id: str
    period: tuple[int, int]
    kind: str
    income_type: int
    field_001: str
    field_006: str
    marked: bool

    @cached_property
    def told(self) -> str | None:
        """The company's own CVR number, in eight digits, where this statement tells it."""
        if not re.fullmatch(r"[0-9]{1,8}", self.field_006) or set(self.field_006) == {"0"}:
            return None
        if self.field_001 and self.field_001.rjust(8, "0") != self.se_number.rjust(8, "0"):
            return None
        return self.field_006.rjust(8, "0")


@dataclass(frozen=True)
class Report:
    """A LoenPeriodeOplysningStruktur under its company's SE number, and its forms 11000."""

    se_number: str
    element: ET.Element

    @property
    def forms(self) -> list[ET.Element]:
        samling = self.element.find(f"{E}AngivelseBlanketIndholdStruktur/{E}AngivelseOplysningSamling")
        return forms(samling, "AngivelseNiveau1", "11000")

    def lacks(self, number: str) -> bool:
        return all(fields_of(form, number) <= {""} for form in self.forms)

    def read(self, form: ET.Element) -> Statement:
        """A form of this report as a statement, or Unreadable."""
        own_id = text_of(self.element.find(f"{ANGIVELSE}AngivelseVirksomhedEgenIdentifikator"))
        period = read_period(self.element.find(f"{E}AngivelsePeriodeStruktur/{ANGIVELSE}AngivelsePeriode"))
        kind, income_type = field_of(form, "011"), field_of(form, "012")
        if (
            len(self.se_number) != 8
            or not own_id
            or kind not in {"I", "T"}
            or not re.fullmatch("[0-9]{1,9}", income_type)
        ):
            raise Unreadable
        markers = [
            field_of(below, "021")
            for below in forms(form.find(f"{E}UnderAngivelseSamling"), "AngivelseNiveau2", "16000")
        ]
        return Statement(
            self.se_number,
            own_id,
            period,
            kind,
            int(income_type),
            field_of(form, "001"),
            field_of(form, "006"),
            "1" in markers,
        )

    def statements(self) -> tuple[list[Statement], int]:
        """What can be read of it, and how many items are left out: all of it is one item."""
        read, unread = [], 0
        for form in self.forms:
            try:
                read.append(self.read(form))
            except Unreadable:
                unread += 1
        return read, (unread if read else 1)


# --- Meaning


def integer(text: str) -> int | None:
    text = text.strip(XML_SPACE)
    return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else None


def without_the_reversed(statements: list[Statement]) -> list[Statement]:
    """The reports of work that no marker and no reversal took back."""
    reports = [each for each in statements if each.kind == "I"]
    reversals = [each for each in statements if each.kind == "T"]
    marked = {report for report in reports if report.marked}
    named = {
        report
        for report in reports
        for reversal in reversals
        if (report.se_number, report.own_id) == (reversal.se_number, reversal.own_id)
    }
    undecided = [
        reversal
        for reversal in reversals
        if not any((report.se_number, report.own_id) == (reversal.se_number, reversal.own_id) for report in reports)
    ]
    taken = set()
    for reversal in undecided:
        found = [
            report
            for report in reports
            if report not in named
            and report not in taken
            and (report.se_number, report.period, report.income_type)
            == (reversal.se_number, reversal.period, reversal.income_type)
        ]
        if found:
            taken.add(
                min(
                    found,
                    key=lambda report: (
                        report not in marked,
                        report.told is not None,
                        report.own_id,
                        report.told or "",
                    ),
                )
            )
    return [report for report in reports if report not in marked | named | taken]


def employers(reports: list[Statement]) -> dict[str, list[Statement]]:
    """The reports of each employer, by the employer's number."""
    found: dict[str, list[Statement]] = {}
    for report in reports:
        told_of_company = {other.told for other in reports if other.se_number == report.se_number} - {None}
        if report.told:
            number = report.told
        elif len(told_of_company) == 1:
            (number,) = told_of_company
        else:
            number = report.se_number
        found.setdefault(number, []).append(report)
    return found


def employment_periods(periods: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """R3: those that hang together, directly or through others, are one period.

    Two hang together when they touch or overlap, or leave no more than a month between them: when neither starts after
    the day that is a month later than the other's first day off.
    """
    waiting = set(periods)
    limit = {(first, last): months_later(last + 1, 1) for first, last in waiting}
    merged = []
    while waiting:
        group = {waiting.pop()}
        reached = set(group)
        while reached:
            reached = {
                period
                for period in waiting
                if any(period[0] <= limit[other] and other[0] <= limit[period] for other in reached)
            }
            waiting -= reached
            group |= reached
        merged.append((min(first for first, _ in group), max(last for _, last in group)))
    return merged


def expected(
    body: bytes, cpr: str, *, advis_means_none: frozenset[int] = frozenset(), today: date | None = None
) -> Outcome:
    """What the answer `body`, a whole SOAP envelope, comes to for the citizen `cpr` (ten digits).

    `today` changes nothing: no rule asks for it. What is no envelope with one answer in it is `invalid_response`.
    """
    try:
        envelope = ET.fromstring(body)
    except ET.ParseError:
        return Outcome("invalid_response")
    contents = [child for part in envelope.findall(f"{SOAP}Body") for child in part]
    if envelope.tag != f"{SOAP}Envelope" or [child.tag for child in contents] != [f"{E}IndkomstOplysningPersonHent_O"]:
        return Outcome("invalid_response")
    (answer,) = contents

    failure = answer.find(f".//{KONTEKST}FejlStruktur")
    if failure is not None:
        code = integer(text_of(failure.find(f"{KONTEKST}FejlIdentifikator")))
        return Outcome("bad_request" if code is None else FAILURES.get(code, "bad_request"))

    persons = list(answer.iter(f"{E}IndkomstOplysningPersonStruktur"))
    advices = {
        integer(text_of(advice.find(f"{KONTEKST}AdvisIdentifikator")))
        for advice in answer.iter(f"{KONTEKST}AdvisStruktur")
    }
    if advices - advis_means_none and not persons:
        return Outcome("advis")
    numbers = {text_of(one).strip(XML_SPACE) for one in answer.iter(f"{CPR}PersonCivilRegistrationIdentifier")} - {cpr}
    if any(re.fullmatch("[0-9]{10}", number) and number != NOBODY for number in numbers):
        return Outcome("wrong_person")
    if numbers:
        return Outcome("invalid_response")
    if answer.find(f"{E}IndkomstPersonUddata") is None:
        return Outcome()
    return meaning(
        [
            Report(
                text_of(
                    company.find(
                        f"{E}IndberetningPligtigVirksomhedStruktur/{E}IndberetningPligtigVirksomhed/"
                        f"{VIRKSOMHED}VirksomhedSENummerIdentifikator"
                    )
                ).strip(XML_SPACE),
                element,
            )
            for person in persons
            for company in person.findall(f"{E}IndkomstOplysningSamling/{E}IndberetningPligtigVirksomhed")
            for element in company.findall(f"{E}IndkomstLoenPeriodeSamling/{E}LoenPeriodeOplysningStruktur")
        ]
    )


def meaning(reports: list[Report]) -> Outcome:
    """What the reports of a citizen come to, in whatever order they are."""
    readings = [report.statements() for report in reports]
    statements = [statement for read, _ in readings for statement in read]
    left_out = sum(unread for _, unread in readings)
    if not statements:
        lacking = frozenset(number for number in ("011", "012") if all(report.lacks(number) for report in reports))
        if reports and lacking:
            return Outcome("not_authorised", lacking=lacking)
        return Outcome("invalid_response")
    types = Counter(statement.income_type for statement in statements)
    unknown_types = sum(count for income_type, count in types.items() if income_type not in WORK | NOT_WORK)
    left = without_the_reversed([statement for statement in statements if statement.income_type in WORK])
    told = {report.told for report in left}
    employments = [
        (f"Virksomhed med {'CVR' if number in told else 'SE'}-nr. {number}", first, last)
        for number, of_employer in employers(left).items()
        for first, last in employment_periods(report.period for report in of_employer)
    ]
    if left_out and not employments:
        return Outcome("invalid_response")
    employments.sort(key=lambda shown: (-shown[2], -shown[1], shown[0]))
    return Outcome(
        employments=[(label, as_date(first), as_date(last)) for label, first, last in employments],
        left_out=left_out,
        unknown_types=unknown_types,
    )
