"""Rules that the law changes: the target group, contact groups, benefits and income types, as tables with days.

`DEFAULT_RULES` are in force until an installation says otherwise (`RULES_FILE`, docs/operations.md). The target group
and the contact groups that it names are those of the release note; the benefits' labels follow the published law.

The target group is judged by the day of the look-up. A benefit has the name of its first day, and a report of income
the meaning of its own first day: what the law calls it later changes nothing of what it was.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from domain.dated_tables import Row, Table
from domain.target_group import Qualifying, TargetGroup, rule_of


@dataclass(frozen=True, slots=True)
class ContactGroup:
    """A contact group: its name; and whether the CV is not searchable once it has ended and no other is open (§2.2)."""

    name: str
    closes_cv: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """The four tables. `benefits`: `ydelsestype` → label; `income_types`: field 012 → whether it is pay for work."""

    target_group: TargetGroup
    contact_groups: Table[int, ContactGroup]
    benefits: Table[str, str]
    income_types: Table[int, bool]

    def unknown_contact_groups(self, groups: frozenset[int], day: date) -> tuple[int, ...]:
        """The contact groups that neither the target group nor the table of contact groups knows on that day."""
        strange = self.contact_groups.unknown(groups, day)
        named = {one.group for row in self.target_group.on(day) for one in row.value} if strange else frozenset()
        return tuple(sorted(set(strange) - named))


RELEASE_NOTE: Final = date(2023, 3, 13)
"""The day from which the release note's rule holds."""
KONTANTHJAELP_REFORM: Final = date(2025, 7, 1)
"""The day from which every benefit of chapter 4 of the Act on Active Social Policy is paid as kontanthjælp."""
_DAY_BEFORE_REFORM: Final = date(2025, 6, 30)

_PAY_FOR_WORK: Final = (0, 3, 8, 9)
"""Ordinary pay, Greenland, researchers, and tax-free pay and seafarers.

ASSUMED: income type 2 is no pay for work. Skatteforvaltningen's guide to what employers report would settle it.
"""
_NO_PAY_FOR_WORK: Final = (1, 2, 4, 5, 6, 7, 10, 11, 20, 24, 26, 28, 29)
"""The other known types: SU (1), benefits, pensions, fees, holiday pay."""

_TARGET_GROUP: Final = (Qualifying(1, under_age=25, education_order=True), Qualifying(12), Qualifying(28))
"""The contact groups of the release note.

ASSUMED: contact groups 1, 12 and 28 keep their numbers after STAR's release 2025-2, which has fewer contact groups.
The code list of contact groups would settle it.
"""

_BENEFITS: Final = {
    "KONTANTHJAELP": "Kontanthjælp",
    "DAGPENGE": "Arbejdsløshedsdagpenge",
    "SYGEDAGPENGE": "Sygedagpenge",
    "RESSOURCEFORLOEB": "Ressourceforløbsydelse",
    "REVALIDERING": "Revalideringsydelse",
    "LEDIGHEDSYDELSE": "Ledighedsydelse",
    "JOBAFKLARING": "Jobafklaringsydelse",
    "BARSELSDAGPENGE": "Barselsdagpenge",
}
_BECAME_KONTANTHJAELP: Final = {
    "UDDANNELSESHJAELP": "Uddannelseshjælp",
    "OVERGANGSYDELSE": "Selvforsørgelses- og hjemrejseydelse eller overgangsydelse",
}

DEFAULT_RULES: Final = Rules(
    target_group=Table([rule_of(*_TARGET_GROUP, first=RELEASE_NOTE)], endless=True),
    contact_groups=Table([
        Row(1, ContactGroup("Dagpengemodtagere")),
        Row(7, ContactGroup("Fleksjobvisiteret", closes_cv=True)),
        Row(12, ContactGroup("Modtager af uddannelseshjælp")),
        Row(28, ContactGroup("Uddannelsespålæg - Overgangsydelsesmodtager efter LAB")),
    ]),
    benefits=Table([
        *(Row(kind, label, last=_DAY_BEFORE_REFORM) for kind, label in _BECAME_KONTANTHJAELP.items()),
        *(Row(kind, _BENEFITS["KONTANTHJAELP"], first=KONTANTHJAELP_REFORM) for kind in _BECAME_KONTANTHJAELP),
        *(Row(kind, label) for kind, label in _BENEFITS.items()),
    ]),
    income_types=Table([
        *(Row(number, True) for number in _PAY_FOR_WORK),  # noqa: FBT003 - the value of a row
        *(Row(number, False) for number in _NO_PAY_FOR_WORK),  # noqa: FBT003
    ]),
)  # fmt: skip
