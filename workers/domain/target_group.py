"""The target group: whose registers may be fetched, and who sees the banner and the page (R1)."""

from collections.abc import Collection
from datetime import date
from enum import IntEnum

from workers.domain.ages import birthday, is_under

DAGPENGE_UNDER_AGE = 25
"""Years; who turns this today is not under it (R1)."""


class ContactGroup(IntEnum):
    """The contact groups that R1 names, by their codes.

    1 is Dagpengemodtagere, 12 is Modtager af uddannelseshjælp, and 28 is Uddannelsespålæg - Overgangsydelsesmodtager
    efter LAB.
    """

    DAGPENGE = 1
    UDDANNELSESHJAELP = 12
    OVERGANGSYDELSE_UDDANNELSESPAALAEG = 28


_ALWAYS = frozenset({ContactGroup.UDDANNELSESHJAELP, ContactGroup.OVERGANGSYDELSE_UDDANNELSESPAALAEG})


def in_target_group(*, born: date, contact_groups: Collection[int], education_order: bool, today: date) -> bool:
    """Whether one of the citizen's contact groups qualifies (R1). `education_order` is an uddannelsespålæg.

    Contact groups that R1 does not name are passed over.
    """
    if not _ALWAYS.isdisjoint(contact_groups):
        return True
    return ContactGroup.DAGPENGE in contact_groups and education_order and is_under(born, DAGPENGE_UNDER_AGE, today)


def leaves_target_group(*, born: date, contact_groups: Collection[int]) -> date | None:
    """The first day on which who is in the target group no longer is, by age alone; None when no age ends it (R1)."""
    return birthday(born, DAGPENGE_UNDER_AGE) if _ALWAYS.isdisjoint(contact_groups) else None
