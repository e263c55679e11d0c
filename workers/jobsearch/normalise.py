"""Normalising of JobSearch's answers: the job titles of »Jeg søger job som« and their history (R10; §2.1, 3.4)."""

from collections.abc import Mapping
from datetime import date

from domain.overview import JobTitle, Normalised, UnknownValue
from registerbro.refresh.unknown_values import showable
from registerbro.upstreams.item_reading import left_out, readable
from workers.jobsearch.wire import JoboenskeHistorik, Joboensker, day


def normalise(current: Joboensker | None, history: JoboenskeHistorik | None, labels: Mapping[str, str]) -> Normalised:
    """The one section that the service fills; None, an unknown person, adds nothing to it.

    Newest first, and those without a date last. A title that stands in both answers with the same moment of creation is
    a current one. `labels` is concept → label; a concept without one is shown by its URI's last part, and named.
    """
    now = readable(current.joboensker if current else ())
    are_current = {(one.concept_uri_da, one.oprettelsestidspunkt) for one in now}
    then = [
        one
        for one in readable(history.joboensker if history else ())
        if (one.concept_uri_da, one.oprettelsestidspunkt) not in are_current
    ]
    found = [
        *((one.concept_uri_da, one.oprettelsestidspunkt, None) for one in now),
        *((one.concept_uri_da, one.oprettelsestidspunkt, one.ophoerstidspunkt) for one in then),
    ]
    titles = [JobTitle(title=_title(uri, labels), registered=day(start), ended=day(end)) for uri, start, end in found]
    without = dict.fromkeys(uri for uri, _, _ in found if uri not in labels)
    in_order = sorted(dict.fromkeys(titles), key=_newest_first)
    return Normalised(
        {"job_titles": in_order},
        tuple(UnknownValue("conceptUriDa", showable(last_part(uri))) for uri in without),
        (*left_out(current.joboensker if current else ()), *left_out(history.joboensker if history else ())),
    )


def last_part(uri: str) -> str:
    """What a URI ends with, behind its last slash or `#`; the URI itself when nothing is there."""
    return uri.rstrip("/#").replace("#", "/").rpartition("/")[2] or uri


def _title(uri: str, labels: Mapping[str, str]) -> str:
    return labels.get(uri) or last_part(uri)


def _newest_first(title: JobTitle) -> tuple[int, str, date]:
    """A date that was lost is never invented: titles without one come after those with one (§2.1)."""
    return (-title.registered.toordinal() if title.registered else 0, title.title, title.ended or date.max)
