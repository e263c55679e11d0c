"""CPR numbers: what is one, when its holder was born, and never showing it by accident (R11)."""

import re
import string
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Self

_DIGITS = frozenset(string.digits)
_LENGTH = 10
_BEFORE_HYPHEN = 6
_UNKNOWN_PERSON = "0" * _LENGTH
_REPLACEMENT_DAYS = 60
"""What the day of a replacement number is ahead of the day of birth."""

LOOKS_LIKE_CPR = re.compile(r"(?<!\d)\d{6}(?:[-\s]|%2[dD0])?\d{4}(?!\d)")
"""Pattern of what a reader would take for a CPR number: six digits and four, with or without a hyphen or white space
between them, also as a URL has these (`%2D`, `%20`), and no digit beside them.

Every place that redacts, refuses or avoids such text uses this pattern, because text that one place refused in another
spelling than the next would pass. It is wider than `Cpr.parse`: it asks for no date, and takes what a person may type.
"""


class InvalidCpr(ValueError):
    """A text is not a CPR number. The message says what is wrong with it, and holds nothing of the text."""


@dataclass(frozen=True, slots=True, repr=False)
class Cpr:
    """A CPR number whose date exists; there is no modulus-11 test, and replacement numbers are valid (R11).

    `digits` are the ten digits, without a hyphen; neither `repr` nor `str` shows them. Two spellings of a number are
    equal. Anything else raises `InvalidCpr`.
    """

    digits: str
    birth_date: date = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "birth_date", _birth_date(self.digits))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ten ASCII digits, with or without one hyphen after the sixth and with nothing around them.

        Raises `InvalidCpr`.
        """
        return cls(text[:_BEFORE_HYPHEN] + text[_BEFORE_HYPHEN:].removeprefix("-"))

    @property
    def is_replacement(self) -> bool:
        """Whether it stands in for a number that its holder has not got: its day is 61–91 (R11).

        The registers' published pattern excludes these, so they refuse them however right they are.
        """
        return int(self.digits[:2]) > _REPLACEMENT_DAYS

    def __repr__(self) -> str:
        return "Cpr(…)"


def _birth_date(digits: str) -> date:
    if not _DIGITS.issuperset(digits):
        raise InvalidCpr("characters: only ASCII digits may occur, and one hyphen after the sixth")
    if len(digits) != _LENGTH:
        raise InvalidCpr("length: a CPR number has ten digits")
    if digits == _UNKNOWN_PERSON:
        raise InvalidCpr("unknown person: this number stands for nobody")
    day, month, year = int(digits[:2]), int(digits[2:4]), _birth_year(int(digits[4:6]), int(digits[6]))
    if day > _REPLACEMENT_DAYS:
        day -= _REPLACEMENT_DAYS
    with suppress(ValueError):
        return date(year, month, day)
    # Raised here, after the handler, because the caught error would stay as __context__ and may name the date.
    raise InvalidCpr("no such date: the first six digits are not a day of the calendar")


def _birth_year(two_digits: int, seventh: int) -> int:
    if seventh <= 3:
        return 1900 + two_digits
    if seventh in {4, 9}:
        return (2000 if two_digits <= 36 else 1900) + two_digits
    return (2000 if two_digits <= 57 else 1800) + two_digits
