"""Report parsing: reads the reports of an answer's persons, form by form; an unreadable report is left out and named.

An answer of which no report can be read is a failure (R8). Numbers of forms and fields are those of municipalities'
clients, since no schema gives them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from lxml.etree import _Element as Element

from domain.overview import LeftOut
from registerbro.upstreams.errors import CallFailed, InvalidResponse, NotAuthorised
from workers.eindkomst.reports import REPORTED, REVERSED, Report, Reports, UnreadablePeriod, income_type, paid_days
from workers.eindkomst.xml_names import CLASS, EINDKOMST, VIRKSOMHED, child, descendant, text_of

COMPANIES = f"{EINDKOMST}IndkomstOplysningSamling/{EINDKOMST}IndberetningPligtigVirksomhed"
REPORTS = f"{EINDKOMST}IndkomstLoenPeriodeSamling/{EINDKOMST}LoenPeriodeOplysningStruktur"
"""Persons within an answer, companies within a person, reports within a company."""
SE_NUMBER = (
    f"{EINDKOMST}IndberetningPligtigVirksomhedStruktur",
    f"{EINDKOMST}IndberetningPligtigVirksomhed",
    f"{VIRKSOMHED}VirksomhedSENummerIdentifikator",
)
"""Within a company, which has the same name as the element in the middle."""
_SE_NUMBER_CHARACTERS = 8
"""The schema gives the length, and does not demand digits."""
OWN_ID = CLASS.format("angivelse") + "AngivelseVirksomhedEgenIdentifikator"
"""The company's own identifier of a report.

ASSUMED: a reversal carries the own id of what it takes back, or one that no report has. The rule of reversals holds for
both; Skatteforvaltningen's guide to the service would say which it is.
"""
PERIOD = (f"{EINDKOMST}AngivelsePeriodeStruktur", CLASS.format("angivelse") + "AngivelsePeriode")
PERIOD_START = "{http://rep.oio.dk/xkom.dk/xml/schemas/2006/09/01/}StartDate"
PERIOD_END = "{http://rep.oio.dk/xkom.dk/xml/schemas/2007/04/15/}EndDate"
PERIOD_DURATION = "{http://rep.oio.dk/xkom.dk/xml/schemas/2007/09/01/}DurationMeasure"
FORMS = (f"{EINDKOMST}AngivelseBlanketIndholdStruktur", f"{EINDKOMST}AngivelseOplysningSamling")
FORM_NUMBER = CLASS.format("blanket") + "BlanketNummerIdentifikator"
FIELD_NUMBER = (f"{EINDKOMST}BlanketFeltEnhedStruktur", CLASS.format("blanketfelt") + "BlanketFeltNummerIdentifikator")
FIELD_TEXT = CLASS.format("angivelsefelt") + "AngivelseFeltIndholdTekst"


def _field(number: int) -> str:
    """A field's number as it is sent: 18 digits, of which the first is 1."""
    return f"1{number:017}"


INCOME: Final = "11000"
"""The form with what an income is; at level 1."""
REPORTER, REPORTERS_CVR, KIND, INCOME_TYPE = _field(1), _field(6), _field(11), _field(12)
EARNINGS: Final = "16000"
"""The form with what kind of earnings it is; at level 2, below the other."""
MARKED = _field(21)
"""`1` when this report was reversed later."""

_NEEDED: Final[Mapping[str, str]] = {KIND: "011", INCOME_TYPE: "012"}
"""The fields without which a form cannot be read, by the number that an agreement has for them."""


class _Unreadable(Exception):
    """A report that must be left out; `kind` is the reason, in a word that metrics and logs can show.

    `missing` are the needed fields that it lacks.
    """

    def __init__(self, kind: str, missing: frozenset[str] = frozenset()) -> None:
        super().__init__(kind)
        self.kind = kind
        self.missing = missing


_WITHOUT_FORMS = _Unreadable("forms", frozenset(_NEEDED.values()))
_WITHOUT_REPORTS = _Unreadable("reports")


def read_reports(persons: Iterable[Element]) -> Reports:
    """Reads the reports of the persons. Raises InvalidResponse or NotAuthorised when none can be read (R8)."""
    read: list[Report] = []
    left_out: list[LeftOut] = []
    filtered = frozenset(_NEEDED.values())
    for report, place in _each_report(persons):
        if isinstance(report, _Unreadable):
            left_out.append(LeftOut(report.kind, place))
            filtered &= report.missing
        else:
            read.append(report)
    if not read:
        raise _nothing_readable(left_out, filtered)
    return Reports(tuple(read), tuple(left_out))


def _nothing_readable(left_out: Sequence[LeftOut], filtered: Collection[str]) -> CallFailed:
    """A field that all reports lack is one that the agreement filters (WSDL, rules of use): no repeat brings it."""
    if not left_out:
        return InvalidResponse("the answer holds data, and no report")
    if filtered:
        named = " and ".join(sorted(filtered))
        return NotAuthorised(f"no report has field {named} on form {INCOME}: does the agreement deliver it?")
    return InvalidResponse(f"none of {len(left_out)} reports can be read: {left_out[0].kind} at {left_out[0].place}")


def _each_report(persons: Iterable[Element]) -> Iterator[tuple[Report | _Unreadable, str]]:
    """Yields every report with its place in the answer, and each company that should hold reports and does not."""
    companies = [company for person in persons for company in person.iterfind(COMPANIES)]
    reports = 0
    for number, company in enumerate(companies, 1):
        se_number = text_of(descendant(company, *SE_NUMBER)) or ""
        reported = list(company.iterfind(REPORTS))
        if not reported:
            yield _WITHOUT_REPORTS, f"company {number}"
        for element in reported:
            reports += 1
            for report in _read_report(element, se_number):
                yield report, f"report {reports}"


def _read_report(element: Element, se_number: str) -> list[Report | _Unreadable]:
    """One for each form 11000 of a report; or the one reason why nothing of it can be read."""
    forms = descendant(element, *FORMS)
    all_forms = () if forms is None else forms.iterchildren(f"{EINDKOMST}AngivelseNiveau1")
    of_income = [form for form in all_forms if text_of(child(form, FORM_NUMBER)) == INCOME]
    if not of_income:
        return [_WITHOUT_FORMS]
    found = [_read_or_tell(element, form, se_number) for form in of_income]
    unreadable = [one for one in found if isinstance(one, _Unreadable)]
    if len(unreadable) < len(found):
        return found
    return [_Unreadable(unreadable[0].kind, frozenset.intersection(*(one.missing for one in unreadable)))]


def _read_or_tell(element: Element, form: Element, se_number: str) -> Report | _Unreadable:
    try:
        return _read_form(element, form, se_number)
    except _Unreadable as unreadable:
        # Not the error itself, which keeps all that was looked at alive.
        return _Unreadable(unreadable.kind, unreadable.missing)


def _read_form(element: Element, form: Element, se_number: str) -> Report:
    """Raises _Unreadable."""
    fields = _fields(form, REPORTER, REPORTERS_CVR, KIND, INCOME_TYPE)
    missing = frozenset(number for field, number in _NEEDED.items() if not fields.get(field))
    if missing:
        raise _Unreadable("field_missing", missing)
    if fields[KIND] not in {REPORTED, REVERSED}:
        raise _Unreadable("kind")
    of_type = income_type(fields[INCOME_TYPE])
    if of_type is None:
        raise _Unreadable("income_type")
    own_id = text_of(child(element, OWN_ID))
    if not own_id:
        raise _Unreadable("own_id")
    if len(se_number) != _SE_NUMBER_CHARACTERS:
        raise _Unreadable("company_number")
    period = descendant(element, *PERIOD)
    if period is None:
        raise _Unreadable("period")
    start, end, duration = (text_of(child(period, tag)) for tag in (PERIOD_START, PERIOD_END, PERIOD_DURATION))
    try:
        days = paid_days(start, end, duration)
    except UnreadablePeriod:
        raise _Unreadable("period") from None
    return Report(
        se_number=se_number,
        own_id=own_id,
        days=days,
        kind=fields[KIND],
        income_type=of_type,
        marked=_is_marked(form),
        reporter=fields.get(REPORTER) or None,
        reporters_cvr_number=fields.get(REPORTERS_CVR) or None,
    )


def _is_marked(form: Element) -> bool:
    """Whether a form 16000 right below says that the report was taken back."""
    below = form.iterfind(f"{EINDKOMST}UnderAngivelseSamling/{EINDKOMST}AngivelseNiveau2")
    marks = [_fields(one, MARKED).get(MARKED) for one in below if text_of(child(one, FORM_NUMBER)) == EARNINGS]
    return "1" in marks


def _fields(form: Element, *wanted: str) -> dict[str, str]:
    """Those of the form's own fields that are wanted, by number. Raises _Unreadable when one has two texts."""
    fields: dict[str, str] = {}
    for field in form.iterfind(f"{EINDKOMST}AngivelseFeltSamling/{EINDKOMST}AngivelseFeltIndholdStruktur"):
        number = text_of(descendant(field, *FIELD_NUMBER))
        if number not in wanted:
            continue
        text = text_of(child(field, FIELD_TEXT)) or ""
        if fields.setdefault(number, text) != text:
            raise _Unreadable("field_twice")
    return fields
