"""XML names of eIndkomst's messages, and access to elements by them."""

from typing import Final

from lxml.etree import _Element as Element

from registerbro.upstreams.errors import InvalidResponse

SOAP: Final = "{http://schemas.xmlsoap.org/soap/envelope/}"
EINDKOMST: Final = "{http://rep.oio.dk/skat.dk/eindkomst/}"
KONTEKST: Final = "{http://rep.oio.dk/skat.dk/basis/kontekst/xml/schemas/2006/09/01/}"
VIRKSOMHED: Final = "{http://rep.oio.dk/skat.dk/motor/class/virksomhed/xml/schemas/20080401/}"
CPR: Final = "{http://rep.oio.dk/cpr.dk/xml/schemas/core/2005/03/18/}"
CLASS: Final = "{{http://rep.oio.dk/skat.dk/eindkomst/class/{}/xml/schemas/20071202/}}"
"""The namespaces; `CLASS` is that of a class of the register's own model, by its name."""

PERSON_IDENTIFIER: Final = "PersonCivilRegistrationIdentifier"


def down(element: Element, *tags: str) -> Element:
    """The descendant at the end of these tags. Raises InvalidResponse, naming the first that is missing."""
    for tag in tags:
        found = child(element, tag)
        if found is None:
            raise InvalidResponse(f"{tag.rpartition('}')[2]} is missing")
        element = found
    return element


def descendant(element: Element, *tags: str) -> Element | None:
    """The descendant at the end of these tags; None when there is none."""
    at: Element | None = element
    for tag in tags:
        if at is None:
            return None
        at = child(at, tag)
    return at


def child(element: Element, tag: str) -> Element | None:
    """The first child with this tag; None when there is none."""
    return next(element.iterchildren(tag), None)


def text_of(element: Element | None) -> str | None:
    """An element's text, without white space around it; "" when it holds elements too, None without an element."""
    if element is None:
        return None
    return "" if len(element) else (element.text or "").strip()
