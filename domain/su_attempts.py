"""SU attempts: how many ungdomsuddannelser a citizen has begun with SU (R6)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from domain.ages import birthday

FIRST_YEAR_DAY = date(2018, 1, 1)
"""The first day whose beginnings count (R6)."""

COUNTS_FROM_AGE = 18
"""Years; what was begun before that birthday does not count (R6)."""


@dataclass(frozen=True, slots=True)
class SuRegistration:
    """One beginning of an education with SU.

    `youth` says that the education is an ungdomsuddannelse, `withdrawn` that the registration was cancelled.
    """

    education: str
    youth: bool
    start: date
    withdrawn: bool


def count_attempts(born: date, begun: Iterable[SuRegistration]) -> int:
    """The distinct ungdomsuddannelser begun on or after both 2018-01-01 and the 18th birthday (R6).

    Registrations with the same education and start are one, which counts unless all of them are withdrawn.
    """
    first_day = max(FIRST_YEAR_DAY, birthday(born, COUNTS_FROM_AGE))
    return len(
        {
            (registration.education, registration.start)
            for registration in begun
            if registration.youth and not registration.withdrawn and registration.start >= first_day
        }
    )
