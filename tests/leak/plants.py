"""What the leak test lets out on purpose: a number of a citizen that is used for nothing else, through every channel.

The processes under test are the real ones, and do this besides: `tests/leak/worker.py` and `tests/leak/portal.py`.
"""

from tests.leak.scanner import spellings_of_number

NUMBER = "6911114260"
"""Constructed, as its day says, and of nobody."""
CRASHES = "7111054245"
"""Whoever asks about this constructed citizen meets a defect of ours."""

WAYS = spellings_of_number(NUMBER)
BINARY = ("int64", "protobuf")
TEXTS = {name: spelt.decode() for name, spelt in WAYS.items() if name not in BINARY and "latin-1" not in name}
"""Spellings that a text may have."""
SIMPLE = {name: text for name, text in TEXTS.items() if text.isascii() and not set(text) & set("\\&")}
"""Those that JSON, HTML and Redis' MONITOR leave as they are."""

DELIVERED, DEFECT, REFUSED, COMES_BACK = "Zebrafinkebur", "Kvartsfløjter", "Østersbløde", "Gråmejsepyt"
"""Words of fault reports: delivered; met by a defect of ours; refused by the vendor; too long, so that the form comes
back to its author with all that was written. No other text has them."""

TASK, ARGUMENT_TASK = "leak.plant", "leak.argument"
ROUTE = "/leak"

PLANTED: frozenset[tuple[str, str]] = frozenset({
    *(("logs", way) for way in TEXTS),
    *(("redis_commands", way) for way in SIMPLE),
    *(("redis_files", way) for way in (*TEXTS, "int64")),
    *(("flower", way) for way in SIMPLE),
    *(("metrics", way) for way in SIMPLE),
    *(("traces", way) for way in (*TEXTS, "protobuf")),
    *(("http", way) for way in WAYS),
    *(("frames", way) for way in SIMPLE),
    *(("temporary_files", way) for way in WAYS),
})  # fmt: skip
"""Channel and spelling of everything that is planted."""


class Clumsy(ValueError):
    """An error as many libraries raise it: its message repeats what it was given."""

    def __init__(self, given: str) -> None:
        super().__init__(f"cannot read {given!r}, alias {given[:6]}-{given[6:]} or {given[:6]} {given[6:]}")
