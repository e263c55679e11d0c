"""For processes under libfaketime, which Python imports at their start: they sleep in another way.

`time.sleep` asks for a moment of the monotonic clock, which libfaketime turns into one that is not valid, although it
leaves that clock as it is.
"""

import select
import time


def _sleep(seconds: float) -> None:
    select.select((), (), (), seconds)


time.sleep = _sleep
