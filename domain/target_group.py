"""Target group: whose registers may be fetched, and who sees the banner and the page (R1).

Each rule is a table of days: the law names other contact groups from one day to the next, and a rule written into code
would find nobody then.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from domain.ages import birthday, is_under
from domain.dated_tables import Row, Table

TARGET_GROUP: Literal["target group"] = "target group"
"""The one key of the table: one rule is in force on a day."""


@dataclass(frozen=True, slots=True)
class Qualifying:
    """A contact group that qualifies, and on what conditions: an age in years not yet reached, an uddannelsespålæg."""

    group: int
    under_age: int | None = None
    education_order: bool = False

    def admits(self, *, born: date, education_order: bool, today: date) -> bool:
        """Whether a citizen in this contact group meets the conditions; a birthday of today is not under the age."""
        if self.education_order and not education_order:
            return False
        return self.under_age is None or is_under(born, self.under_age, today)


TargetGroup: TypeAlias = Table[Literal["target group"], tuple[Qualifying, ...]]
"""The rules of R1, each with the days on which it holds."""


def in_target_group(
    rules: TargetGroup, *, born: date, contact_groups: Collection[int], education_order: bool, today: date
) -> bool:
    """Whether one of the citizen's contact groups qualifies by the rule of the day (R1).

    `education_order` is an uddannelsespålæg, `today` the day in Denmark. Contact groups that the rule does not name are
    passed over. On a day before the first rule, the target group is empty.
    """
    return any(
        one.group in contact_groups and one.admits(born=born, education_order=education_order, today=today)
        for one in rules.at(TARGET_GROUP, today) or ()
    )


def leaves_target_group(
    rules: TargetGroup, *, born: date, contact_groups: Collection[int], education_order: bool, today: date
) -> date | None:
    """The first day after `today` on which the citizen is outside the target group, by age or rule; None for never."""
    ages = {one.under_age for row in rules.rows for one in row.value if one.under_age is not None}
    days = sorted({*rules.turns(), *(birthday(born, age) for age in ages)})
    for day in days:
        if day > today and not in_target_group(
            rules, born=born, contact_groups=contact_groups, education_order=education_order, today=day
        ):
            return day
    return None


def rule_of(
    *groups: Qualifying, first: date | None = None, last: date | None = None
) -> Row[Literal["target group"], tuple[Qualifying, ...]]:
    """A row of the table: these contact groups qualify from `first` to `last`."""
    return Row(TARGET_GROUP, groups, first, last)
