"""What the leak test lets out on purpose, through every channel: a citizen's number, a password, a key and a token that
are used for nothing else.

The processes under test are the real ones, and do this besides: `tests/system/leak/worker.py` and
`tests/system/leak/portal.py`.
"""

from tests.system.leak.scanner import spellings_of, spellings_of_number

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

PASSWORD, KEY, TOKEN = (f"{kind}-Q7rX2mZk9LtV4wYc8Hn" for kind in ("password", "key", "token"))
"""As they stand for what opens something: of a Redis user, of what is kept, of a citizen's browser."""
SECRETS = (PASSWORD, KEY, TOKEN)
SECRET_WAYS = {
    one: {name: spelt for name, spelt in spellings_of(one).items() if name in {"plain", "hex", "base64+0"}}
    for one in SECRETS
}
SECRET_TEXTS = [spelt.decode() for ways in SECRET_WAYS.values() for spelt in ways.values()]

TASK, ARGUMENT_TASK = "leak.plant", "leak.argument"
ROUTE = "/leak"

NUMBERS = {
    "logs": TEXTS, "redis_commands": SIMPLE, "redis_files": (*TEXTS, "int64"), "flower": SIMPLE, "metrics": SIMPLE,
    "traces": (*TEXTS, "protobuf"), "http": WAYS, "frames": SIMPLE, "temporary_files": WAYS, "command_lines": SIMPLE,
}  # fmt: skip
"""Channel → the spellings of the number that are planted there."""
PLANTED: frozenset[tuple[str, str, str]] = frozenset({
    *((NUMBER, channel, way) for channel, ways in NUMBERS.items() for way in ways),
    *((one, channel, way) for channel in NUMBERS for one, ways in SECRET_WAYS.items() for way in ways),
})  # fmt: skip
"""What is planted, the channel, and the spelling."""


class Clumsy(ValueError):
    """An error as many libraries raise it: its message repeats what it was given."""

    def __init__(self, given: str) -> None:
        super().__init__(f"cannot read {given!r}, alias {given[:6]}-{given[6:]} or {given[:6]} {given[6:]}")
