"""Limits of an XML answer's markup, checked on its bytes before a parser makes a tree of them.

A tree takes a hundred bytes and more for each node. Work on a tree takes time by the square of an element's attributes,
or by its elements times the length of a namespace's name. A check of the bytes takes time by their number alone, and
keeps nothing.
"""

import re
from typing import Final

from registerbro.upstreams.errors import InvalidResponse, TooLong

NODES: Final = 250_000
"""Elements and attributes that an answer may have, and whatever else begins as one of them. 16 MiB of reports, the
longest answer that is taken, hold 220,000. With a text beside each they are 60 MiB as a tree."""
ATTRIBUTES: Final = 192
"""Attributes and namespace declarations of one element. The contract knows of four attributes, the service's schemas
name some thirty namespaces, and a serializer may declare all of them in one place, and again."""
LONGEST: Final = 4_000
"""Bytes of an attribute's value, such as a namespace's name: that is written out, or made part of a name, for each
element or attribute that is in the namespace."""

_AT_ONCE = 1 << 20
"""Bytes that are looked at, which takes some milliseconds, before other threads have their turn."""
_TAG_OF_TOO_MUCH = re.compile(
    rb"""<(?![!?/])[^<>"']*+(?:(?:"[^<"]{0,%d}+"|'[^<']{0,%d}+')[^<>"']*+){0,%d}+["']"""
    % (LONGEST, LONGEST, ATTRIBUTES)
)
"""As many values as are allowed, none of them too long, and then one more. No value holds a `<` (XML 1.0, 3.1), so that
every tag begins with one; each byte is looked at once."""


def check(body: bytes) -> None:
    """Raises TooLong for more than NODES, InvalidResponse for a tag that no answer has.

    `body` is UTF-8. In comments and sections there may be what looks like a tag, and counts as one.
    """
    if body.count(b"<") - body.count(b"</") + body.count(b"=") > NODES:
        raise TooLong(f"the answer has more than {NODES} elements and attributes")
    start = 0
    while start < len(body):
        # As far as the last tag that begins here, which the next part begins with; and with one tag at the least.
        end = body.rfind(b"<", start + 1, start + _AT_ONCE)
        end = end if end >= 0 else body.find(b"<", start + 1)
        end = end if end >= 0 else len(body)
        if _TAG_OF_TOO_MUCH.search(body, start, end):
            raise InvalidResponse(
                f"an element of the answer has more than {ATTRIBUTES} attributes, or one of more than {LONGEST} bytes"
            )
        start = end
