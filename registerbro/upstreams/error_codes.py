"""Error codes: STAR's codes in the JSON body of a refusal, wherever they stand in it."""

from typing import Final

ERROR_CODES: Final = frozenset({"errorcode", "fejlkode"})
"""Names of a code that is an error's, wherever it stands; these and those below as `plain` makes them."""
CODES: Final = ERROR_CODES | {"kode", "code"}
ERRORS: Final = frozenset({"fejl", "error", "errors", "fault", "faultdetails"})
"""ASSUMED: the names of a code, and of what is an error and nothing else, in any spelling; the codes are published and
the JSON around them is not. An error's body from STAR's test environment would settle it.

The older services' SOAP Fault, with FaultDetails/ErrorCode, is published.
"""


def plain(name: str) -> str:
    """A field's name without regard to its spelling: error_code, Error-Code and errorCode are one."""
    return name.replace("_", "").replace("-", "").casefold()


def codes_in(value: object) -> frozenset[str]:
    """Every code in a body, at any depth, as it is written; and "" when there is an error without one."""
    found: set[str] = set()
    _find(value, found)
    return frozenset(found)


def _find(value: object, found: set[str], *, is_code: bool = False, is_error: bool = False) -> bool:
    """Adds the codes in `value` to `found`, each part of it looked at once; whether one of them says anything."""
    if isinstance(value, list):
        said = [
            _find(inner, found, is_code=is_code, is_error=is_error and not isinstance(inner, list)) for inner in value
        ]
        return any(said)
    if isinstance(value, dict):
        said = [
            _find(inner, found, is_code=plain(name) in CODES, is_error=plain(name) in ERRORS)
            for name, inner in value.items()
        ]
        if is_error and not any(said):
            found.add("")
        return any(said)
    if is_code and value is not None:
        found.add(str(value))
        return value != ""
    return False
