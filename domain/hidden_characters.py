r"""Hidden characters: those that a terminal obeys or does not show, and their escapes.

Hidden is Unicode's categories Cc, Cf, Cs, Zl and Zp (Unicode Standard 16.0, table 4-4), among them what begins an
escape sequence, DEL, bidirectional controls, zero-width characters and lone surrogates, and whatever else has the
property Default_Ignorable_Code_Point (UAX #44). An escape is as in JSON (RFC 8259, 7): `\n`, `\u001b`, `\u202e`.
"""

import json
import re
from typing import Any

_HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    r"\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


class HiddenCharacter(ValueError):
    """A text that is to be shown to others holds a hidden character. The message holds nothing else of it."""

    def __init__(self, code_point: int, position: int) -> None:
        super().__init__(code_point, position)
        self.code_point = code_point
        self.position = position
        """In characters, from 0."""

    def __str__(self) -> str:
        return f"has the control or invisible character U+{self.code_point:04X} at position {self.position}"


def visible(text: str) -> str:
    """The text with each hidden character as its escape: one line, whatever it was."""
    return _HIDDEN.sub(lambda found: _escape(found[0]), text)


def visible_json(text: str) -> str:
    """A JSON document of the same value without hidden characters, but for line feeds between its tokens."""
    # Of these, JSON has none inside a string, and between tokens it has tab, CR and LF, which are all white space.
    return _HIDDEN.sub(lambda found: found[0] if found[0] in "\t\r\n" else _escape(found[0]), text).replace("\r", "\n")


def to_json(document: Any, **options: Any) -> str:  # noqa: ANN401 - whatever json.dumps takes
    """`document` as JSON in Unicode, without hidden characters; `options` are those of `json.dumps`."""
    return visible_json(json.dumps(document, **{"ensure_ascii": False, **options}))


def require_visible(text: str) -> str:
    """The text itself. Raises HiddenCharacter when it has any."""
    if found := _HIDDEN.search(text):
        raise HiddenCharacter(ord(found[0]), found.start())
    return text


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1]
