"""Bounded calls: an HTTP call and a subprocess, each with a limit on its whole duration."""

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

CALL_SECONDS = 30.0
"""How long an HTTP call may take in all: connection, answer and body, however slowly they come."""
PROGRAM_SECONDS = 120.0
"""How long a program may take that does one thing on this machine."""


class TookTooLong(Exception):
    """A server or program has not ended in time; the message names it."""


async def call(method: str, url: str, within: float = CALL_SECONDS, **rest: Any) -> "httpx.Response":  # noqa: ANN401
    """One HTTP call, on a connection of its own. Raises TookTooLong and httpx.HTTPError."""
    import httpx  # noqa: PLC0415 - where `make sbom` runs, there is none

    try:
        async with asyncio.timeout(within), httpx.AsyncClient(timeout=within) as client:
            return await client.request(method, url, **rest)
    except (TimeoutError, httpx.TimeoutException):
        raise TookTooLong(f"{method} {url}: no answer within {within:g} s") from None


def run(
    command: Sequence[str],
    within: float = PROGRAM_SECONDS,
    *,
    check: bool = True,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, and keeps what it writes. Raises TookTooLong and, if `check`, CalledProcessError."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=check, cwd=cwd, env=env, timeout=within, errors="replace"
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TookTooLong(f"{Path(command[0]).name}: has not ended within {within:g} s") from None
