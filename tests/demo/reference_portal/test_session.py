"""The session: sealed, short, and worth nothing anywhere else."""

import base64

import pytest
from starlette.responses import Response

from demo.reference_portal import session as module
from demo.reference_portal.session import EndedHere, Session, Sessions, SignedIn
from registerbro.storage.sealing.sealer import Sealer

KEY = b"s" * 32
USER = SignedIn(token="a.b.c", name="Håkon Ærlig-Øst <b>", in_target_group=True)


def sessions(*, secure=False, key=KEY):
    return Sessions(Sealer([key]), secure=secure)


def written(session, **how):
    response = Response()
    sessions(**how).write(response, session)
    return response.headers["set-cookie"]


def value(session):
    return written(session).split("=", 1)[1].split(";")[0]


def test_a_session_comes_back_as_it_was_written():
    session = Session.begin(USER)
    assert sessions().read(value(session)) == session


def test_nothing_of_a_session_can_be_read_from_outside():
    text = base64.urlsafe_b64decode(value(Session.begin(USER)))
    assert b"a.b.c" not in text
    assert "Håkon".encode() not in text


@pytest.mark.parametrize(
    "spoil", [lambda v: v[:-4] + "AAAA", lambda v: "x" + v[1:], lambda v: v[:20], lambda _: "?", lambda _: "é"]
)
def test_an_altered_session_is_none(spoil):
    assert sessions().read(spoil(value(Session.begin(USER)))) is None


def test_a_session_sealed_elsewhere_is_none():
    assert sessions(key=b"t" * 32).read(value(Session.begin(USER))) is None
    moved = Sealer([KEY]).seal(Session.begin(USER).model_dump_json().encode(), "citizen:somebody")
    assert sessions().read(base64.urlsafe_b64encode(moved).decode()) is None


def test_a_session_ends_after_an_hour_whatever_the_browser_says(monkeypatch):
    cookie = value(Session.begin(USER))
    later = module.time.time() + 3601
    monkeypatch.setattr(module.time, "time", lambda: later)
    assert sessions().read(cookie) is None


def test_a_session_that_began_while_the_clock_was_ahead_is_none_once_it_is_right(monkeypatch):
    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 8 * 86_400)
    cookie = value(Session.begin(USER))
    monkeypatch.setattr(module.time, "time", lambda: now)
    assert sessions().read(cookie) is None


def test_the_cookie_is_out_of_scripts_reach_and_of_other_sites():
    flags = {part.strip().lower() for part in written(Session.begin(USER)).split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= flags
    assert "secure" not in flags
    assert any(flag.startswith("max-age=3") for flag in flags)


def test_behind_tls_the_cookie_is_for_this_host_and_tls_alone():
    cookie = written(Session.begin(USER), secure=True)
    assert cookie.startswith("__Host-session=")
    assert "Secure" in cookie


def test_a_log_in_begins_a_session_whose_forms_are_its_own():
    before = Session.begin()
    after = Session.begin(USER)
    assert after.owns(after.csrf)
    assert not after.owns(before.csrf)
    assert not after.owns("")


def test_no_token_is_in_a_sessions_repr():
    assert "a.b.c" not in repr(Session.begin(USER))
    assert "a.b.c" not in str(USER)


async def test_what_has_ended_is_known_until_it_would_have_been_over_and_no_longer(monkeypatch):
    ended = EndedHere()
    await ended.record("a", 3600)
    now = module.time.monotonic()
    assert (await ended.has("a"), await ended.has("b")) == (True, False)
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 3602)
    assert not await ended.has("a")
    await ended.record("b", 3600)
    assert list(ended._until) == ["b"]


async def test_no_more_ended_sessions_are_kept_than_agreed(monkeypatch):
    monkeypatch.setattr(module, "MOST_ENDED", 3)
    ended = EndedHere()
    for order in range(5):
        await ended.record(str(order), 3600)
    assert [mark for mark in map(str, range(5)) if await ended.has(mark)] == ["2", "3", "4"]


def test_a_session_has_one_mark_whatever_it_comes_to_hold_and_another_has_another():
    session = Session.begin(USER)
    assert session.model_copy(update={"user": None}).mark == session.mark
    assert session.csrf not in session.mark
    assert Session.begin(USER).mark != session.mark
