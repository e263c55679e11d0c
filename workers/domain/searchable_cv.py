"""Whether a citizen's CV is still searchable, from their contact groups over time (release note §2.2, R10)."""

from collections.abc import Iterable
from datetime import date, timedelta

from workers.domain.overview import ContactGroupPeriod

FLEKSJOB = 7
"""The contact group »Fleksjobvisiteret«."""


def not_searchable_since(groups: Iterable[ContactGroupPeriod], day: date) -> date | None:
    """The first of the days, up to `day`, on which the CV is not searchable; None while it is.

    »Når borgere i kontaktgruppe 7 ’Fleksjobvisiteret’ fik lukket kontaktgruppen og ikke blev registreret i en anden
    kontaktgruppe, forblev deres CV søgbart …« (§2.2): a CV is not searchable on a day on which a contact group 7 has
    ended and no contact group, another 7 included, is open. Both days of a group are included, so that who changes
    from one to another on the same day, or from one day to the next, has no day without. A group that has not begun
    is not open. Who never was in a group 7 that ended is none of this rule's business: their CV is left searchable.
    """
    begun = [group for group in groups if group.start <= day]
    ended = [group.end for group in begun if group.end is not None and group.end < day]
    if len(ended) < len(begun) or not any(group.group == FLEKSJOB for group in begun):
        return None
    return max(ended) + timedelta(days=1)


def is_searchable(groups: Iterable[ContactGroupPeriod], day: date) -> bool:
    """Whether the CV is searchable on `day`, as far as contact groups say."""
    return not_searchable_since(groups, day) is None
