"""Table of job titles: ESCO concept → its Danish label. `job_titles.csv` has the format, and the default table."""

import csv
import io
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from config.settings import JobsearchSettings, SettingsError, variable

SHIPPED: Final = Path(__file__).with_name("job_titles.csv")
SETTING: Final = variable("jobsearch", "titles_file")

URI: Final = "conceptUri"
LABEL: Final = "preferredLabel"

LONGEST_FILE: Final = 32 * 1024 * 1024
"""Bytes; all occupations of ESCO with their descriptions take a quarter."""
LONGEST_LABEL: Final = 300
"""Characters."""


class TitlesFileError(ValueError):
    """A table that is refused; the message begins with the number of the line at fault."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"{line}: {problem}")
        self.line = line


def current(settings: JobsearchSettings) -> Mapping[str, str]:
    """The table of this process, read once. Raises SettingsError when the file that is set cannot be used."""
    return _read(settings.titles_file or SHIPPED)


@cache
def _read(path: Path) -> Mapping[str, str]:
    try:
        return MappingProxyType(parse(path.read_bytes()))
    except TitlesFileError as error:
        problem = f"{path}:{error}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise SettingsError(f"{SETTING}: {problem}")


def parse(content: bytes) -> dict[str, str]:
    """The table in a file. Raises TitlesFileError."""
    if len(content) > LONGEST_FILE:
        raise TitlesFileError(1, f"the file has {len(content)} bytes, and at most {LONGEST_FILE} are read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TitlesFileError(content.count(b"\n", 0, error.start) + 1, "the file is not UTF-8") from None
    rows = _rows(text)
    line, header = next(rows, (1, []))
    for name in (URI, LABEL):
        if header.count(name) != 1:
            raise TitlesFileError(line, f"the header does not name a column {name} once")
    uri, label = header.index(URI), header.index(LABEL)
    table: dict[str, str] = {}
    for number, row in rows:
        if len(row) != len(header):
            raise TitlesFileError(number, f"the row has {len(row)} fields, and the header {len(header)}")
        _add(table, number, row[uri].strip(), " ".join(row[label].split()))
    if not table:
        raise TitlesFileError(line, "no row follows the header")
    return table


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Every row with the line on which it begins, the header first. Raises TitlesFileError."""
    lines = text.split("\n")
    remarks = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    reader = csv.reader(io.StringIO("\n".join(lines[remarks:]), newline=""), strict=True)
    begins = remarks + 1
    try:
        for row in reader:
            if row:
                yield begins, row
            begins = remarks + reader.line_num + 1
    except csv.Error as error:
        raise TitlesFileError(begins, f"this is no CSV: {error}") from None


def _add(table: dict[str, str], line: int, uri: str, label: str) -> None:
    if not uri or not label:
        raise TitlesFileError(line, f"the row has no {LABEL if uri else URI}")
    if len(label) > LONGEST_LABEL:
        raise TitlesFileError(line, f"the label has {len(label)} characters, and at most {LONGEST_LABEL} may be")
    if table.setdefault(uri, label) != label:
        raise TitlesFileError(line, f"the concept {uri:.100} has another label in a row before")
