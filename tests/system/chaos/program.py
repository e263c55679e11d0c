"""Runner of a chaos program: an installation in a folder of its own, the verdict as JSON, and the exit status."""

import json
import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from demo.installation import CannotStart, Installation, installation

Found = dict[str, Any]


def has_no_problems(found: Found) -> bool:
    """The verdict of a run under load."""
    return not found["problems"]


def ended(
    name: str,
    settings: Mapping[str, str],
    work: Callable[[Installation], Found],
    holds: Callable[[Found], bool] = has_no_problems,
    keep: Path | None = None,
) -> int:
    """Runs `work` on an installation and prints what it found as one line of JSON; returns the exit status.

    It is 0 when what was found `holds`, 1 when not, 2 when the installation does not start. The installation's files
    are in `keep`, if that is given, and stay there.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix=f"registerbro-{name}-") as directory:
        try:
            with installation(keep or Path(directory), settings) as here:
                found = work(here)
        except CannotStart as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
    print(json.dumps(found))
    return 0 if holds(found) else 1
