"""Birthdays and ages, also of who was born on 29 February (R1, R6)."""

from datetime import date

from dateutil.relativedelta import relativedelta


def birthday(born: date, years: int) -> date:
    """The day on which one is `years` old; 29 February becomes 28 February in a year without one (R6).

    Raises ValueError when that is after the year 9999.
    """
    return born + relativedelta(years=years)


def is_under(born: date, years: int, today: date) -> bool:
    """Whether one is not yet `years` old; who has that birthday today is not under it (R1)."""
    return today < birthday(born, years)
