"""Fields of an error in XML: those of its leaves, and none of what cannot be read or is no error."""

import pytest

from registerbro.upstreams.messages import Answer
from registerbro.upstreams.xml_errors import MOST_BYTES, MOST_ELEMENTS, fields


def found(body: bytes) -> list[tuple[str, str]]:
    return list(fields(Answer(500, "text/xml", "utf-8", body)))


def test_leaves_are_told_by_their_local_names_in_order() -> None:
    body = '<s:a xmlns:s="urn:s"><b xmlns="urn:t"> 1 </b><c><s:d>æ</s:d></c><!-- x --><?y z?><e/></s:a>'.encode()
    assert found(body) == [("b", "1"), ("d", "æ"), ("e", "")]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", b"<a>", b"<a></b>", b"\xff\xfe", b"<a>\xff</a>", b"<a>\x00</a>", b"<a>&x;",
        b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><a>&x;</a>",
        '<?xml version="1.0" encoding="utf-16"?><a>1</a>'.encode("utf-16"),
        b"<a>" * 1_000 + b"</a>" * 1_000,
        b"<r>" + b"<a>1</a>" * (MOST_ELEMENTS + 1) + b"</r>",
        b"<a>1</a>" + b" " * MOST_BYTES,
    ],
    ids=lambda body: body[:30].decode(errors="replace"),
)  # fmt: skip
def test_what_cannot_be_read_has_no_fields(body: bytes) -> None:
    assert found(body) == []


def test_the_longest_that_is_read() -> None:
    many = b"<r>" + b"<a>1</a>" * (MOST_ELEMENTS - 1) + b"</r>"
    assert len(found(many)) == MOST_ELEMENTS - 1
    assert found(b"<a>1</a>" + b" " * (MOST_BYTES - 8)) == [("a", "1")]
