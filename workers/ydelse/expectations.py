"""Expectations of the Ydelsesregister: getYdelses of VisiteringOgStatus, published as far as it could be read."""

from typing import Final

from domain.rules import DEFAULT_RULES
from registerbro.conformance.assumptions import address, codes
from registerbro.conformance.expectations import Assumption, Evidence, Form, Mark, Operation, Verdict
from registerbro.conformance.json_shape import expected
from workers.dfdg_gateway.expectations import about_a_citizen
from workers.ydelse import wire
from workers.ydelse.client import fetch

_ITEM: Final = "ydelser.ydelse[]"
_TYPE, _JOB, _GROUP = (f"{_ITEM}.{name}" for name in ("ydelsestype", "samtidigJob", "kontaktgruppeType"))


def _by_group(evidence: Evidence) -> tuple[Verdict, str]:
    """An answer shows whether there are periods without a type, and never which benefit they are."""
    has_group = evidence.fields[_GROUP].is_found
    lacks_type = has_group and not evidence.fields[_TYPE].is_found
    told = "no period has a type: compare the contact group with the benefit that is paid" if lacks_type else ""
    return Verdict.NOT_SEEN, told


def _type_and_job(evidence: Evidence) -> tuple[Verdict, str]:
    """Both are optional, so that their absence is seen in an answer that has periods."""
    verdict, seen = codes("", _TYPE).decide(evidence)
    has_periods = any(
        one.is_looked_for and one.is_found for path, one in evidence.fields.items() if path.startswith(f"{_ITEM}.")
    )
    lacking = [path for path in (_TYPE, _JOB) if has_periods and not evidence.fields[path].is_found]
    wrong = [path for path in (_TYPE, _JOB) if evidence.fields[path].is_wrong]
    if lacking or wrong or verdict is Verdict.FAILS:
        told = [f"{path} is not there" for path in lacking] + [f"{path} is of another form" for path in wrong]
        return Verdict.FAILS, ", ".join([*told, *([seen] if seen else [])])
    return verdict, ""


OPERATIONS: Final[tuple[Operation, ...]] = (
    about_a_citizen(
        "getYdelses",
        fetch,
        expected(
            wire.YdelseSvar,
            Mark.PUBLISHED,
            marks={_TYPE: Mark.ASSUMED, _JOB: Mark.ASSUMED},
            codes={_TYPE: {row.key: row.value for row in DEFAULT_RULES.benefits.rows}},
            forms={_TYPE: Form.TEXT, _JOB: Form.BOOLEAN},
            unread={f"{_ITEM}.kyYdelsesIdentifier": Form.TEXT},
        ),
        address("the path of getYdelses is `/v1/ydelse`, as that of the operation that writes a benefit"),
        Assumption(
            "`ydelsestype` is the type, of ten values, and `samtidigJob` whether the citizen had a job meanwhile",
            _type_and_job,
        ),
        Assumption("the benefit of a period without a known type is told by its contact group: 1, 12 or 28", _by_group),
    ),
)
