"""Header fields of an answer, parsed by HTTP's own grammar (RFC 9110), which is written out here.

Python's `email` reads these fields by the rules of mail, and otherwise in each of its versions, so that an answer would
mean something else by the Python that reads it; every helper of a library that we ship goes back to it. Each pattern
here looks at a character once.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

UNREADABLE = ("text/plain", "utf-8")
"""The result for a Content-Type that is missing or cannot be read."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110, 5.6.2
_MEDIA_TYPE = re.compile(rf"[ \t]*({_TOKEN}/{_TOKEN})[ \t]*(?:;|\Z)")
_SECTION = re.compile(r'(?:"(?:[^"\\]|\\.?)*+"?|[^";])++', re.DOTALL)
"""The text between two semicolons; a quoted string may hold some (RFC 9110, 5.6.4 and 5.6.6)."""
_PARAMETER = re.compile(rf'[ \t]*({_TOKEN})[ \t]*=[ \t]*(?:({_TOKEN})|"((?:[^"\\]|\\.)*+)")[ \t]*', re.DOTALL)
"""With white space around the `=`, which some servers send although 5.6.6 forbids it."""
_NAMES_CHARSET = re.compile(r"[ \t]*charset[ \t]*(?:[=*]|\Z)", re.IGNORECASE)

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DATES = (
    # IMF-fixdate and, with hyphens and two digits of a year, RFC 850's. A zone is more than HTTP has.
    re.compile(
        rf"(?:[a-z]+, *)?(?P<day>[0-9]{{1,2}})[ -](?P<month>[a-z]{{3}})[ -](?P<year>[0-9]{{4}}|[0-9]{{2}}) {_TIME} "
        r"(?:GMT|UTC|(?P<sign>[+-])(?P<hours>[0-9]{2})(?P<minutes>[0-9]{2}))",
        re.IGNORECASE,
    ),
    # C's asctime.
    re.compile(rf"[a-z]+ (?P<month>[a-z]{{3}}) (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})", re.IGNORECASE),
)


def content_type(field: str) -> tuple[str, str]:
    """Parses a Content-Type (RFC 9110, 8.3.1) into its media type, in lower case, and its charset, UTF-8 by default.

    UNREADABLE when it does not begin with a media type, or says of the charset what HTTP has no words for, such as the
    parts of RFC 2231. Of parameters with one name the first counts; what is no parameter is passed over.
    """
    media_type = _MEDIA_TYPE.match(field)
    if media_type is None:
        return UNREADABLE
    charset = None
    for section in _SECTION.findall(field, media_type.end()):
        if charset is None and _NAMES_CHARSET.match(section):
            parameter = _PARAMETER.fullmatch(section)
            if parameter is None or parameter[1].lower() != "charset":
                return UNREADABLE
            charset = parameter[2] or re.sub(r"\\(.)", r"\1", parameter[3] or "", flags=re.DOTALL)
    return media_type[1].lower(), "utf-8" if charset is None else charset


def http_date(text: str, now: datetime) -> datetime | None:
    """Parses an HTTP-date in any of its three forms (RFC 9110, 5.6.7); None for any other text.

    `now` says of which century two digits of a year are.
    """
    found = next((match for form in _DATES if (match := form.fullmatch(text.strip(" \t")))), None)
    if found is None:
        return None
    # A leap second is in HTTP's grammar and not among Python's.
    second = min(int(found["second"]), 59)
    try:
        month = _MONTHS.index(found["month"].lower()) + 1
        zone = _zone(found.groupdict())
        day, hour, minute = (int(found[part]) for part in ("day", "hour", "minute"))
        return datetime(_year(found["year"], now), month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None


def _year(digits: str, now: datetime) -> int:
    if len(digits) == 4:
        return int(digits)
    year = now.year - now.year % 100 + int(digits)
    return year - 100 if year > now.year + 50 else year


def _zone(found: dict[str, str | None]) -> timezone:
    """Raises ValueError when it is a day away or more."""
    if not found.get("sign"):
        return UTC
    away = timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0))
    return timezone(-away if found["sign"] == "-" else away)
