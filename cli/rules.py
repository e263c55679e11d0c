"""`registerbro rules`: the rules in force by day, a file to begin from, and a dry run of a rules file."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.process import fail
from cli.session import AsJson, open_settings, with_services
from config.rules_file import RulesFileError, parse, to_text
from config.settings import SettingsError
from domain.dated_tables import Row
from domain.rules import DEFAULT_RULES, Rules
from domain.service_windows import danish_today
from domain.target_group import Qualifying
from registerbro.rules import CurrentRules
from registerbro.services import Services
from registerbro.terminal import Cell, remark, say, say_json, show, table

Day = Annotated[
    datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="A day in Denmark; today when none is named.")
]

cli = typer.Typer(
    invoke_without_command=True,
    help="Show the rules that the law changes: target group, contact groups, benefits, income types; try a rules file.",
)


@cli.callback()
def rules(context: typer.Context, day: Day = None, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Show the rules that the law changes: target group, contact groups, benefits, income types; try a rules file."""
    if context.invoked_subcommand is not None:
        return
    settings = open_settings()
    try:
        found = CurrentRules(settings).now()
    except SettingsError as error:
        fail(str(error))
    on, source = _date(day), str(settings.rules_file) if settings.rules_file else "default"
    if as_json:
        say_json({"source": source, "day": on.isoformat(), **_facts(found, on)})
        return
    say(f"rules: {source}; {_next_change(found, on)}")
    show(*_tables(found, on))


@cli.command()
def template() -> None:
    """Print the rules in force as a rules file, to begin one of your own from."""
    try:
        found = CurrentRules(open_settings()).now()
    except SettingsError as error:
        fail(str(error))
    for line in to_text(found).splitlines():
        say(line)


@cli.command()
def check(
    file: Annotated[Path, typer.Argument(help="The rules file to try.")],
    day: Day = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Try a rules file: whether it is accepted, and how many known citizens it takes in and out on a day.

    Nothing is changed. Exit status 1 when the file is refused.
    """
    try:
        tried = parse(file.read_bytes())
    except RulesFileError as error:
        fail(f"{file}:{error}", status=1)
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror}", status=1)
    settings = open_settings()
    try:
        in_force = CurrentRules(settings).now()
    except SettingsError as error:
        # Such a file is what an operator is about to replace.
        remark(f"registerbro: {error}: compared with the default rules instead")
        in_force = DEFAULT_RULES
    today, on = danish_today(), _date(day)

    async def count(services: Services) -> DryRun:
        return await _tried(services, in_force, tried, today, on)

    found = with_services(settings, count, f"{file} is accepted, but the citizens are not counted")
    if as_json:
        say_json({"file": str(file), "day": on.isoformat(), **found.facts()})
        return
    say(f"{file}: accepted; {_next_change(tried, on)}")
    for line in found.lines(on):
        say(line)


@dataclass(slots=True)
class DryRun:
    """Result of a dry run: how many citizens are in the target group, by which rules and on which day."""

    known: int = 0
    """Citizens whose contact groups are known."""
    not_known: int = 0
    today: int = 0
    """In the target group today, by the rules in force."""
    in_force: int = 0
    """In it on the day, by the rules in force."""
    tried: int = 0
    """In it on the day, by the file."""
    come_in: int = 0
    """In it on the day by the file, and not by the rules in force."""
    go_out: int = 0
    come_in_since_today: int = 0
    """In it on the day by the file, and not today."""
    go_out_since_today: int = 0
    unknown: Counter[int] = field(default_factory=Counter)
    """Contact group that the file does not know on the day → citizens who are in it."""

    def add(self, *, today: bool, in_force: bool, tried: bool, unknown: Sequence[int]) -> None:
        """Counts one citizen."""
        self.known += 1
        self.today += today
        self.in_force += in_force
        self.tried += tried
        self.come_in += tried and not in_force
        self.go_out += in_force and not tried
        self.come_in_since_today += tried and not today
        self.go_out_since_today += today and not tried
        self.unknown.update(unknown)

    def facts(self) -> dict[str, Any]:
        """The counts, for JSON."""
        return {
            "known": self.known,
            "not_known": self.not_known,
            "in_target_group": {"today": self.today, "on_day": self.in_force, "on_day_with_file": self.tried},
            "with_file": {"come_in": self.come_in, "go_out": self.go_out},
            "since_today": {"come_in": self.come_in_since_today, "go_out": self.go_out_since_today},
            "unknown_contact_groups": {str(group): count for group, count in sorted(self.unknown.items())},
        }

    def lines(self, day: date) -> Iterator[str]:
        """The counts, for a person."""
        yield f"known citizens: {self.known}; {self.not_known} more whose contact groups are not known"
        yield f"in the target group today: {self.today}"
        yield f"in the target group on {day}: {self.in_force} by the rules in force, {self.tried} with this file"
        yield f"with this file, on {day}: {self.come_in} come in, {self.go_out} go out"
        yield f"from today to {day}: {self.come_in_since_today} come in, {self.go_out_since_today} go out"
        for group, count in sorted(self.unknown.items()):
            yield f"contact group {group} is not known to this file on {day}: {count} citizens are in it"


async def _tried(services: Services, in_force: Rules, tried: Rules, today: date, day: date) -> DryRun:
    """Counts every known citizen once, however many ids they have. Raises REDIS_DOWN errors."""
    found, seen = DryRun(), set[str]()
    async for known in services.citizens.all_known():
        if known.cpr.digits in seen:
            continue
        if known.citizen is None:
            found.not_known += 1
            continue
        seen.add(known.cpr.digits)
        found.add(
            today=known.citizen.is_in_target_group(in_force, today),
            in_force=known.citizen.is_in_target_group(in_force, day),
            tried=known.citizen.is_in_target_group(tried, day),
            unknown=tried.unknown_contact_groups(known.citizen.contact_groups, day),
        )
    return found


def _date(day: datetime | None) -> date:
    return danish_today() if day is None else day.date()


def _turns(found: Rules) -> set[date]:
    tables = (found.target_group, found.contact_groups, found.benefits, found.income_types)
    return {day for one in tables for day in one.turns()}


def next_change(found: Rules, day: date) -> date | None:
    """The first day after `day` on which a rule begins or is no more; None when none is known."""
    return min((turn for turn in _turns(found) if turn > day), default=None)


def _next_change(found: Rules, day: date) -> str:
    turn = next_change(found, day)
    return f"no change after {day} is known" if turn is None else f"the next change after {day} is on {turn}"


def _facts(found: Rules, day: date) -> dict[str, Any]:
    return {
        "target_group": [
            {
                **_days(rule, day),
                "groups": [
                    {"code": one.group, "under_age": one.under_age, "education_order": one.education_order}
                    for one in rule.value
                ],
            }
            for rule in found.target_group.rows
        ],
        "contact_groups": [
            {"code": row.key, "name": row.value.name, "closes_cv": row.value.closes_cv, **_days(row, day)}
            for row in found.contact_groups.rows
        ],
        "benefits": [{"type": row.key, "label": row.value, **_days(row, day)} for row in found.benefits.rows],
        "income_types": [{"code": row.key, "work": row.value, **_days(row, day)} for row in found.income_types.rows],
    }


def _days(row: Row[Any, Any], day: date) -> dict[str, Any]:
    return {
        "from": row.first.isoformat() if row.first else None,
        "to": row.last.isoformat() if row.last else None,
        "in_force": row.holds_on(day),
    }


def _tables(found: Rules, day: date) -> Iterator[Any]:
    names = found.contact_groups
    yield table(
        ("contact group", "name", "condition", "from", "to"),
        (
            _row(
                rule, day, str(one.group), getattr(names.at(one.group, rule.first or day), "name", "–"), _condition(one)
            )
            for rule in found.target_group.rows
            for one in rule.value
        ),
        title=f"Target group (R1), on {day}",
    )
    yield table(
        ("code", "name", "closes the CV", "from", "to"),
        (_row(row, day, str(row.key), row.value.name, _yes(row.value.closes_cv)) for row in names.rows),
        title="Contact groups",
    )
    yield table(
        ("ydelsestype", "label", "from", "to"),
        (_row(row, day, row.key, row.value) for row in found.benefits.rows),
        title="Benefits, by the period's first day",
    )
    yield table(
        ("code", "pay for work", "from", "to"),
        (_row(row, day, str(row.key), _yes(row.value)) for row in found.income_types.rows),
        title="Income types (field 012), by the report's first day",
    )


def _row(row: Row[Any, Any], day: date, *cells: str) -> list[str | Cell]:
    style = "" if row.holds_on(day) else "dim"
    shown = (*cells, str(row.first or "–"), str(row.last or "–"))
    return [Cell((cell,), style) for cell in shown]


def _condition(one: Qualifying) -> str:
    conditions = [
        *([] if one.under_age is None else [f"under {one.under_age}"]),
        *(["uddannelsespålæg"] if one.education_order else []),
    ]
    return " and ".join(conditions) or "none"


def _yes(value: bool) -> str:  # noqa: FBT001 - a cell of a table
    return "yes" if value else "no"
