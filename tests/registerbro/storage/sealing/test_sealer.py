"""Sealing: what one key sealed opens with it alone, and only where it was put."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registerbro.storage.sealing.sealer import Sealer, Unreadable, key_id

OLD, NEW = b"o" * 32, b"n" * 32


@given(content=st.binary(), place=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_opens_in_its_place(content, place):
    sealer = Sealer([NEW])
    assert sealer.open(sealer.seal(content, place), place) == content


def test_a_value_moved_to_another_place_does_not_open():
    sealer = Sealer([NEW])
    with pytest.raises(Unreadable, match="moved"):
        sealer.open(sealer.seal(b"x", "entry:{a}:udb#data"), "entry:{b}:udb#data")


def test_the_same_content_never_looks_the_same_twice():
    sealer = Sealer([NEW])
    assert sealer.seal(b"x", "place") != sealer.seal(b"x", "place")


@given(st.integers(min_value=0, max_value=200), st.integers(min_value=1, max_value=255))
def test_an_altered_value_does_not_open(at, change):
    sealer = Sealer([NEW])
    sealed = bytearray(sealer.seal(b"content", "place"))
    sealed[at % len(sealed)] ^= change
    with pytest.raises(Unreadable):
        sealer.open(bytes(sealed), "place")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + key_id(NEW), b"\x02" + b"x" * 60, b"plain text"])
def test_what_was_never_sealed_does_not_open(sealed):
    with pytest.raises(Unreadable):
        Sealer([NEW]).open(sealed, "place")


def test_after_a_rotation_the_old_values_open_and_new_ones_use_the_new_key():
    old_value = Sealer([OLD]).seal(b"x", "place")
    rotated = Sealer([NEW, OLD])
    assert rotated.open(old_value, "place") == b"x"
    assert rotated.seal(b"x", "place")[1:5] == key_id(NEW)


def test_a_key_that_is_gone_leaves_its_values_unreadable():
    with pytest.raises(Unreadable, match="key"):
        Sealer([NEW]).open(Sealer([OLD]).seal(b"x", "place"), "place")


def test_no_keys_are_no_sealer():
    with pytest.raises(ValueError, match="at least one"):
        Sealer([])
