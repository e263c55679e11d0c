"""Whether a citizen's CV is still searchable, from their contact groups over time (release note §2.2, R10)."""

from collections.abc import Iterable
from datetime import date

from domain.overview import ContactGroupPeriod
from domain.rules import Rules


def is_searchable(
    groups: Iterable[ContactGroupPeriod], day: date, rules: Rules, *, known_on: date | None = None
) -> bool | None:
    """Whether the CV is searchable on `day`, as far as contact groups say; None where they do not say (»Ukendt«).

    »Når borgere i kontaktgruppe 7 ’Fleksjobvisiteret’ fik lukket kontaktgruppen og ikke blev registreret i en anden
    kontaktgruppe, forblev deres CV søgbart …« (§2.2). The answers are three:

    - True while any contact group is open, another 7 included. Both days of a group are included, so that who changes
      from one to another on the same day, or from one day to the next, has no day without. A group that has not begun
      is not open.
    - False when none is open, and one that closes the CV is known to have ended.
    - None when none is open and no such group is known: the register tells the current groups only, so that what was
      before the first look at them is not known.

    `known_on` is the day of the look that the groups are from, `day` itself by default. A group that was open then, and
    has ended since, says nothing of what came after it: that is None, too.

    That it is group 7 which closes the CV is told by the table of contact groups, by the last day of the period.
    """
    begun = [group for group in groups if group.start <= day]
    last_days = [group.end or date.max for group in begun]
    if any(day <= last for last in last_days):
        return True
    if any((known_on or day) <= last for last in last_days):
        return None
    return False if any(_closes_cv(group, rules) for group in begun) else None


def _closes_cv(period: ContactGroupPeriod, rules: Rules) -> bool:
    group = rules.contact_groups.at(period.group, period.end or period.start)
    return group is not None and group.closes_cv
