"""Reports to operators about what an answer or a token held: unknown values, and items that were left out.

Each is counted, named in the log, and recorded for `doctor` and `status`; none of it holds anything of a citizen.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date, timedelta

import structlog

from domain.citizen import Citizen
from domain.overview import LeftOut, UnknownValue
from registerbro.rules import CurrentRules
from registerbro.services import Services
from registerbro.storage.coordination import partial_answers, unknown_values
from registerbro.telemetry import metrics

log = structlog.get_logger()

UNKNOWN_VALUES_NAMED = 10
"""How many of an answer's unknown values are named in the log: as many as a register may add at a time, and more."""
PLACES_NAMED = 3
"""How many places of each kind of item that was left out are named in the log: enough to look one up."""
CONTACT_GROUP = "contact_group"
"""The field of a token's contact groups in metric and log."""
RECORDED_AGAIN_AFTER = timedelta(hours=1)
"""How long an unknown contact group counts as recorded in a process: far shorter than the record is kept."""
LARGEST_GROUP = 9_999
"""The largest number that is named: a larger one is no contact group, and could be a number of a person."""
MOST_NAMED = 1_000
"""Unknown values that a process remembers as named or recorded; then it forgets all, and names them once more."""


async def report_unknown_values(services: Services, register: str, unknown: Sequence[UnknownValue]) -> None:
    """Counts all of them, and names each once in a process: an answer may hold thousands, and others the same."""
    if not unknown:
        return
    for one in unknown:
        metrics.UNKNOWN_VALUES.labels(register, one.field).inc()
    known = services.named_values
    new = [one for one in dict.fromkeys(unknown) if (register, one.field, one.value) not in known]
    for one in new[:UNKNOWN_VALUES_NAMED]:
        log.warning("unknown_value_left_out", register=register, field=one.field, value=one.value)
        _remember(known, (register, one.field, one.value))
    if more := len(new[UNKNOWN_VALUES_NAMED:]):
        log.warning("unknown_values_left_out", register=register, more=more)
    counts = Counter(f"{one.field} {one.value}" for one in unknown)
    await unknown_values.record(services.coordination, register, counts)


async def report_left_out(services: Services, register: str, citizen_id: str, left_out: Sequence[LeftOut]) -> None:
    """Counts all of them, and has the register be partial; one line for an answer, which may hold thousands."""
    if not left_out:
        return
    places: defaultdict[str, list[str]] = defaultdict(list)
    for item in left_out:
        places[item.kind].append(item.place)
    kinds = {kind: len(found) for kind, found in places.items()}
    for kind, count in kinds.items():
        metrics.ITEMS_LEFT_OUT.labels(register, kind).inc(count)
    log.warning(
        "items_left_out",
        register=register,
        citizen=citizen_id,
        number=len(left_out),
        kinds=kinds,
        places={kind: found[:PLACES_NAMED] for kind, found in places.items()},
    )
    await partial_answers.record(services.coordination, register, kinds)


class UnknownContactGroups:
    """Reporter of the contact groups in tokens that no table knows on the day: such a citizen may be shown no page.

    Each request is counted; a value is named in the log once per process, and recorded again after an hour. It delays
    no request: recording goes on behind it.
    """

    def __init__(self, services: Services, rules: CurrentRules) -> None:
        self._services = services
        self._rules = rules
        self._record_at: dict[str, float] = {}
        self._recording: set[asyncio.Task[None]] = set()

    def report(self, citizen: Citizen, today: date) -> None:
        """Reports the token's unknown contact groups, if it has any."""
        strange = self._rules.now().unknown_contact_groups(citizen.contact_groups, today)
        if not strange:
            return
        metrics.UNKNOWN_VALUES.labels(unknown_values.PORTAL, CONTACT_GROUP).inc(len(strange))
        values = {str(group) if 0 <= group <= LARGEST_GROUP else "?" for group in strange}
        named = self._services.named_values
        for value in sorted(values):
            if (of_token := (unknown_values.PORTAL, CONTACT_GROUP, value)) not in named:
                log.warning("unknown_contact_group", value=value)
                _remember(named, of_token)
        now = time.monotonic()
        due = sorted(value for value in values if self._record_at.get(value, now) <= now)
        if len(self._record_at) >= MOST_NAMED:
            self._record_at.clear()
        for value in due:
            self._record_at[value] = now + RECORDED_AGAIN_AFTER.total_seconds()
        if due:
            counts = {f"{CONTACT_GROUP} {value}": 1 for value in due}
            task = asyncio.create_task(
                unknown_values.record(self._services.coordination, unknown_values.PORTAL, counts)
            )
            self._recording.add(task)
            task.add_done_callback(self._recording.discard)

    async def close(self) -> None:
        """Waits for what is being recorded."""
        if self._recording:
            await asyncio.wait(self._recording, timeout=1)


def _remember(named: set[tuple[str, str, str]], value: tuple[str, str, str]) -> None:
    if len(named) >= MOST_NAMED:
        named.clear()
    named.add(value)
