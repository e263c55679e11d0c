"""Keys and peppers in files, which may change while they are used."""

import base64

import pytest
from structlog.testing import capture_logs

from config.settings import PREFIX
from registerbro.storage.sealing import keyring
from registerbro.storage.sealing.keyring import Keyring
from registerbro.storage.sealing.sealer import Sealer, Unreadable

FIRST, SECOND = b"1" * 32, b"2" * 32
PEPPER, NEXT = "the pepper of the first days", "the pepper of later days"


def encoded(*keys):
    return ",".join(base64.urlsafe_b64encode(key).decode() for key in keys)


@pytest.fixture
def files(tmp_path, clean_environment, monkeypatch):
    """Writes one of the secrets' files."""
    monkeypatch.setattr(keyring, "LOOK_EVERY_SECONDS", 0)

    def write(name, text):
        (tmp_path / name).write_text(text)
        clean_environment.setenv(f"{PREFIX}{name.upper()}_FILE", str(tmp_path / name))

    write("sealing_keys", encoded(FIRST))
    write("pepper", PEPPER)
    write("other_peppers", "")
    return write


@pytest.fixture
def settings(files, make_settings):
    return make_settings(PEPPER="", SEALING_KEYS="")


def test_a_key_that_is_put_in_front_seals_and_the_one_before_still_opens(settings, files):
    it = Keyring(settings)
    before = it.sealer.seal(b"x", "place")
    files("sealing_keys", encoded(SECOND, FIRST))
    after = it.sealer.seal(b"y", "place")
    assert Sealer([SECOND]).open(after, "place") == b"y"
    assert it.sealer.open(before, "place") == b"x"


def test_a_key_behind_the_others_opens_and_does_not_seal(settings, files):
    it = Keyring(settings)
    files("sealing_keys", encoded(FIRST, SECOND))
    assert it.sealer.open(Sealer([SECOND]).seal(b"x", "place"), "place") == b"x"
    assert Sealer([FIRST]).open(it.sealer.seal(b"y", "place"), "place") == b"y"


def test_a_key_that_is_gone_opens_nothing(settings, files):
    it = Keyring(settings)
    before = it.sealer.seal(b"x", "place")
    files("sealing_keys", encoded(SECOND))
    with pytest.raises(Unreadable):
        it.sealer.open(before, "place")


@pytest.mark.parametrize("broken", ["", "no key", f"{encoded(SECOND)},short"])
def test_a_file_that_is_wrong_leaves_the_keys_as_they_are_and_is_told_of_once(settings, files, broken):
    it = Keyring(settings)
    files("sealing_keys", broken)
    with capture_logs() as events:
        assert it.sealer.key_ids == it.sealer.key_ids
    told = [event for event in events if event["event"] == "keys_not_reloaded"]
    assert [event["setting"] for event in told] == ["REGISTERBRO_SEALING_KEYS_FILE"]
    assert encoded(SECOND) not in str(events)
    files("sealing_keys", encoded(SECOND, FIRST))
    assert len(it.sealer.key_ids) == 2


def test_the_pepper_comes_first_and_each_of_the_others_once(settings, files):
    it = Keyring(settings)
    assert it.peppers() == (PEPPER.encode(),)
    files("other_peppers", f"{NEXT}, {PEPPER}")
    assert it.peppers() == (PEPPER.encode(), NEXT.encode())
    files("pepper", NEXT)
    assert it.peppers() == (NEXT.encode(), PEPPER.encode())


def test_a_pepper_may_hold_a_comma(settings, files):
    it = Keyring(settings)
    files("pepper", "with, a comma in it")
    assert it.peppers() == (b"with, a comma in it",)


def test_what_is_given_directly_stays_as_it_is(make_settings):
    settings = make_settings(OTHER_PEPPERS="the pepper of the year before")
    it = Keyring(settings)
    assert it.peppers() == (settings.pepper.get_secret_value().encode(), b"the pepper of the year before")
    assert len(it.sealer.key_ids) == 1
