"""Renders the frames of errors with their local variables, as a debugger or a crash reporter would.

Ours never do. But somebody may put one on, and then the objects at the core must not tell whom they are about.
"""

import json
import logging
import os
import sys
import traceback
from collections import Counter
from pathlib import Path

from structlog.tracebacks import ExceptionDictTransformer

from demo.installation import PROJECT

DIRECTORY = "LEAK_FRAMES"
"""The environment variable that names where they go."""

RAW = {
    # What an upstream answered, until it is a model.
    ("registerbro/upstreams/dfdg_protocol.py", "read"): {"values"},
    ("registerbro/upstreams/dfdg_protocol.py", "same_person"): {"body", "objects"},
    ("registerbro/upstreams/dfdg_protocol.py", "_objects"): {"body", "objects"},
    ("registerbro/upstreams/dfdg_protocol.py", "_codes"): {"values"},
    ("workers/eindkomst/wire.py", "_is_utf8"): {"body"},
    ("registerbro/upstreams/messages.py", "json"): {"values"},
    ("registerbro/upstreams/body_reading.py", "read_body"): {"body", "chunk"},
    ("registerbro/upstreams/messages.py", "validated"): {"values"},
    ("tests/system/leak/worker.py", "validated"): {"values"},
    # A request as it came, and the token, as a text, on its way from the session to the API.
    ("portal/server.py", "__call__"): {"scope"},
    ("portal/body_timeout.py", "__call__"): {"scope"},
    ("portal/shutdown.py", "__call__"): {"scope"},
    ("portal/head_requests.py", "__call__"): {"scope"},
    ("portal/head_requests.py", "_answer"): {"scope", "as_get"},
    ("portal/head_requests.py", "_as_coroutine"): {"scope"},
    ("portal/api/middleware.py", "__call__"): {"scope", "headers"},
    ("tests/system/leak/portal.py", "with_route"): {"scope"},
    **{("demo/reference_portal/api.py", name): {"token"} for name in ("overview", "_call", "events")},
}
"""Function → its local variables that hold what somebody sent, as it came. docs/security.md says so in words."""

ERRORS = {"error", "cause", "ended_with"}
"""What errors are called here: an error's message is whatever its maker wrote."""

SAME_AT_MOST = 3
"""How often an error from the same places is rendered, in a process."""

_RENDERERS = [
    ExceptionDictTransformer(
        show_locals=True, locals_max_string=100_000, locals_max_length=100_000, max_frames=1000,
        locals_hide_sunder=False, locals_hide_dunder=False, use_rich=rich,
    )
    for rich in (False, True)
]  # fmt: skip


class Frames(logging.Handler):
    """For every log line inside an `except`: the frames of the error, as far as they are ours, and what is in them."""

    def __init__(self) -> None:
        super().__init__()
        self._rendered: Counter[tuple[object, ...]] = Counter()
        self._path = Path(os.environ[DIRECTORY]) / f"{os.getpid()}.jsonl"

    def emit(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()
        if error[1] is None:
            return
        same = type(error[1]), *((frame.f_code, line) for frame, line in traceback.walk_tb(error[2]))
        self._rendered[same] += 1
        if self._rendered[same] > SAME_AT_MOST:
            return
        for render in _RENDERERS:
            for one in render(error):
                lines = [json.dumps(frame, ensure_ascii=False) for frame in map(_shown, one["frames"]) if frame]
                with self._path.open("a", encoding="utf-8") as file:
                    file.writelines(f"{line}\n" for line in lines)


def _shown(frame: dict) -> dict | None:
    file = Path(frame["filename"])
    if not file.is_relative_to(PROJECT) or ".venv" in file.parts:
        return None
    own = file.relative_to(PROJECT).as_posix()
    hidden = RAW.get((own, frame["name"]), set()) | ERRORS
    return {
        "file": own,
        "function": frame["name"],
        "locals": {name: value for name, value in frame.get("locals", {}).items() if name not in hidden},
    }


def install() -> None:
    """From here on this process's errors are rendered so. To be called once its logging is set up."""
    logging.getLogger().addHandler(Frames())
