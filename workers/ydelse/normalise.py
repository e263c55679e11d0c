"""What the Ydelsesregister's answer comes to on the page: the benefits of overview 3 (R2, R4, R5)."""

from workers.domain.overview import Benefit, Normalised
from workers.domain.periods import BENEFIT_GAP, hull, merge, newest_first
from workers.vocabulary import known_only, normalised
from workers.ydelse.wire import Ydelse, YdelseSvar

LABELS = {
    "UDDANNELSESHJAELP": "Uddannelseshjælp",
    "KONTANTHJAELP": "Kontanthjælp",
    "DAGPENGE": "Arbejdsløshedsdagpenge",
    "SYGEDAGPENGE": "Sygedagpenge",
    "OVERGANGSYDELSE": "Selvforsørgelses- og hjemrejseydelse eller overgangsydelse",
    "RESSOURCEFORLOEB": "Ressourceforløbsydelse",
    "REVALIDERING": "Revalideringsydelse",
    "LEDIGHEDSYDELSE": "Ledighedsydelse",
    "JOBAFKLARING": "Jobafklaringsydelse",
    "BARSELSDAGPENGE": "Barselsdagpenge",
}
"""`ydelsestype` → what citizens read: every type that the contract knows, each with a label of its own."""


def normalise(answer: YdelseSvar | None) -> Normalised:
    """The one section that the register fills; None, an unknown person, leaves it empty.

    Periods of the same type with less than a month between them are one (R4), newest first (R2). Raises
    InvalidResponse when nothing is left to show but what the contract does not know (R8).
    """
    known, unknown = known_only(answer.ydelser.ydelse if answer else (), {"ydelsestype": LABELS})
    benefits = merge(map(_benefit, known), BENEFIT_GAP, _together, per=lambda benefit: benefit.type)
    in_order = newest_first(
        benefits,
        start=lambda benefit: benefit.start,
        end=lambda benefit: benefit.end,
        name=lambda benefit: benefit.type,
    )
    return normalised({"benefits": in_order}, unknown)


def _benefit(ydelse: Ydelse) -> Benefit:
    return Benefit(
        type=LABELS[ydelse.ydelsestype],
        start=ydelse.startdato,
        end=ydelse.slutdato,
        concurrent_job=ydelse.samtidig_job,
    )


def _together(earlier: Benefit, later: Benefit) -> Benefit:
    """One period of two: »samtidig i job« when either was (R4)."""
    span = hull(earlier, later)
    return Benefit(
        type=earlier.type,
        start=span.start,
        end=span.end,
        concurrent_job=earlier.concurrent_job or later.concurrent_job,
    )
