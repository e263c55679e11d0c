"""What looks at the current contact groups come to: never more than they showed, and nothing of it is lost."""

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contact_group_history import MOST_PERIODS, ContactGroupHistory
from domain.overview import ContactGroupPeriod
from domain.rules import DEFAULT_RULES
from domain.searchable_cv import is_searchable

FIRST = date(2023, 1, 1)
FLEKSJOB = 7


def day(number):
    return FIRST + timedelta(days=number)


def period(group, start, end=None):
    return ContactGroupPeriod(group=group, start=day(start), end=None if end is None else day(end))


def look(number, *groups, is_whole=True, at=None):
    return ContactGroupHistory.of_look(groups, number if at is None else at, day(number), is_whole=is_whole)


def joined(*looks):
    history = ContactGroupHistory()
    for one in looks:
        history = history.joined(one)
    return history


# --- The promise, case by case ----------------------------------------------------------------------------------------

SEVEN, TWELVE = period(7, 0), period(12, 10)

CASES = {
    "the first look shows what is open": ([look(5, SEVEN)], [SEVEN]),
    "it is still open": ([look(5, SEVEN), look(9, SEVEN)], [SEVEN]),
    "it is gone at the next look": ([look(5, SEVEN), look(9)], [period(7, 0, 8)]),
    "it is gone on the day of the last look": ([look(5, SEVEN, at=1), look(5, at=2)], [period(7, 0, 5)]),
    "its end stays where the first look without it put it": ([look(5, SEVEN), look(9), look(20)], [period(7, 0, 8)]),
    "another is open instead": ([look(5, SEVEN), look(11, TWELVE)], [period(7, 0, 10), TWELVE]),
    "its end is told": ([look(5, SEVEN), look(6, period(7, 0, 9))], [period(7, 0, 9)]),
    "the end that was told came": ([look(5, period(7, 0, 9)), look(20)], [period(7, 0, 9)]),
    "it ended before the end that was told": ([look(5, period(7, 0, 90)), look(20)], [period(7, 0, 19)]),
    "its end is taken back": ([look(5, period(7, 0, 9)), look(6, SEVEN)], [SEVEN]),
    "it comes back with its first day": ([look(5, SEVEN), look(9), look(12, SEVEN)], [SEVEN]),
    "a second 7 is another one": ([look(5, SEVEN), look(15, period(7, 14))], [period(7, 0, 14), period(7, 14)]),
    "a worker's calendar is behind": ([look(5, SEVEN), look(3, at=6)], [period(7, 0, 5)]),
    "it was announced, and is gone": ([look(5, period(7, 8)), look(20)], []),
    "it was announced, and began": ([look(5, period(7, 8)), look(9, period(7, 8)), look(20)], [period(7, 8, 19)]),
    "a look that is not whole ends none": ([look(5, SEVEN), look(11, TWELVE, is_whole=False)], [SEVEN, TWELVE]),
    "the next whole one does": (
        [look(5, SEVEN), look(11, TWELVE, is_whole=False), look(13, TWELVE)], [period(7, 0, 12), TWELVE],
    ),
    "the same group twice in one look": ([look(5, SEVEN, period(7, 0, 9), SEVEN)], [SEVEN]),
}  # fmt: skip


@pytest.mark.parametrize(("looks", "shown"), CASES.values(), ids=CASES)
def test_what_looks_come_to(looks, shown):
    assert joined(*looks).shown() == shown


def test_a_look_that_comes_late_ends_nothing_and_adds_what_it_saw():
    newer, older = look(9, TWELVE), look(5, SEVEN)
    assert joined(newer, older).shown() == [period(7, 0, 8), TWELVE]
    assert joined(look(9, SEVEN), look(5)).shown() == [SEVEN]


def test_an_empty_history_changes_nothing():
    one = look(5, SEVEN)
    assert one.joined(ContactGroupHistory()) == one == ContactGroupHistory().joined(one)


def test_a_history_has_an_end_and_what_is_open_outlasts_it():
    many = [period(12, number, number) for number in range(MOST_PERIODS + 10)]
    history = joined(look(0, SEVEN), look(2_000, *many, SEVEN))
    assert len(history.periods) == MOST_PERIODS
    assert SEVEN in history.shown()
    assert many[-1] in history.shown()
    assert many[0] not in history.shown()


# --- Against the truth ------------------------------------------------------------------------------------------------

LAST = 60


@dataclass(frozen=True)
class RealGroup:
    """A contact group as it is in truth: its days, and from which day on the register tells its end."""

    group: int
    days: range
    told_from: int

    def as_told(self, on):
        end = self.days[-1]
        return period(self.group, self.days[0], end if on >= self.told_from and end < LAST else None)


@st.composite
def lives(draw):
    """The truth of one citizen: groups on sets of days. One without an end goes on past the last day."""
    groups = []
    for start in draw(st.lists(st.integers(0, LAST), max_size=6, unique=True)):
        length = draw(st.integers(1, 30))
        groups.append(
            RealGroup(
                draw(st.sampled_from([1, FLEKSJOB, 12])), range(start, start + length), draw(st.integers(0, LAST))
            )
        )
    return groups


LOOK_DAYS = st.lists(st.integers(0, LAST), min_size=1, max_size=8, unique=True).map(sorted)


def looks_at(life, days):
    return {on: look(on, *(one.as_told(on) for one in life if on in one.days)) for on in days}


def truth(life, on):
    """Whether the CV is searchable on a day, by sets of days."""
    if any(on in one.days for one in life):
        return True
    return not any(one.group == FLEKSJOB and max(one.days) < on for one in life)


def says(history, on, known_on):
    return is_searchable(history.shown(), day(on), DEFAULT_RULES, known_on=day(known_on))


@given(lives(), LOOK_DAYS)
def test_what_the_rule_says_on_the_day_of_a_look_is_right_or_unknown(life, days):
    seen = looks_at(life, days)
    for number, on in enumerate(days, 1):
        answer = says(joined(*(seen[one] for one in days[:number])), on, on)
        assert answer in {truth(life, on), None}
        assert answer is not None or not any(on in one.days for one in life)


@given(lives(), LOOK_DAYS, st.randoms())
def test_that_holds_in_whatever_order_the_looks_arrive_and_however_they_are_joined(life, days, random):
    arrived = list(looks_at(life, days).values())
    random.shuffle(arrived)
    split = random.randrange(len(arrived) + 1)
    for history in (joined(*arrived), joined(*arrived[:split]).joined(joined(*arrived[split:]))):
        assert says(history, days[-1], days[-1]) in {truth(life, days[-1]), None}


@given(lives(), LOOK_DAYS)
def test_it_is_known_to_have_ended_once_a_look_has_shown_it_and_another_no_more(life, days):
    history = joined(*looks_at(life, days).values())
    on = days[-1]
    was_seen = any(one.group == FLEKSJOB and any(at in one.days for at in days) for one in life)
    if not any(on in one.days for one in life):
        assert says(history, on, on) is (False if was_seen else None)


@given(lives(), LOOK_DAYS, st.integers(0, LAST))
def test_on_a_later_day_it_is_right_or_unknown_as_long_as_nothing_changed_unannounced(life, days, later):
    last = days[-1]
    announced = [RealGroup(one.group, one.days, 0) for one in life if one.days[0] <= last]
    on = last + later
    if on <= LAST:
        answer = says(joined(*looks_at(announced, days).values()), on, last)
        assert answer in {truth(announced, on), None}


@given(lives(), LOOK_DAYS)
def test_the_record_has_every_group_that_was_seen_with_the_end_that_is_promised(life, days):
    seen = {(one.group, one.days[0]): one for one in life if any(on in one.days for on in days)}
    expected = {}
    for key, one in seen.items():
        last = max(on for on in days if on in one.days)
        gone = next((on for on in days if on > last), None)
        told = one.as_told(last).end
        expected[key] = told if gone is None else min(told or date.max, day(gone - 1))
    history = joined(*looks_at(life, days).values())
    assert {(one.group, (one.start - FIRST).days): one.end for one in history.shown()} == expected


@given(lives(), st.lists(st.integers(0, LAST), min_size=1, max_size=4, unique=True).map(sorted))
def test_what_is_open_never_depends_on_the_order_in_which_looks_arrive(life, days):
    found = set()
    for order in permutations(looks_at(life, days).values()):
        history = joined(*order)
        found.add(frozenset((one.group, one.start) for one in history.shown() if one.end is None))
        assert {(one.group, one.start) for one in history.periods} == {
            (one.group, day(one.days[0])) for one in life if any(on in one.days for on in days)
        }
    assert len(found) == 1
