"""The options: their defaults, that they reach a channel, and how they hang together."""

import re
from importlib.resources import files

import pytest

from redis_transport import options
from tests.redis_transport.conftest import Connect


@pytest.mark.parametrize("name", options.OPTIONS)
def test_each_option_reaches_the_channel_and_has_a_default(connect: Connect, name: str) -> None:
    default = getattr(options, name.upper())
    assert getattr(connect().default_channel, name) == default
    assert getattr(connect(**{name: "asked for"}).default_channel, name) == "asked for"


def test_a_dead_workers_messages_are_back_within_the_redelivery_time() -> None:
    """The lapse, and then one interval between two looks."""
    assert options.LAPSES_AFTER + options.BEATS_EVERY <= 1


def test_a_living_worker_may_miss_two_signs_of_life() -> None:
    assert options.BEATS_EVERY * 3 < options.LAPSES_AFTER


def test_the_readme_names_each_option_with_its_default() -> None:
    readme = files("redis_transport").joinpath("README.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \|", readme, re.MULTILINE))
    assert table == {name: str(getattr(options, name.upper())) for name in options.OPTIONS}
