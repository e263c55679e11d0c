"""Geometry of the timeline: shapes of spans, room for labels, and years, as shares of the picture's width in percent.

With shares one picture fits a telephone, a desktop and paper, and no text in it is scaled. The room for a label is
counted for the narrowest picture in which it is shown, so that in a wider one nothing lies over anything else either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from demo.reference_portal.timeline_layout import WHOLE, Axis, Extent, Span

NARROW_PX, WIDE_PX = 280, 690
"""Width of the picture on the narrowest screen (320 px), and where a screen begins to be wide (768 px)."""
LABEL_SHARE = 50.0
"""How much of the width a label may take: where there is no room for it to the right, there is to the left."""
LETTER_PX, CAPITAL_PX, WIDEST_PX = 7.4, 9.2, 13.0
"""Room for a character of a label, at 13 px; what takes more than that is cut off in the picture."""
WIDEST = frozenset("MWmwÆæ@%…—")
AT_LEAST_PX = 24
"""Width of what can be pointed at."""
APART_PX = 5
TAIL = 5.0
"""Length of an end that fades, in percent, where nothing tells how far it goes."""
YEAR_PX = 42
"""Room for the number of a year."""
STEPS = (1, 2, 5, 10, 20, 50, 100)
GRID_OF_EVERY_YEAR_UP_TO = 30


@dataclass(frozen=True, slots=True)
class Stretch:
    """Piece of the axis, in percent."""

    left: float
    right: float

    @property
    def width(self) -> float:
        """Its length."""
        return round(self.right - self.left, 4)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a span is drawn: `solid` where it was, `hatched` where a day of it was, `faded` where it may have been.

    `edges` are the days that are known, at which it begins or ends.
    """

    solid: Stretch | None = None
    hatched: Stretch | None = None
    faded: Stretch | None = None
    fades_in: bool = False
    edges: tuple[float, ...] = ()

    @property
    def whole(self) -> Stretch:
        """From its left to its right."""
        parts = [part for part in (self.solid, self.hatched, self.faded) if part]
        return Stretch(min(part.left for part in parts), max(part.right for part in parts))


@dataclass(frozen=True, slots=True)
class Slot:
    """All that a bar takes of its row with its label, which begins with the bar, or, `at_end`, ends with it."""

    left: float
    right: float
    at_end: bool

    @property
    def width(self) -> float:
        """Its length."""
        return round(self.right - self.left, 4)


@dataclass(frozen=True, slots=True)
class Year:
    """A year's beginning; `narrow` and `wide` say on which screens its number is written."""

    year: int
    at: float
    narrow: bool
    wide: bool


def shape(span: Span, axis: Axis) -> Shape:
    """How a span is drawn. A day that the axis does not reach has no edge."""
    left, right = rounded(axis.start_of(span.first)), rounded(axis.end_of(span.last_known))
    edges = _edges(span, axis)
    match span.extent:
        case Extent.DAYS:
            return Shape(solid=Stretch(left, right), edges=edges)
        case Extent.YEAR:
            return Shape(hatched=Stretch(left, right))
        case Extent.LOST_END:
            return Shape(solid=Stretch(left, right), faded=Stretch(right, min(WHOLE, right + TAIL)), edges=edges)
        case Extent.LOST_START:
            faded = Stretch(max(0.0, left - TAIL), left)
            return Shape(solid=Stretch(left, right), faded=faded, fades_in=True, edges=edges)
        case Extent.OPEN_END:
            until = max(right, rounded(axis.end_of(axis.today)))
            return Shape(solid=Stretch(left, until), faded=Stretch(until, WHOLE), edges=edges)
        case Extent.SINCE_YEAR:
            until = max(right, rounded(axis.end_of(axis.today)))
            # The year may be before the axis, and the whole of today's.
            solid = Stretch(right, until) if until > right else None
            hatched = Stretch(left, right) if right > left else None
            return Shape(solid=solid, hatched=hatched, faded=Stretch(until, WHOLE))


def _edges(span: Span, axis: Axis) -> tuple[float, ...]:
    begins = span.extent in {Extent.DAYS, Extent.OPEN_END, Extent.LOST_END} and span.first >= axis.first
    ends = span.extent in {Extent.DAYS, Extent.LOST_START} and span.last_known <= axis.last
    at: Sequence[float] = [axis.start_of(span.first)] * begins + [axis.end_of(span.last_known)] * ends
    return tuple(rounded(one) for one in at)


def slot_of(one: Shape, label: str, short: str) -> Slot:
    """The slot on whichever screen that is most. A label begins with its bar, unless it has no room to the right."""
    whole = one.whole
    taken = max(room_for(label, WIDE_PX), room_for(short, NARROW_PX), WHOLE * AT_LEAST_PX / NARROW_PX)
    if whole.left + taken > WHOLE:
        return Slot(rounded(min(whole.left, whole.right - taken)), whole.right, at_end=True)
    return Slot(whole.left, rounded(max(whole.right, whole.left + taken)), at_end=False)


def room_for(text: str, width_px: int) -> float:
    """Share of a picture of that width which a label takes, in percent."""
    return WHOLE * sum(_width(one) for one in text) / width_px


def _width(character: str) -> float:
    if character in WIDEST:
        return WIDEST_PX
    return CAPITAL_PX if character.isupper() or not character.isascii() else LETTER_PX


def shortened(text: str, width_px: int) -> str:
    """A label, cut where a picture of that width has no room for all of it."""
    if room_for(text, width_px) <= LABEL_SHARE:
        return text
    while text and room_for(f"{text}…", width_px) > LABEL_SHARE:
        text = text[:-1]
    return f"{text.rstrip()}…"


def years_of(axis: Axis) -> tuple[Year, ...]:
    """The years with a line: each, or of a long time those that a wide screen has room to number."""
    years = axis.years()
    narrow, wide = _step(len(years), NARROW_PX), _step(len(years), WIDE_PX)

    def numbered(year: int, step: int, width_px: int) -> bool:
        room_px = (WHOLE - axis.start_of(date(year, 1, 1))) * width_px / WHOLE
        return year % step == 0 and room_px >= YEAR_PX

    return tuple(
        Year(
            year,
            rounded(axis.start_of(date(year, 1, 1))),
            narrow=numbered(year, narrow, NARROW_PX),
            wide=numbered(year, wide, WIDE_PX),
        )
        for year in years
        if len(years) <= GRID_OF_EVERY_YEAR_UP_TO or year % wide == 0 or year % narrow == 0
    )


def _step(years: int, width_px: int) -> int:
    return next(step for step in STEPS if years / step * YEAR_PX <= width_px)


def rounded(share: float) -> float:
    """To less than a tenth of a day on the longest axis."""
    return round(share, 4)
