"""Fields of an error in XML, such as a SOAP Fault: the texts of its elements, by local name.

A gateway in front of a JSON service may refuse in XML. Nothing but codes and numbers is taken from that, so what cannot
be read, or is longer than an error, has none. Neither a DOCTYPE nor an entity is resolved.
"""

from collections.abc import Iterable

from lxml import etree

from registerbro.upstreams.messages import Answer

TYPES = frozenset({"text/xml", "application/xml", "application/soap+xml", "application/problem+xml"})
MOST_BYTES = 64 * 1024
"""Longer than any error, and a stack trace with it."""
MOST_ELEMENTS = 2_000


def fields(answer: Answer) -> Iterable[tuple[str, str]]:
    """The elements without others in them, as (local name, text), in the answer's order; none when it is no XML."""
    body = answer.body
    # A document cannot declare an encoding that hides these from a search for bytes: the parser is told UTF-8.
    if len(body) > MOST_BYTES or body.count(b"<") > 2 * MOST_ELEMENTS or b"<!DOCTYPE" in body:
        return
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        document = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return
    for element in document.iter(etree.Element):
        if not len(element):
            yield etree.QName(element).localname, (element.text or "").strip()
