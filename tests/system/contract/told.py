"""What a page says of sections whose data cannot be fetched."""

from domain.overview import UNAVAILABLE_TEXT
from registerbro.pages.reader import SectionState


def assert_told(sections):
    """Every one of the sections says R8's text, and nothing else."""
    assert {view.state for view in sections.values()} == {SectionState.UNAVAILABLE}
    assert {view.message for view in sections.values()} == {UNAVAILABLE_TEXT}
    assert all(view.items == [] and view.retry_after >= 1 for view in sections.values())
