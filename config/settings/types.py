"""Types of settings: each turns the text of one environment variable into a value, or says in one line what is wrong.

A parser raises ValueError, and its message holds nothing of the value, because the value may be a secret.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, get_args
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    HttpUrl,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_settings import NoDecode

from domain import service_windows
from domain.cpr import LOOKS_LIKE_CPR

PREFIX = "REGISTERBRO_"
DELIMITER = "__"
REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})
BROKER_SCHEMES = frozenset({"redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps"})
SEALING_KEY_BYTES = 32
PEPPER_CHARACTERS = 16
"""The length of the shortest pepper that is accepted."""
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?")
"""The characters of a URL's path (RFC 3986, 3.3), from its first slash; neither a query nor a fragment has a place."""
LONGEST_CODE = 9
"""Digits of a fault code: any such number is an `int` of 32 bits."""
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110, 5.1)."""
_FIELD_VALUE = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")
"""A header's value (RFC 9110, 5.5), in ASCII alone, since servers disagree about every other character."""
_VISIBLE_ASCII = re.compile(r"[!-~]+")
"""A bearer token as a header can hold it (RFC 6750, 2.1), and an OAuth client's id and secret (RFC 6749, A.1, A.2)."""
_SCOPE = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*")
"""RFC 6749, 3.3."""
OWN_HEADERS = frozenset({
    "accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length", "content-type",
    "cookie", "expect", "host", "idempotency-key", "keep-alive", "proxy-authorization", "proxy-connection",
    "soapaction", "te", "trailer", "traceparent", "transfer-encoding", "upgrade", "user-agent",
    "civilregistrationidentifier", "x-civilregistrationidentifier", "x-requestid",
})  # fmt: skip
"""Headers, in lower case, that a call sets itself or that belong to its connection: HEADERS must name none of them."""
_ANY_DURATION = TypeAdapter(timedelta)
_ANY_BYTE_SIZE = TypeAdapter(ByteSize)

Hash = Literal["sha1", "sha256", "sha384", "sha512"]
"""A hash function that a signature may be made with."""


class SettingsError(Exception):
    """The settings cannot be used. The message has one line per setting, and never the value of a secret."""


class Frozen(BaseModel):
    """Base of each branch of the tree: values are read once, and errors show no input."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class FaultCode(NamedTuple):
    """Rule that gives fault reports about a page, an error, both or (with neither) anything their code."""

    page: str | None
    error: str | None
    code: int


def variable(branch: str, name: str) -> str:
    """The environment variable of a setting, by the names of its branch of the tree and of its field."""
    return f"{PREFIX}{branch.upper()}{DELIMITER}{name.upper()}"


def missing(branch: str, name: str) -> SettingsError:
    """The error for a setting that a process needs and the environment does not have."""
    return SettingsError(f"{variable(branch, name)}: is missing")


def secret_in(path: str, name: str) -> str:
    """The secret in a file, without white space around it; `name` is its setting. Raises SettingsError."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
    raise SettingsError(f"{name}_FILE: cannot be read: {reason}")


def without_credentials(url: str) -> str:
    """The URL without user, password and query; a list of URLs separated by semicolons stays one."""

    def bare(one: str) -> str:
        parts = urlsplit(one)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    return ";".join(map(bare, url.split(";")))


def parse_pepper(text: str) -> str:
    """The pepper in a text. Raises ValueError, whose message holds nothing of it."""
    return _long_enough(SecretStr(text)).get_secret_value()


def parse_peppers(text: str) -> tuple[str, ...]:
    """The peppers in a comma-separated list. Raises ValueError, whose message holds nothing of them."""
    return tuple(parse_pepper(pepper.strip()) for pepper in text.split(",") if pepper.strip())


def parse_sealing_keys(text: str) -> tuple[bytes, ...]:
    """The keys in a comma-separated list, 32 bytes each. Raises ValueError, whose message holds nothing of them."""
    keys = tuple(_sealing_key(key.strip()) for key in text.split(",") if key.strip())
    if not keys:
        raise ValueError("holds no key")
    return keys


def parse_fault_codes(text: str) -> tuple[FaultCode, ...]:
    """The rules in a list such as `/booking 4769/9018=3; /booking=2; *=1`; the last is for all else.

    Raises ValueError when a rule has another form, or no rule or another than the last is for all.
    """
    rules = tuple(_fault_code(rule) for rule in text.split(";") if rule.strip())
    are_for_all = [rule.page is None and rule.error is None for rule in rules]
    if are_for_all != [False] * (len(rules) - 1) + [True]:
        raise ValueError("does not end with `*=` and a code for all other reports, or has that in another place")
    return rules


def _fault_code(text: str) -> FaultCode:
    names, _, code = text.rpartition("=")
    words = names.split()
    pages = [word for word in words if word.startswith("/")]
    errors = [word for word in words if not word.startswith("/") and word != "*"]
    is_rule = words == ["*"] or (words and len(pages) <= 1 and len(errors) <= 1 and "*" not in words)
    number = code.strip()
    if not is_rule or not number.isascii() or not number.isdigit() or len(number) > LONGEST_CODE:
        raise ValueError("is not a list of rules such as `/booking 4769/9018=3; /booking=2; *=1`")
    return FaultCode(pages[0] if pages else None, errors[0] if errors else None, int(number))


def parse_headers(text: str) -> Mapping[str, str]:
    """The headers in a JSON object of texts. Raises ValueError, which names a header of ours and nothing else of it."""
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        pairs = None
    if not isinstance(pairs, _Pairs):
        raise ValueError("is not a JSON object of header names and texts")  # noqa: TRY004 - one error for every value
    seen: dict[str, str] = {}
    for name, value in pairs:
        if not _FIELD_NAME.fullmatch(name):
            raise ValueError("has a header whose name is none (RFC 9110, 5.1)")
        if name.lower() in OWN_HEADERS:
            raise ValueError(f"has the header {name.lower()}, which each call sets itself")
        if not isinstance(value, str) or not _FIELD_VALUE.fullmatch(value):
            raise ValueError("has a header whose value is no text of visible ASCII characters")
        if name.lower() in {other.lower() for other in seen}:
            raise ValueError("has a header twice")
        seen[name] = value
    return seen


class _Pairs(list[tuple[str, object]]):
    """The fields of a JSON object, each as it stands there."""


def parse_token(text: str) -> str:
    """The text, when a header can hold it as a bearer token. Raises ValueError, whose message holds nothing of it."""
    if not _VISIBLE_ASCII.fullmatch(text):
        raise ValueError("holds a character that is not visible ASCII, or nothing")
    return text


def parse_hashes(text: str) -> tuple[str, ...]:
    """The hash functions in a comma-separated list. Raises ValueError when the list is empty or has another word."""
    named = tuple(name.strip() for name in text.split(",") if name.strip())
    if not named or set(named) - set(get_args(Hash)):
        raise ValueError(f"is not a comma-separated list of {', '.join(get_args(Hash))}")
    return named


def _iso_duration(value: object) -> timedelta:
    try:
        if not isinstance(value, timedelta) and not str(value).startswith("P"):
            raise ValueError("pydantic also takes forms that leave the unit open")
        duration = _ANY_DURATION.validate_python(value)
    except ValueError:
        raise ValueError("is not a duration (ISO 8601, such as PT2S or P30D)") from None
    if duration <= timedelta(0):
        raise ValueError("must be longer than nothing")
    return duration


def _url_with(schemes: frozenset[str]) -> AfterValidator:
    def check(url: SecretStr) -> SecretStr:
        scheme, separator, rest = url.get_secret_value().partition("://")
        if not separator or not rest or scheme not in schemes:
            raise ValueError(f"is not a URL that starts with one of {', '.join(sorted(s + '://' for s in schemes))}")
        if not all(_is_readable(part) for part in url.get_secret_value().split(";")):
            raise ValueError("its host and port cannot be read: within a password, write / as %2F, # as %23, @ as %40")
        return url

    return AfterValidator(check)


def _is_readable(url: str) -> bool:
    """Whether clients find the URL's password where it is; a client that misreads it repeats it in an error."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return "@" not in parts.path + parts.query + parts.fragment


def _plain_base(url: HttpUrl) -> HttpUrl:
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("must hold neither credentials nor a query")
    return url


def _open_url(url: HttpUrl) -> HttpUrl:
    if url.username or url.password:
        raise ValueError("must hold no credentials")
    return url


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError("is not a path that starts with / and has no query")
    if LOOKS_LIKE_CPR.search(text):
        raise ValueError("holds what looks like a CPR number, and goes into URLs")
    return text


def _headers(text: SecretStr) -> SecretStr:
    parse_headers(text.get_secret_value())
    return text


def _token(text: SecretStr) -> SecretStr:
    parse_token(text.get_secret_value())
    return text


def _scope(text: str) -> str:
    if not _SCOPE.fullmatch(text):
        raise ValueError("is not a list of scopes with one space between them (RFC 6749, 3.3)")
    return text


def _byte_size(value: object) -> object:
    try:
        return _ANY_BYTE_SIZE.validate_python(value)
    except ValidationError:
        raise ValueError("is not a number of bytes (such as 2MiB or 500000)") from None


def _long_enough(pepper: SecretStr) -> SecretStr:
    if len(pepper.get_secret_value()) < PEPPER_CHARACTERS:
        raise ValueError(f"has fewer than {PEPPER_CHARACTERS} characters")
    return pepper


def _sealing_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != SEALING_KEY_BYTES:
        raise ValueError(f"holds a key that is not {SEALING_KEY_BYTES} bytes in urlsafe base64") from None
    return key


def _public_key(text: str) -> str:
    _sealing_key(text)
    return text


def _listed_names(value: object) -> object:
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def _numbers(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return frozenset(int(number) for number in value.split(",") if number.strip())
    except ValueError:
        raise ValueError("is not a comma-separated list of whole numbers") from None


def _fault_codes(value: object) -> object:
    return parse_fault_codes(value) if isinstance(value, str) else value


def _listed_peppers(value: object) -> object:
    return parse_peppers(value) if isinstance(value, str) else value


def _listed_keys(value: object) -> object:
    return parse_sealing_keys(value) if isinstance(value, str) else value


def _listed_hashes(value: object) -> object:
    return parse_hashes(value) if isinstance(value, str) else value


def _service_windows(value: object) -> object:
    return service_windows.parse(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_iso_duration)]
Size = Annotated[ByteSize, BeforeValidator(_byte_size)]
RedisUrl = Annotated[SecretStr, _url_with(REDIS_SCHEMES)]
BrokerUrl = Annotated[SecretStr, _url_with(BROKER_SCHEMES)]
OpenUrl = Annotated[HttpUrl, AfterValidator(_open_url)]
BaseUrl = Annotated[HttpUrl, AfterValidator(_plain_base)]
MAY_BE_EMPTY = "empty is a value"
"""Metadata of a type: a variable that is set to nothing sets it to nothing, and not to its default."""
UrlPath = Annotated[str, AfterValidator(_path), MAY_BE_EMPTY]
HeaderFields = Annotated[SecretStr, AfterValidator(_headers)]
BearerToken = Annotated[SecretStr, AfterValidator(_token)]
VisibleAscii = Annotated[str, AfterValidator(parse_token)]
Scope = Annotated[str, AfterValidator(_scope)]
Pepper = Annotated[SecretStr, AfterValidator(_long_enough)]
PublicKey = Annotated[str, AfterValidator(_public_key)]

# Lists are one text, which pydantic-settings would read as JSON without NoDecode.
Peppers = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_listed_peppers)]
SealingKeys = Annotated[tuple[SecretBytes, ...], NoDecode, BeforeValidator(_listed_keys)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed_names)]
Numbers = Annotated[frozenset[int], NoDecode, BeforeValidator(_numbers)]
FaultCodes = Annotated[tuple[FaultCode, ...], NoDecode, BeforeValidator(_fault_codes)]
Hashes = Annotated[tuple[Hash, ...], NoDecode, BeforeValidator(_listed_hashes)]
ServiceWindows = Annotated[
    tuple[service_windows.Weekly | service_windows.Once, ...], NoDecode, BeforeValidator(_service_windows)
]
