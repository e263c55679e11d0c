"""Assumptions: the usual ones of a register, and which parts of an answer decide them."""

from collections.abc import Iterable, Iterator

from registerbro.conformance.expectations import Assumption, Evidence, FieldSeen, Verdict

_NOT_THERE = frozenset({404, 405, 410, 501})
"""HTTP statuses of an address at which there is no such operation."""


def address(text: str) -> Assumption:
    """That an operation is where it is asked for: its method and its path."""

    def decide(evidence: Evidence) -> tuple[Verdict, str]:
        if evidence.redirects_to:
            return Verdict.FAILS, f"{evidence.status} to {evidence.redirects_to}"
        if evidence.status == 200 or (evidence.is_read and not evidence.is_told_by_status_alone):
            return Verdict.HOLDS, str(evidence.status)
        if evidence.status in _NOT_THERE and evidence.is_told_by_status_alone:
            return Verdict.FAILS, str(evidence.status)
        return Verdict.NOT_SEEN, "" if evidence.status is None else str(evidence.status)

    return Assumption(text, decide)


def fields(text: str, *paths: str, within: bool = True) -> Assumption:
    """That the fields at these paths, and those `within` them, are as they are expected."""

    def decide(evidence: Evidence) -> tuple[Verdict, str]:
        ours = [one for one in _below(evidence, paths) if within or one.path in paths]
        wrong = [one.path for one in ours if one.is_wrong]
        if wrong:
            return Verdict.FAILS, ", ".join(wrong)
        is_seen = any(one.is_found and not one.path.endswith("[]") for one in ours)
        return (Verdict.HOLDS if is_seen else Verdict.NOT_SEEN), ""

    return Assumption(text, decide)


def codes(text: str, *paths: str) -> Assumption:
    """That the lists of codes of the fields at these paths are whole."""

    def decide(evidence: Evidence) -> tuple[Verdict, str]:
        ours = [one for one in _below(evidence, paths) if one.path in paths]
        unknown = [f"{one.path}: {code}" for one in ours for code in sorted(one.unknown_codes)]
        if unknown:
            return Verdict.FAILS, ", ".join(unknown)
        return (Verdict.HOLDS if any(one.is_found for one in ours) else Verdict.NOT_SEEN), ""

    return Assumption(text, decide)


def error_body(text: str) -> Assumption:
    """That the code of an error is found in its body; an answer without an error does not say."""

    def decide(evidence: Evidence) -> tuple[Verdict, str]:
        if evidence.status in {None, 200} or evidence.root is None:
            return Verdict.NOT_SEEN, ""
        return (Verdict.FAILS if evidence.is_told_by_status_alone else Verdict.HOLDS), str(evidence.status)

    return Assumption(text, decide)


def _below(evidence: Evidence, paths: Iterable[str]) -> Iterator[FieldSeen]:
    for one in evidence.fields.values():
        if one.mark is not None and any(one.path == path or one.path.startswith(f"{path}.") for path in paths):
            yield one
