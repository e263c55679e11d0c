"""Constructed values: puts in place of what an exchange holds what says nothing of anybody, of the same form.

The same value gives the same one throughout an exchange, another exchange has another key, and the key is kept nowhere.
Dates move by the same number of days. Numbers are such as no person and no company has.
"""

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from typing import Any, Final

from lxml.etree import _Element as Element

from domain.cpr import LOOKS_LIKE_CPR, Cpr
from registerbro.conformance.comparison import shown_name
from registerbro.conformance.expectations import Expected, Form

KEPT_BELOW: Final = 1000
"""Numbers of JSON below this are counts and codes: no register has so few people or companies."""

_DAYS: Final = (400, 4000)
"""By how many days dates move into the past."""
_TURNS: Final = 1000
"""How often a value is drawn anew."""
_HEX: Final = "abcdef"
"""Without digits, so that no identifier holds what looks like a number."""

_PIECES = re.compile(
    r"(?P<uuid>(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f]))"
    r"|(?P<moment>(?<!\d)\d{4}-\d\d-\d\d(?:[T -]\d\d[:.]\d\d(?:[:.]\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?(?!\d))"
    rf"|(?P<cpr>{LOOKS_LIKE_CPR.pattern})"
    r"|(?P<digits>\d+)"
    r"|(?P<letters>[^\W\d_]+)"
)
_SECONDS = re.compile(r"(?<=[:.]\d\d[:.])\d\d(?:\.(\d+))?")
_DURATION = re.compile(r"-?P(?=.)(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?=.)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?")
_WORD = re.compile(r"[^\W\d_]+")
_MONTH = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])")
_WEIGHTS: Final = (2, 7, 6, 5, 4, 3, 2, 1)
"""Of the check of CVR numbers, by which their sum is a multiple of eleven."""


def may_be_a_companys(digits: str) -> bool:
    """Whether eight digits pass the check of CVR numbers."""
    return sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 11 == 0


def day_of(digits: str) -> date | None:
    """The day that eight digits are, as yyyymmdd; None when they are none of 1900 to 2099."""
    if digits[:2] not in {"19", "20"}:
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def is_kept(expected: Expected | None, text: str) -> bool:
    """Whether a value is one of the contract's own, and stays: a known code, a number of a structure, a duration."""
    if expected is None:
        return not text
    if expected.codes is not None and text in expected.codes:
        return True
    if expected.keeps is not None and expected.keeps.fullmatch(text):
        return True
    return not text or (expected.form is Form.DURATION and _DURATION.fullmatch(text) is not None)


class Constructed:
    """Constructed values for one exchange about a citizen. `days` is by how many its dates move.

    Two values that differ stay different, as far as their form allows. `words` are those of the exchange, in lower
    case: a name that holds one of them goes like a value, unless it is the contract's.
    """

    def __init__(
        self, cpr: Cpr, key: bytes | None = None, days: int | None = None, words: AbstractSet[str] = frozenset()
    ) -> None:
        self._words = words
        self._key = key or secrets.token_bytes(32)
        self._days = -(_DAYS[0] + secrets.randbelow(_DAYS[1] - _DAYS[0])) if days is None else days
        self._made: dict[str, str] = {}
        self._taken: set[str] = set()
        self.cpr = self._citizen(cpr)
        """The citizen in the place of the one who was asked about: younger or older by as much as the dates move."""
        self._made[cpr.digits] = self.cpr.digits
        self._taken.add(self.cpr.digits)

    def _citizen(self, cpr: Cpr) -> Cpr:
        born = self._moved(cpr.birth_date)
        for turn in range(_TURNS):
            serial = self._drawn_digits(f"{cpr.digits} {turn}", 4)
            made = Cpr(f"{born.day + 60:02}{born.month:02}{born.year % 100:02}{serial}")
            if made.birth_date == born:
                return made
        raise AssertionError("each year has numbers")

    def name(self, name: str, expected: Expected | None) -> str:
        """A field's name; `expected` is what the contract has of it."""
        is_a_value = shown_name(name) == "?" or self._words & set(map(str.casefold, _WORD.findall(name)))
        return self.text(name) if expected is None and is_a_value else name

    def text(self, text: str) -> str:
        """A text of the same form: digits for digits, letters for letters, and all else as it stands."""
        return _PIECES.sub(self._piece, text)

    def number(self, value: float) -> int | float:
        """A number of JSON, of as many digits."""
        if abs(value) < KEPT_BELOW:
            return value
        whole, point, rest = str(value).partition(".")
        made = _PIECES.sub(self._piece, whole)
        made = re.sub(r"^(-?)0", r"\g<1>1", made)
        return float(f"{made}.{rest}") if point else int(made)

    def _piece(self, found: re.Match[str]) -> str:
        piece = found[0]
        match found.lastgroup:
            case "uuid":
                return re.sub("[0-9A-Fa-f]", lambda at: self._drawn(piece.lower(), at.start(), _HEX), piece)
            case "moment":
                return self._moment(piece)
            case "cpr":
                digits = piece[:6] + piece[-4:]
                made = self._ten_digits(digits)
                return f"{made[:6]}{piece[6:-4]}{made[6:]}"
            case "digits":
                return self._digits(piece)
        return self._word(piece)

    def _moment(self, piece: str) -> str:
        try:
            day = date.fromisoformat(piece[:10])
        except ValueError:
            return "-".join(self._digits(part) for part in piece[:10].split("-")) + piece[10:]
        # The second tells records apart, and the hour does not.
        time = _SECONDS.sub(lambda at: "00" + (f".{'0' * len(at[1])}" if at[1] else ""), piece[10:], count=1)
        return self._moved(day).isoformat() + time

    def _moved(self, day: date) -> date:
        """The day so many days on; one at the calendar's end, which stands for no day, as it is."""
        try:
            return day + timedelta(days=self._days) if 1800 < day.year < 9000 else day
        except OverflowError:
            return day

    def _digits(self, digits: str) -> str:
        if len(digits) == 10:
            return self._ten_digits(digits)
        if len(digits) == 8:
            day = day_of(digits)
            return f"{self._moved(day):%Y%m%d}" if day else self._company(digits)
        if len(digits) == 6 and _MONTH.fullmatch(digits):
            return f"{self._moved(date(int(digits[:4]), int(digits[4:]), 1)):%Y%m}"
        return self._unlike_others(digits, lambda of: self._drawn_digits(of, len(digits)))

    def _ten_digits(self, digits: str) -> str:
        """A CPR number whose day is 61 to 88, which no person has."""

        def draw(of: str) -> str:
            day, month, year = (int(self._drawn_digits(f"{of} {part}", 6)) for part in ("day", "month", "year"))
            return f"{61 + day % 28:02}{1 + month % 12:02}{year % 100:02}{self._drawn_digits(of, 4)}"

        return self._unlike_others(digits, draw)

    def _company(self, digits: str) -> str:
        """Eight digits that are no CVR number, by its check, and no day."""

        def draw(of: str) -> str:
            drawn = (self._drawn_digits(f"{of} {turn}", 8) for turn in range(_TURNS))
            return next(one for one in drawn if not may_be_a_companys(one) and day_of(one) is None)

        return self._unlike_others(digits, draw)

    def _word(self, word: str) -> str:
        """Letters in the case of those that they stand for; the same for a word in any case."""
        plain = word.casefold()
        letters = self._unlike_others(
            plain, lambda of: "".join(self._drawn(of, at, string.ascii_lowercase) for at in range(len(word)))
        )
        cased = (drawn.upper() if letter.isupper() else drawn for letter, drawn in zip(word, letters, strict=False))
        return "".join(cased)

    def _unlike_others(self, piece: str, draw: Callable[[str], str]) -> str:
        """What is drawn for a piece; drawn again while it stands for another piece, or is the piece itself."""
        if piece not in self._made:
            turns = (draw(f"{piece} {turn}") for turn in range(_TURNS))
            made = next((one for one in turns if one != piece and one not in self._taken), None)
            self._made[piece] = draw(piece) if made is None else made
            self._taken.add(self._made[piece])
        return self._made[piece]

    def _drawn_digits(self, of: str, count: int) -> str:
        first = self._drawn(of, 0, string.digits[1:])
        return first + "".join(self._drawn(of, at, string.digits) for at in range(1, count))

    def _drawn(self, of: str, at: int, alphabet: str) -> str:
        digest = hmac.digest(self._key, f"{at} {of}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        return alphabet[int.from_bytes(digest[:8]) % len(alphabet)]


def json_value(made: Constructed, value: Any, expected: Expected | None) -> Any:  # noqa: ANN401 - JSON values
    """A JSON value with a constructed one for each that is not the contract's own; names are kept, unless odd."""
    match value:
        case dict():
            fields = {name: expected.find(name) if expected else None for name in value}
            return {
                made.name(name, fields[name]): json_value(made, inner, fields[name]) for name, inner in value.items()
            }
        case list():
            return [json_value(made, inner, expected) for inner in value]
        case bool() | None:
            return value
        case int() | float():
            return value if expected and is_kept(expected, str(value)) else made.number(value)
    return value if is_kept(expected, value) else made.text(value)


def replace_in_element(
    made: Constructed, element: Element, expected: Expected | None, is_code: Mapping[Element, bool]
) -> None:
    """The same in an element and all within it; `is_code` are the elements whose text stays."""
    text = element.text or ""
    stays = not len(element) and (is_kept(expected, text.strip()) or is_code.get(element, False))
    if text.strip() and not stays:
        element.text = made.text(text)
    for name, value in element.attrib.items():
        element.set(name, made.text(str(value)))
    for child in element:
        if child.tail and child.tail.strip():
            child.tail = made.text(child.tail)
        namespace, _, name = str(child.tag).rpartition("}")
        inner = expected.find(name, namespace.removeprefix("{")) if expected else None
        child.tag = f"{namespace}}}{made.name(name, inner)}" if namespace else made.name(name, inner)
        replace_in_element(made, child, inner, is_code)
