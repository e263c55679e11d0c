"""Structure check of a signed answer: its size, the place of each part of its signature, and what that covers.

Every part is looked up in its one place before anything is verified, so that nothing beside the signed elements is
believed (signature wrapping).
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from lxml import etree
from lxml.etree import _Element as Element

from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.ws_security.canonical_form import prefixes_of
from registerbro.upstreams.ws_security.vocabulary import (
    DS,
    ID,
    SOAP,
    WSSE,
    WSU,
    Family,
    base64_of,
    child,
    children,
    family_of,
    local_name,
)
from registerbro.upstreams.xml_extent import NODES

ATTRIBUTES: Final = 64
"""Attributes that one element may have: the contract knows of four at the most, and exclusive canonicalisation takes
time by their square."""

NAMESPACES: Final = 128
"""Namespace declarations that may be in scope at once, repeated ones too: the service's schemas name about thirty, and
a serializer may declare them at the top, and some again on the way down. Canonicalising takes time by their square,
and by their number for each attribute."""

_REFERENCED = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
"""Form of a `wsu:Id`: of an NCName's characters, those that stand for themselves in a URI too."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A signature's reference to one element: its digest, canonicalisation and hash function."""

    element: Element
    prefixes: list[str]
    family: Family
    digest: bytes


@dataclass(frozen=True, slots=True)
class SignedParts:
    """The parts of a signature, each from its one place, and what they cover."""

    timestamp: Element
    token: Element
    info: Element
    """The SignedInfo."""
    value: Element
    """The SignatureValue."""
    references: list[Reference]


def signed_parts(envelope: Element, accepts: frozenset[str]) -> SignedParts:
    """The parts of an answer's signature, once its structure is known to be as it must be.

    `accepts` are the names of the algorithm families that the answer may be signed with. Raises InvalidResponse.
    """
    _check_extent(envelope)
    _check_namespaces(envelope)
    # Exactly one of each part, in its expected place: this prevents signature wrapping.
    header = child(envelope, f"{SOAP}Header")
    security = child(header, f"{WSSE}Security")
    body, timestamp = child(envelope, f"{SOAP}Body"), child(security, f"{WSU}Timestamp")
    signature, token = child(security, f"{DS}Signature"), child(security, f"{WSSE}BinarySecurityToken")
    places = (header, security, body, timestamp, signature, token)
    for tag, count in Counter(element.tag for element in envelope.iter(*(one.tag for one in places))).items():
        if count != 1:
            raise InvalidResponse(f"{local_name(tag)} is there twice")
    info, value, key_info = children(signature, "SignedInfo", "SignatureValue", "KeyInfo")
    _check_key_info(key_info, token)
    return SignedParts(timestamp, token, info, value, _references(info, (body, timestamp), token, accepts))


def _check_extent(envelope: Element) -> None:
    """Checks that the answer is not too large, holds elements and text alone, and no id twice.

    A reference means one element, whatever namespace its id is of. Comments and instructions are left out when an
    element is canonicalised, but may cut its text in two for a reader.
    """
    ids: set[str] = set()
    left = NODES
    for node in envelope.iter():
        if not isinstance(node.tag, str):
            raise InvalidResponse("the answer holds a comment, an instruction or an entity")
        # Not `items()`, which takes time by the square of their number.
        names = node.keys()
        left -= 1 + len(names)
        if left < 0:
            raise InvalidResponse(f"the answer has more than {NODES} elements and attributes")
        if len(names) > ATTRIBUTES:
            raise InvalidResponse(f"an element of the answer has more than {ATTRIBUTES} attributes")
        for name in names:
            if local_name(str(name)).lower() == "id":
                value = str(node.get(name))
                if value in ids:
                    raise InvalidResponse("the answer has an id twice")
                ids.add(value)


def _check_namespaces(envelope: Element) -> None:
    in_scope = 0
    for event, _ in etree.iterwalk(envelope, events=("start-ns", "end-ns")):
        in_scope += 1 if event == "start-ns" else -1
        if in_scope > NAMESPACES:
            raise InvalidResponse(f"the answer declares more than {NAMESPACES} namespaces at once")


def _check_key_info(key_info: Element, token: Element) -> None:
    """The signature names the token that is there, and no key or certificate beside it."""
    (named,) = children(key_info, "SecurityTokenReference", of=WSSE)
    (reference,) = children(named, "Reference", of=WSSE)
    if reference.get("URI") != _uri(token):
        raise InvalidResponse("the answer's signature names another token than the one that is there")


def _uri(element: Element) -> str:
    """The URI by which a reference names the element: its `wsu:Id`. Raises InvalidResponse when it has none."""
    value = element.get(ID)
    if value is None or not _REFERENCED.fullmatch(value):
        raise InvalidResponse(f"the answer's {local_name(element.tag)} has no id by which a signature could name it")
    return f"#{value}"


def _references(info: Element, must: tuple[Element, ...], may: Element, accepts: frozenset[str]) -> list[Reference]:
    """The signed elements: `must`, and perhaps `may`, and no others. Raises InvalidResponse."""
    named = info.findall(f"{DS}Reference")
    children(info, "CanonicalizationMethod", "SignatureMethod", *["Reference"] * len(named))
    by_uri = {reference.get("URI"): reference for reference in named}
    wanted = {_uri(element): element for element in must}
    allowed = wanted | {_uri(may): may}
    if len(by_uri) != len(named) or not wanted.keys() <= by_uri.keys() <= allowed.keys():
        raise InvalidResponse("the answer's signature is not over Body and Timestamp, and at most the token")
    return [_reference(by_uri[uri], element, accepts) for uri, element in allowed.items() if uri in by_uri]


def _reference(reference: Element, element: Element, accepts: frozenset[str]) -> Reference:
    transforms, method, value = children(reference, "Transforms", "DigestMethod", "DigestValue")
    (transform,) = children(transforms, "Transform")
    family = family_of(method, accepts)
    if method.get("Algorithm") != family.digest.value:
        raise InvalidResponse("the answer has a digest of no known algorithm")
    return Reference(element, prefixes_of(transform), family, base64_of(value))
