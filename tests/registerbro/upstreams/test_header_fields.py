"""Header fields mean what HTTP says they do, whichever Python reads them."""

import email
import email.message
import email.utils
import time
from datetime import UTC, datetime, timedelta

import pytest

from registerbro.upstreams import errors
from registerbro.upstreams.header_fields import UNREADABLE, content_type, http_date

NOW = datetime(2023, 3, 13, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_mail(monkeypatch):
    """Nothing of this is asked of Python's own reader of mail."""

    def asked(*_, **__):
        raise AssertionError("it depends on the Python")

    for name in ("get_content_type", "get_param", "get_params"):
        monkeypatch.setattr(email.message.Message, name, asked)
    for name in ("parsedate_to_datetime", "parsedate_tz", "parsedate", "decode_params"):
        monkeypatch.setattr(email.utils, name, asked)


JSON = ("application/json", "utf-8")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("application/json", JSON),
        ("Application/JSON", JSON),
        (" application/json ", JSON),
        ("application/json;charset=UTF-8", ("application/json", "UTF-8")),
        ('text/xml; CharSet="latin-1"', ("text/xml", "latin-1")),
        (r'text/xml; charset="ut\f-8"', ("text/xml", "utf-8")),
        ("application/json; charset = utf-8", JSON),
        ("application/json; charset=a; charset=b", ("application/json", "a")),
        ('application/soap+xml; action="a;charset=b\\";charset=c"; charset=d', ("application/soap+xml", "d")),
        ("application/json; ; ;", JSON),
        ("application/json; utf-8", JSON),
        ("application/json; =x; charset=utf-8", JSON),
        ("application/json; *0=x", JSON),
        ("application/json; *=x", JSON),
        ("application/json; foo*; foo*0*=x", JSON),
        ("application/json; profile*=utf-8''x", JSON),
        ('application/json; a="', JSON),
        ("application/json; charsets=x", JSON),
        ("application/json; charset*; charset*0*=x", UNREADABLE),
        ("application/json; charset*0*=x", UNREADABLE),
        ("application/json; charset*=utf-8''utf-8", UNREADABLE),
        ("application/json; charset*" + "1" * 4400 + "=x", UNREADABLE),
        ("application/json; charset", UNREADABLE),
        ("application/json; charset=", UNREADABLE),
        ('application/json; charset="utf-8', UNREADABLE),
        ("application/json; charset=utf 8", UNREADABLE),
        ('application/json; charset=""', ("application/json", "")),
        ("", UNREADABLE),
        ("nonsense", UNREADABLE),
        ("application/", UNREADABLE),
        ("/json", UNREADABLE),
        ("; application/json", UNREADABLE),
        ("application/ json", UNREADABLE),
        ("application/json/x", UNREADABLE),
        ("application/json charset=utf-8", UNREADABLE),
        ("application/json, text/html", UNREADABLE),
        ("application/jsøn", UNREADABLE),
        ("application/json\n", UNREADABLE),
    ],
)
def test_a_content_type_is_read_by_https_grammar(field, expected):
    assert content_type(field) == expected


@pytest.mark.parametrize("field", ['application/json; a="' + '\\"' * 30_000, "application/json" + ";a=" * 30_000])
def test_a_content_type_without_end_is_read_in_one_go(field):
    began = time.process_time()
    assert content_type(field) == JSON
    # Quadratic, it would take hundreds of seconds of the processor; it takes milliseconds.
    assert time.process_time() - began < 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sun Nov  6 08:49:37 1994", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sun Nov 16 08:49:37 1994", datetime(1994, 11, 16, 8, 49, 37, tzinfo=UTC)),
        ("Sunday, 06-Nov-73 08:49:37 GMT", datetime(2073, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sunday, 06-Nov-74 08:49:37 GMT", datetime(1974, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("mon, 13 mar 2023 09:01:00 gmt", NOW + timedelta(minutes=1)),
        ("13 Mar 2023 09:01:00 GMT", NOW + timedelta(minutes=1)),
        ("Mon, 13 Mar 2023 10:01:00 +0100", NOW + timedelta(minutes=1)),
        ("Sat, 31 Dec 2016 23:59:60 GMT", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("Mon, 13 Foo 2023 09:01:00 GMT", None),
        ("Mon, 31 Feb 2023 09:01:00 GMT", None),
        ("Mon, 13 Mar 2023 24:01:00 GMT", None),
        ("Mon, 13 Mar 0000 09:01:00 GMT", None),
        ("Mon, 13 Mar 2023 09:01:00 +2400", None),
        ("Mon, 13 Mar 2023 09:01:00 CET", None),
        ("Mon, 13 Mar 2023 09:01:00", None),
        ("Mon, 13 Mar 2023", None),
        ("2023-03-13T09:01:00Z", None),
        ("Mon, ١٣ Mar 2023 09:01:00 GMT", None),
        ("", None),
    ],
)
def test_a_date_is_read_in_https_three_forms(text, expected):
    assert http_date(text, NOW) == expected


def test_retry_after_is_read_so_too():
    assert errors.parse_retry_after("Monday, 13-Mar-23 09:01:00 GMT", NOW) == timedelta(minutes=1)
