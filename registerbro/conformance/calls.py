"""Calls of a conformance check: makes one operation's call, and reports what was seen of it.

A report holds names, paths, forms, codes and facts of the connection; no value of a citizen, and no secret.
"""

import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

from config.settings import SettingsError
from domain.cpr import LOOKS_LIKE_CPR
from registerbro.conformance.comparison import compare, nothing_seen
from registerbro.conformance.expectations import (
    Asked,
    Decision,
    Evidence,
    FieldSeen,
    Form,
    Mark,
    Node,
    Operation,
    Result,
    SignatureSeen,
)
from registerbro.upstreams.errors import NotCalled, UpstreamError, WrongPerson
from registerbro.upstreams.observation import Observed, Tls, observed

_NEXT: Final = frozenset({"next", "nextlink", "@odata.nextlink", "nextpage", "nextpagelink", "continuationtoken"})
"""Names, in lower case, of fields that lead to the rest of an answer."""
_OAUTH_ERROR = re.compile(r'error="?([a-z_]{1,40})\b')
_OAUTH_SCOPE = re.compile(r'scope="([A-Za-z][A-Za-z ./:_-]{0,200})"')
"""Of a WWW-Authenticate header (RFC 6750, 3)."""
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}")
_LONG_NUMBER = re.compile(r"\d{4,}")
_SOMEBODYS_NUMBER = re.compile(r"\d{6,}")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something of a call that is not as it was expected; `mark` is that of the expectation."""

    mark: Mark
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """One operation's call: what was seen of it, and what that decides."""

    upstream: str
    operation: str
    not_made: str = ""
    """Why no call was made; "" when one was."""
    address: str = ""
    tls: Tls | None = None
    signature: SignatureSeen | None = None
    status: int | None = None
    seconds: float = 0.0
    size: int | None = None
    content_type: str = ""
    is_read: bool = False
    read: str = ""
    """The adapter's result: that there are data or none, or why it cannot use the answer."""
    result: Result = Result.NOTHING
    findings: Sequence[Finding] = ()
    fields: Sequence[FieldSeen] = ()
    decisions: Sequence[Decision] = ()
    is_anothers: bool = False
    """Whether anything in the answer is about another person, so that no part of it may be kept."""

    @property
    def is_left_out(self) -> bool:
        """Whether the call was left out on purpose, as a write is."""
        return bool(self.not_made) and self.is_read

    @property
    def is_conforming(self) -> bool:
        """Whether everything published that could be seen holds, and the adapter can use the answer."""
        return self.is_read and not any(one.mark is Mark.PUBLISHED for one in self.findings)


class Defect(UpstreamError):
    """The adapter met an answer that it has a defect with. The message says which and where, and nothing of it."""

    reason = "defect"

    def __init__(self, defect: Exception) -> None:
        *_, last = traceback.extract_tb(defect.__traceback__)
        super().__init__(f"{type(defect).__name__} at {Path(last.filename).name}:{last.lineno}")


@dataclass(frozen=True, slots=True)
class Made:
    """A report, with the exchange that it is about; None where there was none, or its answer cannot be parsed."""

    report: Report
    exchange: "Exchanged | None" = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A question and its answer, as they were sent."""

    seen: Observed


async def make(upstream: str, operation: Operation, asked: Asked) -> Made:
    """Makes the operation's call, once."""
    error: UpstreamError | None = None
    result: object = None
    with observed() as calls:
        try:
            result = await operation.call(asked)
        except SettingsError as missing:
            return Made(Report(upstream, operation.name, not_made=str(missing)))
        except UpstreamError as failed:
            error = failed
        except Exception as defect:  # noqa: BLE001 - what an unforeseen answer does to the adapter is what is looked for
            error = Defect(defect)
    if isinstance(error, NotCalled) or not calls:
        return Made(Report(upstream, operation.name, not_made=f"{error.reason}: {error}" if error else "no call"))
    seen = calls[-1]
    answer = seen.answer
    root = operation.shape(answer) if answer else None
    cpr = asked.cpr if operation.is_about_a_citizen else None
    fields = compare(operation.expected, root, cpr) if root and answer and answer.status < 300 else None
    evidence = Evidence(
        seen.status, error, _redirect(seen), fields or nothing_seen(operation.expected), answer, root, seen.question
    )
    signature = operation.signature(asked, answer) if operation.signature and answer else None
    report = Report(
        upstream,
        operation.name,
        address=shown_address(seen.url),
        tls=seen.tls,
        signature=signature,
        status=seen.status,
        seconds=round(seen.seconds, 3),
        size=len(answer.body) if answer else None,
        content_type=shown_media_type(answer.content_type) if answer else "",
        is_read=evidence.is_read,
        read=_said(error, result),
        result=Result.NOTHING if error else result_of(result),
        findings=tuple(_findings(evidence, seen, signature)),
        fields=tuple(evidence.fields.values()),
        decisions=tuple(Decision(one.text, *one.decide(evidence)) for one in operation.assumptions),
        is_anothers=isinstance(error, WrongPerson) or any(one.is_anothers for one in evidence.fields.values()),
    )
    can_be_parsed = root is not None or (answer is not None and not answer.body.strip())
    return Made(report, Exchanged(seen) if can_be_parsed else None)


def left_out(upstream: str, operation: Operation, why: str) -> Made:
    """The report of a call that was left out on purpose."""
    return Made(Report(upstream, operation.name, not_made=why, is_read=True))


def shown_address(url: str) -> str:
    """Scheme, host and path, as far as no long number stands in it; user, query and fragment may be secrets."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that is none"
    path = _LONG_NUMBER.sub("…", LOOKS_LIKE_CPR.sub("…", parts.path))
    return f"{parts.scheme}://{parts.hostname or ''}{port}{path}"


def shown_media_type(media_type: str) -> str:
    """A media type; »?« when it is none in form, for a header may hold anything."""
    is_one = _MEDIA_TYPE.fullmatch(media_type) and not _LONG_NUMBER.search(media_type)
    return media_type if is_one or not media_type else "?"


def result_of(read: object) -> Result:
    """The result that an operation's call has returned."""
    return Result.NO_DATA if read is None else Result.DATA


def _said(error: UpstreamError | None, result: object) -> str:
    if error is None:
        return f"the adapter reads {result_of(result)}"
    # A code that an error names may be a number of eight digits.
    return f"the adapter cannot use it: {error.reason}: {_SOMEBODYS_NUMBER.sub('…', str(error))}"


def _redirect(seen: Observed) -> str:
    if seen.status is None or not 300 <= seen.status < 400:
        return ""
    location = seen.header("Location")
    if not location:
        return "an address that it does not name"
    try:
        return shown_address(urljoin(seen.url, location))
    except ValueError:
        return "an address that is none"


def _findings(evidence: Evidence, seen: Observed, signature: SignatureSeen | None) -> Iterator[Finding]:
    yield from _of_the_address(evidence, seen)
    yield from _of_the_token(evidence, seen)
    if isinstance(evidence.error, WrongPerson):
        yield Finding(Mark.PUBLISHED, "person", "the answer is about another person: all of it is discarded (R7)")
    if signature and signature.is_verified is False:
        yield Finding(Mark.PUBLISHED, "signature", signature.detail)
    if seen.tls and seen.tls.until and seen.tls.until <= datetime.now(UTC):
        yield Finding(Mark.PUBLISHED, "tls", "the certificate has expired")
    for one in evidence.fields.values():
        for what in problems(one):
            # What the contract leaves open, as a further code, takes nothing from it.
            mark = one.mark if one.mark and one.is_wrong else None
            yield Finding(Mark.PUBLISHED if one.is_anothers else mark or Mark.ASSUMED, one.path, what)
    if evidence.root is not None:
        for path in _next_links(evidence.root, ""):
            yield Finding(Mark.PUBLISHED, path, "leads to a next page, and the contract has none: this is not all")
    if 'rel="next"' in seen.header("Link").lower() or "rel=next" in seen.header("Link").lower():
        yield Finding(Mark.PUBLISHED, "header Link", "leads to a next page, and the contract has none: this is not all")


def problems(one: FieldSeen) -> Iterator[str]:
    """What is not as expected of a field, each in a few words."""
    if one.is_missing:
        yield "is missing" if not one.is_found else "is missing in some"
    if one.other_forms:
        yield f"is {' or '.join(sorted(one.other_forms))} where {one.form} is expected"
    if one.other_names:
        yield f"is in another namespace: {', '.join(sorted(one.other_names))}"
    if one.unknown_codes:
        yield f"has an unknown code: {', '.join(sorted(one.unknown_codes))}"
    if one.is_anothers:
        yield "is the number of another person, or of nobody"


def _of_the_address(evidence: Evidence, seen: Observed) -> Iterator[Finding]:
    """A redirect is not followed; where it differs by a slash alone, that is told as such."""
    ours = shown_address(seen.url)
    if evidence.redirects_to:
        if evidence.redirects_to.rstrip("/") == ours.rstrip("/"):
            with_or_without = "with" if evidence.redirects_to.endswith("/") else "without"
            what = f"trailing slash: HTTP {evidence.status} to the same address {with_or_without} a slash at its end"
        else:
            what = f"redirect: HTTP {evidence.status} to {evidence.redirects_to}"
        yield Finding(Mark.PUBLISHED, "address", what)
    elif evidence.status == 404 and evidence.is_told_by_status_alone and ours.endswith("/"):
        yield Finding(Mark.PUBLISHED, "address", "trailing slash: HTTP 404, and the address ends with a slash")


def _of_the_token(evidence: Evidence, seen: Observed) -> Iterator[Finding]:
    if evidence.status not in {401, 403}:
        return
    challenge = seen.header("WWW-Authenticate")
    error, scope = _OAUTH_ERROR.search(challenge), _OAUTH_SCOPE.search(challenge)
    named = [f": {error[1]}" if error else "", f" (needs the scope {scope[1]})" if scope else ""]
    if not error and evidence.root is not None:
        texts = {part.text for part in evidence.root.parts if part.name == "error" and part.form is Form.TEXT}
        named[0] = next((f": {text}" for text in sorted(texts) if re.fullmatch(r"[a-z_]{1,40}", text)), "")
    yield Finding(Mark.PUBLISHED, "token", f"HTTP {evidence.status}{named[0]}{named[1]}")


def _next_links(node: Node, path: str) -> Iterator[str]:
    """Paths of what leads to a next page; each once."""
    found: dict[str, None] = {}
    for part in node.parts:
        is_item = node.form is Form.LIST
        here = path if is_item else f"{path}.{part.name}".removeprefix(".")
        if part.name.casefold() in _NEXT and not is_item and part.form is not Form.NULL and (part.text or part.parts):
            found[here] = None
        else:
            found.update(dict.fromkeys(_next_links(part, here)))
    yield from found
