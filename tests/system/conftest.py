"""Control of the simulators of a whole installation, which a file of tests calls `here`."""

import pytest

from simulators.control import Control


@pytest.fixture
def control(here):
    with Control(here.upstreams) as it:
        it.reset()
        yield it
        it.reset()
