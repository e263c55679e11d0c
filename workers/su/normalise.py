"""Normalising of SU's answer: section C, the number of SU attempts (R2, R6)."""

from datetime import date

from domain.overview import Normalised, SuAttempts
from domain.su_attempts import SuRegistration, count_attempts
from registerbro.refresh.unknown_values import known_only, normalised
from workers.su import wire
from workers.su.wire import Forloeb, SuData


def normalise(answer: SuData | None, born: date) -> Normalised:
    """The one section that SU fills; nought attempts, and None, an unknown person, leave it empty (R6).

    Raises InvalidResponse when nothing is left to count but what the contract does not know (R8).
    """
    known, unknown = known_only(answer.forloeb if answer else (), wire.KNOWN)
    count = count_attempts(born, map(_registration, known))
    return normalised({"su_attempts": [SuAttempts(count=count)] if count else []}, unknown)


def _registration(forloeb: Forloeb) -> SuRegistration:
    return SuRegistration(
        education=forloeb.uddannelse,
        youth=forloeb.uddannelsestype == wire.UNGDOMSUDDANNELSE,
        start=forloeb.startdato,
        withdrawn=forloeb.annulleret,
    )
