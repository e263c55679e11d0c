"""Key set of the identity provider (RFC 7517): read from its server or a file, each key by itself.

Every read has an end, and a broken entry spoils no other: each is validated by itself, and deep nesting is cut off
before a parser reads it.
"""

import asyncio
import json
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import httpx
import jwt
from pydantic import BaseModel, ConfigDict, ValidationError

ALGORITHMS = ("ES256", "RS256")
"""Signatures by a key that this side does not have: with `none` or HS* a caller could claim to be anyone."""
SHORTEST_RSA_BITS = 2048
LONGEST_RSA_BITS = 8192
"""A signature by a longer one costs more to check than a request may."""
LONGEST_BYTES = 64 * 1024
DEEPEST = 8
"""Levels of nesting that are read: an array in a key (x5c) is the fourth, and the used fields are the third."""

Keys = tuple[jwt.PyJWK, ...]
"""The keys of a set in its order; several may have the same name (`kid`), or none."""


class _Jwk(BaseModel):
    """The fields of a key that are used; others may hold anything."""

    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)

    kty: Literal["EC", "RSA"]
    use: Literal["sig"] = "sig"
    kid: str | None = None
    alg: str | None = None
    crv: str | None = None
    x: str | None = None
    y: str | None = None
    n: str | None = None
    e: str | None = None


def usable(content: bytes) -> Keys:
    """The keys that verify the algorithms in use; any other entry, such as one for encryption, is left alone.

    Raises ValueError when the content is no key set at all.
    """
    # A byte that is not UTF-8 spoils the entry that it is in, and a number that Python would not read spoils none.
    key_set = json.loads(_without_depths(content.decode("utf-8-sig", errors="replace")), parse_int=float)
    entries = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(entries, list):
        raise ValueError("there is no array of keys")  # noqa: TRY004 - as for every content that is none
    return tuple(key for key in map(_key, entries) if key is not None)


async def fetched(url: str) -> bytes:
    """Fetches the key set at `url`; the caller sets the time-out. Raises ConnectionError; ValueError for a long one.

    It is asked for uncompressed, since a small compressed body may become a large one.
    """
    content = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=None) as client,  # noqa: S113 - a limit for each read is none
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            answer.raise_for_status()
            if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                raise ValueError("the key set is compressed")
            async for part in answer.aiter_raw():
                content += part
                _check_length(content)
    except httpx.HTTPError as error:
        raise ConnectionError(type(error).__name__) from None
    return bytes(content)


class File:
    """A key set in a file, which may lie on a server that is away.

    A hanging read cannot be ended, only left: it has a thread of its own, for which the process's exit does not wait.
    Concurrent callers wait for the same read, so that there is never a second.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading: asyncio.Future[bytes] | None = None

    async def read(self) -> bytes:
        """Reads the file; the caller sets the time-out. Raises OSError; ValueError when it is too long or no file."""
        if self._reading is None or self._reading.done():
            loop = asyncio.get_running_loop()
            self._reading = loop.create_future()
            threading.Thread(target=self._read, args=(loop, self._reading), name="jwks", daemon=True).start()
        return await asyncio.shield(self._reading)

    def _read(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[bytes]) -> None:
        content, failed = b"", None
        try:
            content = _content(self._path)
        except (OSError, ValueError) as error:
            failed = error
        # When the loop is closed, no caller waits any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell, answer, content, failed)


def _tell(answer: asyncio.Future[bytes], content: bytes, failed: Exception | None) -> None:
    if answer.done():
        return
    if failed is None:
        answer.set_result(content)
    else:
        answer.set_exception(failed)


def _content(path: Path) -> bytes:
    # Without waiting for a writer, whom a named pipe may never have.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(LONGEST_BYTES + 1)
    _check_length(content)
    return content


def _check_length(content: bytes | bytearray) -> None:
    if len(content) > LONGEST_BYTES:
        raise ValueError("the key set is too long")


def _key(entry: object) -> jwt.PyJWK | None:
    """One entry's key; None when it is for another use, or invalid."""
    try:
        key = jwt.PyJWK(_Jwk.model_validate(entry).model_dump(exclude_none=True))
    except (ValidationError, jwt.PyJWTError, ValueError):
        return None
    if key.algorithm_name not in ALGORITHMS:
        return None
    is_rsa = key.algorithm_name == "RS256"
    return key if not is_rsa or SHORTEST_RSA_BITS <= key.key.key_size <= LONGEST_RSA_BITS else None


_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.?)*+"?|[\[\]{}]', re.DOTALL)
"""A string of JSON, also one without an end, so that each character is matched once; or a bracket."""


def _without_depths(text: str) -> str:
    """JSON with null in place of what is nested too deep, which a reader of JSON would fail at as a whole."""
    return "".join(_shallow_parts(text))


def _shallow_parts(text: str) -> Iterator[str]:
    depth = begins = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        if found[0] in {"[", "{"}:
            depth += 1
            if depth == DEEPEST + 1:
                yield text[begins : found.start()] + "null"
        elif found[0] in {"]", "}"}:
            if depth == DEEPEST + 1:
                begins = found.end()
            depth -= 1
    if depth <= DEEPEST:
        yield text[begins:]
