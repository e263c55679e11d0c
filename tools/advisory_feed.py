"""Vulnerability feed from files: advisories in the OSV format (ossf.github.io/osv-schema), read without a network.

A feed is one `.json` file (an advisory, or a list of them), a `.zip` of such files, as OSV's `PyPI/all.zip`, or a
folder of any of these. Of an advisory its `affected` packages count, by ecosystem, name, and versions or ranges.
"""

import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

LARGEST_FILE = 64 * 1024 * 1024
"""Maximum bytes of one JSON file; the longest of OSV's are under 1 MiB."""
START = "0"
"""OSV's word for before every version."""


class NotAFeed(ValueError):
    """A file is no feed; the message names it."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """One package as it is pinned; `ecosystem` is OSV's word, `PyPI` or `npm`."""

    ecosystem: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Known:
    """One advisory that a pinned package is affected by."""

    id: str
    fixed: tuple[str, ...]


class Feed:
    """All advisories of a feed, by the packages that they are about."""

    def __init__(self, advisories: Iterable[dict[str, Any]]) -> None:
        self.newest = ""
        """When the newest of them was modified, in ISO 8601."""
        self._by_package: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
        for advisory in advisories:
            self.newest = max(self.newest, str(advisory.get("modified", "")))
            if advisory.get("withdrawn"):
                continue
            for affected in advisory.get("affected") or ():
                package = affected.get("package") or {}
                key = _key(str(package.get("ecosystem", "")), str(package.get("name", "")))
                self._by_package.setdefault(key, []).append((str(advisory.get("id", "?")), affected))

    @classmethod
    def read(cls, path: Path) -> "Feed":
        """The feed of a file or a folder. Raises NotAFeed and OSError."""
        return cls(_advisories(path))

    def covers(self, ecosystem: str) -> bool:
        """Whether the feed has any advisory about packages of this ecosystem; without one it tells nothing of them."""
        return any(of == ecosystem.lower() for of, _ in self._by_package)

    def about(self, package: Pinned) -> list[Known]:
        """The advisories that a pinned version is affected by."""
        found: dict[str, Known] = {}
        for name, affected in self._by_package.get(_key(package.ecosystem, package.name), ()):
            if _is_affected(affected, package.version):
                found.setdefault(name, Known(name, _fixed(affected)))
        return list(found.values())


def _key(ecosystem: str, name: str) -> tuple[str, str]:
    kind = ecosystem.partition(":")[0].lower()
    return kind, re.sub(r"[-_.]+", "-", name).lower() if kind == "pypi" else name


def _is_affected(affected: dict[str, Any], version: str) -> bool:
    """By OSV's own rule: named among the versions, or within a range; a version that cannot be compared is affected."""
    if version in (affected.get("versions") or ()):
        return True
    ranges = [one for one in affected.get("ranges") or () if one.get("type") in {"ECOSYSTEM", "SEMVER"}]
    try:
        return any(_is_within(one.get("events") or (), Version(version)) for one in ranges)
    except InvalidVersion:
        return True


def _is_within(events: Iterable[dict[str, str]], version: Version) -> bool:
    """Follows a range's events in the order of their versions."""
    steps = sorted((_version(text), kind) for event in events for kind, text in event.items())
    inside = False
    for at, kind in steps:
        if kind == "introduced" and at <= version:
            inside = True
        elif (kind == "fixed" and at <= version) or (kind == "last_affected" and at < version):
            inside = False
    return inside


def _version(text: str) -> Version:
    # Before every version, also before those of development.
    return Version("0.dev0") if text == START else Version(text)


def _fixed(affected: dict[str, Any]) -> tuple[str, ...]:
    ranges = affected.get("ranges") or ()
    return tuple(
        event["fixed"]
        for one in ranges
        if one.get("type") in {"ECOSYSTEM", "SEMVER"}
        for event in one.get("events") or ()
        if "fixed" in event
    )


def _advisories(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_dir():
        for one in sorted(path.rglob("*")):
            if one.suffix in {".json", ".zip"}:
                yield from _advisories(one)
    elif path.suffix == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if info.filename.endswith(".json"):
                        if info.file_size > LARGEST_FILE:
                            raise NotAFeed(f"{path}: {info.filename} is too long")
                        yield from _parsed(archive.read(info), f"{path}: {info.filename}")
        except zipfile.BadZipFile:
            raise NotAFeed(f"{path}: is no zip file") from None
    else:
        yield from _parsed(path.read_bytes(), str(path))


def _parsed(content: bytes, name: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(content)
    except ValueError:
        raise NotAFeed(f"{name}: is no JSON") from None
    listed = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) and "id" in one for one in listed):
        raise NotAFeed(f"{name}: holds something else than advisories of OSV")
    return listed
