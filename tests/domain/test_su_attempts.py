"""What counts as an SU attempt (R6)."""

from datetime import date

import pytest

from domain.su_attempts import SuRegistration, count_attempts

BORN_EARLY = date(1998, 5, 20)
"""18 before 2018, so that the first day that counts is 2018-01-01."""
BORN_LATE = date(2001, 5, 20)
"""18 on 2019-05-20, which is then the first day that counts."""
BORN_ON_A_LEAP_DAY = date(2004, 2, 29)
"""18 on 2022-02-28."""


def begun(start, education="Hf", *, youth=True, withdrawn=False):
    return SuRegistration(education, youth, start, withdrawn)


@pytest.mark.parametrize(
    ("born", "start", "attempts"),
    [
        pytest.param(BORN_EARLY, date(2017, 12, 31), 0, id="the day before 2018"),
        pytest.param(BORN_EARLY, date(2018, 1, 1), 1, id="the first day of 2018"),
        pytest.param(BORN_LATE, date(2018, 8, 1), 0, id="in 2018 but not yet 18"),
        pytest.param(BORN_LATE, date(2019, 5, 19), 0, id="the day before the 18th birthday"),
        pytest.param(BORN_LATE, date(2019, 5, 20), 1, id="on the 18th birthday"),
        pytest.param(date(2000, 1, 1), date(2018, 1, 1), 1, id="18 on the first day of 2018"),
        pytest.param(date(2000, 1, 2), date(2018, 1, 1), 0, id="18 on the second day of 2018"),
        pytest.param(BORN_ON_A_LEAP_DAY, date(2022, 2, 27), 0, id="born on 29 February, begun on 27 February"),
        pytest.param(BORN_ON_A_LEAP_DAY, date(2022, 2, 28), 1, id="born on 29 February, begun on 28 February"),
    ],
)
def test_a_beginning_counts_from_2018_and_from_the_18th_birthday(born, start, attempts):
    assert count_attempts(born, [begun(start)]) == attempts


@pytest.mark.parametrize(
    ("registrations", "attempts"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([begun(date(2020, 8, 1), withdrawn=True)], 0, id="withdrawn"),
        pytest.param([begun(date(2020, 8, 1), "Medicin", youth=False)], 0, id="a higher education"),
        pytest.param([begun(date(2020, 8, 1))] * 2, 1, id="the same twice"),
        pytest.param([begun(date(2020, 8, 1)), begun(date(2021, 8, 1))], 2, id="the same education begun again"),
        pytest.param([begun(date(2020, 8, 1)), begun(date(2020, 8, 1), "Htx")], 2, id="two educations on one day"),
        pytest.param(
            [begun(date(2020, 8, 1), withdrawn=True), begun(date(2020, 8, 1))], 1, id="one of two alike withdrawn"
        ),
        pytest.param(
            [begun(date(2020, 8, 1)), begun(date(2020, 8, 1), withdrawn=True)], 1, id="the other of two alike withdrawn"
        ),
        pytest.param([begun(date(2020, 8, 1), withdrawn=True)] * 2, 0, id="both of two alike withdrawn"),
        pytest.param(
            [
                begun(date(2017, 8, 1)),
                begun(date(2018, 8, 1)),
                begun(date(2019, 8, 1), "Htx", withdrawn=True),
                begun(date(2020, 8, 1), "Eux"),
                begun(date(2022, 9, 1), "Datalogi", youth=False),
            ],
            2,
            id="a mixed history",
        ),
    ],
)
def test_distinct_ungdomsuddannelser_that_were_not_withdrawn_are_counted(registrations, attempts):
    assert count_attempts(BORN_EARLY, registrations) == attempts


def test_registrations_may_come_one_at_a_time():
    assert count_attempts(BORN_EARLY, (begun(date(year, 8, 1)) for year in (2018, 2019, 2020))) == 3
