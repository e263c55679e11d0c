"""Chain of audit records in files: one process holds its lock and writes it, and every written record is on the disk.

A process takes a chain that no process holds, after comparing it with the ledger, or begins a new one. Files are named
`<chain>-<day>-<number of the first line>-<n>.jsonl`; a new file begins each day, at a size, and with each process. No
process writes to a file again that may end with a torn line.
"""

import fcntl
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

from registerbro.audit_log.anchors import Head
from registerbro.audit_log.record import Damaged, Position, Record, new_id, read, write

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes after which a new file begins: a process that takes a chain over reads its last files."""
MODE = 0o640
_NAME = re.compile(r"(?P<chain>[a-z]+)-(?P<day>\d{8})-(?P<first>\d{12})-(?P<n>\d+)\.jsonl")


@dataclass(frozen=True, slots=True)
class File:
    """File of a chain; `first` is the number of its first line."""

    path: Path
    chain: str
    day: date
    first: int
    n: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Problem of a chain and its place; `line` counts from 1, and is None for a whole file."""

    file: str
    line: int | None
    what: str


@dataclass(slots=True)
class Walked:
    """Result of following a chain through its files."""

    end: Position
    records: int = 0
    met_head: bool = False
    """Whether the files hold the line that the ledger knows."""
    torn: list[Problem] = field(default_factory=list)
    """Unfinished lines at the end of a file: a process was killed, or the disk was full, in the middle of writing."""
    problems: list[Problem] = field(default_factory=list)


def files_in(directory: Path) -> dict[str, list[File]]:
    """The files of every chain in `directory` and below, in order. Raises OSError."""
    found: dict[str, list[File]] = {}
    for path in directory.rglob("*.jsonl"):
        if named := _NAME.fullmatch(path.name):
            day = datetime.strptime(named["day"], "%Y%m%d").replace(tzinfo=UTC).date()
            file = File(path, named["chain"], day, int(named["first"]), int(named["n"]))
            found.setdefault(file.chain, []).append(file)
    return {chain: sorted(files, key=lambda file: (file.first, file.n)) for chain, files in sorted(found.items())}


def lines_of(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Each line's number, the line without its break, and whether it is finished. Raises OSError."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            finished = line.endswith(b"\n")
            yield number, line[:-1] if finished else line, finished


def walk(files: Sequence[File], after: Position | None, head: Head | None) -> Walked:
    """Follows a chain from behind the position `after`, or from its first line (None). Raises OSError."""
    walked = Walked(after or Position())
    at = after
    for file in files:
        for number, line, finished in lines_of(file.path):
            if not finished:
                walked.torn.append(Problem(file.path.name, number, "its last line was not finished"))
                break
            try:
                record = read(line)
            except Damaged as damage:
                walked.problems.append(Problem(file.path.name, number, str(damage)))
                # Its hash is unknown, so the next line cannot be compared with it.
                at = None
                continue
            walked.records += 1
            if fault := _fault(file, record, at, head):
                walked.problems.append(Problem(file.path.name, number, fault))
            walked.met_head |= head is not None and record.position == head.position
            at = record.position
            if at.seq > walked.end.seq:
                walked.end = at
    return walked


def _fault(file: File, record: Record, at: Position | None, head: Head | None) -> str | None:
    seq = record.position.seq
    if record.chain != file.chain:
        return "it is of another chain"
    if at is not None and seq > at.seq + 1:
        return f"{seq - at.seq - 1} lines are missing before it"
    if at is not None and seq <= at.seq:
        return "it is not in its place"
    if at is not None and record.prev != at.hash:
        return "it does not follow from the line before it: one of the two was changed"
    if head is not None and seq == head.position.seq and record.position != head.position:
        return "it is not the line that the ledger knows"
    if head is not None and head.closed and seq > head.position.seq:
        return "it was added after the chain had been closed"
    return None


class Chain:
    """Chain that this process writes, from one thread at a time. Every method raises OSError."""

    def __init__(self, directory: Path, name: str, lock: int, at: Position) -> None:
        self.name = name
        self.at = at
        self._directory = directory
        self._lock = lock
        self._file: int | None = None
        self._path = Path()
        self._day = date.min
        self._size = 0

    @classmethod
    def take(cls, directory: Path, heads: Mapping[str, Head] | None) -> Self:
        """Takes a chain that no process holds, or begins one; begins one when the anchors are unknown (None)."""
        for name in heads or ():
            lock = _lock(directory, name)
            if lock is None:
                continue
            end = _as_the_ledger_knows(directory, name, heads[name]) if heads else None
            if end is not None:
                return cls(directory, name, lock, end)
            os.close(lock)
        name = new_id()
        lock = os.open(_lock_path(directory, name), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return cls(directory, name, lock, Position())

    def append(self, records: Iterable[Mapping[str, Any]], today: date) -> None:
        """Writes records in order; they are on the disk when it returns. When it raises, give the chain back.

        A failed write is removed again, if possible.
        """
        file = self._file
        if file is None or today != self._day or self._size >= LARGEST_FILE:
            file = self._begin_file(today)
        at, lines = self.at, []
        for facts in records:
            line, at = write(self.name, at, facts)
            lines.append(line)
        data = b"".join(lines)
        try:
            _write_all(file, data)
            os.fsync(file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, self._size)
            raise
        self.at = at
        self._size += len(data)

    def give_back(self) -> None:
        """Closes the file and releases the lock. A chain without a line leaves no file."""
        self._end_file()
        if self.at == Position():
            with suppress(OSError):
                _lock_path(self._directory, self.name).unlink()
        with suppress(OSError):
            os.close(self._lock)

    def _begin_file(self, today: date) -> int:
        self._end_file()
        for n in itertools.count():
            self._path = self._directory / f"{self.name}-{today:%Y%m%d}-{self.at.seq + 1:012}-{n}.jsonl"
            # The file may exist already, when no line of it was finished.
            if not self._path.exists():
                break
        file = self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        self._day, self._size = today, 0
        _sync_directory(self._directory)
        return file

    def _end_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None
            if self._size == 0:
                with suppress(OSError):
                    self._path.unlink()


@dataclass(frozen=True, slots=True)
class Expired:
    """Expired files of one chain; `up_to` is the last line in them."""

    chain: str
    files: tuple[Path, ...]
    up_to: Position
    is_all: bool
    """Whether these are all files of the chain."""


def expired(directory: Path, before: date, own: str) -> Iterator[Expired]:
    """Files older than `before`, of the chain `own` and of chains that no process holds. Raises OSError.

    A chain with a problem is left as it is, for an operator to examine.
    """
    for name, files in files_in(directory).items():
        old = [file for file in files if file.day < before]
        if not old or any(file.path.parent != directory for file in files):
            continue
        lock = None if name == own else _lock(directory, name)
        if lock is None and name != own:
            continue
        try:
            walked = walk(old, None, None)
            is_all = len(old) == len(files)
            if not walked.problems and (walked.records or is_all):
                yield Expired(name, tuple(file.path for file in old), walked.end, is_all)
        finally:
            if lock is not None:
                os.close(lock)


def remove(directory: Path, gone: Expired) -> None:
    """Removes the files, and the chain's lock with its last file. Raises OSError."""
    for path in gone.files:
        path.unlink(missing_ok=True)
    if gone.is_all:
        _lock_path(directory, gone.chain).unlink(missing_ok=True)
    _sync_directory(directory)


def _as_the_ledger_knows(directory: Path, name: str, head: Head) -> Position | None:
    """The end of a chain; None when its last files differ from the ledger's anchor: then it is evidence."""
    try:
        walked = walk(files_in(directory).get(name, [])[-2:], None, head)
    except OSError:
        return None
    if walked.problems or not walked.met_head:
        return None
    return walked.end


def _lock(directory: Path, name: str) -> int | None:
    """The chain's lock; None when another process holds it, or on an error."""
    path = _lock_path(directory, name)
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The file may have been deleted and recreated since we opened it: compare inodes.
        if os.fstat(lock).st_ino == path.stat().st_ino:
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _lock_path(directory: Path, name: str) -> Path:
    return directory / f"{name}.lock"


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _sync_directory(directory: Path) -> None:
    """Writes a directory to disk: without this, a new file may be gone after a power cut, whatever it holds."""
    opened = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
