"""Constructed citizens, as many as a measurement needs; it imports nothing of ours, since the peers use it too."""

DAYS, MONTHS, YEARS = 28, 12, 90


def numbers(count: int) -> list[str]:
    """CPR numbers, each once; their day is a replacement number's (61 to 88), so that none is a person's."""
    return [_number(n) for n in range(count)]


def _number(n: int) -> str:
    rest, day = divmod(n, DAYS)
    rest, month = divmod(rest, MONTHS)
    series, year = divmod(rest, YEARS)
    return f"{61 + day}{1 + month:02}{year:02}{4000 + series}"
