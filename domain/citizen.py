"""Citizen of a request: CPR number, contact groups and education order, as the portal's log-in knows them."""

from dataclasses import dataclass
from datetime import date, datetime, time

from domain.cpr import Cpr
from domain.rules import Rules
from domain.service_windows import DENMARK
from domain.target_group import in_target_group, leaves_target_group


@dataclass(frozen=True, slots=True)
class Citizen:
    """The citizen of a request, as the portal's log-in knows them; `contact_groups` are the numbers of R1."""

    cpr: Cpr
    contact_groups: frozenset[int]
    education_order: bool

    def is_in_target_group(self, rules: Rules, today: date) -> bool:
        """Whether R1 allows fetching this citizen's registers, and showing them the page, on that day in Denmark."""
        return in_target_group(
            rules.target_group,
            born=self.cpr.birth_date,
            contact_groups=self.contact_groups,
            education_order=self.education_order,
            today=today,
        )

    def leaves_target_group_at(self, rules: Rules, today: date) -> datetime | None:
        """The first Danish midnight after `today` at which the citizen leaves the target group; None for never."""
        day = leaves_target_group(
            rules.target_group,
            born=self.cpr.birth_date,
            contact_groups=self.contact_groups,
            education_order=self.education_order,
            today=today,
        )
        return None if day is None else datetime.combine(day, time(), DENMARK)
