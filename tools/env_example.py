"""`make env-example`: writes `.env.example`, which lists every setting once, from the tree's descriptions."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import ByteSize, TypeAdapter
from pydantic_core import PydanticUndefined

from config.settings import DELIMITER, PREFIX, Settings, leaves, secret_names

HEAD = """\
# Every setting of registerbro, once. Every process requires the settings without `#`; the others show their default,
# or an example. A secret (marked so) may be in a file: append _FILE to its name, and give the path.
"""
EXAMPLES = {
    "BROKER_URL": "redis://broker:6379/0",
    "COORDINATION_URL": "redis://broker:6379/0",
    "LEDGER_URL": "redis://ledger:6379/0",
    "CACHE_URL": "redis://cache:6379/0",
    "AUDIT_DIR": "/var/lib/registerbro/audit",
    "JWKS_FILE": "/etc/registerbro/jwks.json",
    "JWKS_URL": "https://login.example/jwks.json",
    "JWT_ISSUER": "https://login.example",
    "JWT_AUDIENCE": "registerbro",
    "BASE_URL": "https://upstream.example",
    "CLIENT_CERT": "/run/secrets/client.pem",
    "CA_BUNDLE": "/run/secrets/authorities.pem",
    "CRL_FILE": "/run/secrets/revoked.crl",
    "SIGNING_CERT": "/run/secrets/signing.p12",
    "VERIFY_WITH": "/run/secrets/gateway.pem",
    "VERIFY_SUBJECT": "2.5.4.97=NTRDK-12345678",
    "USER": "registerbro",
    "TOKEN_URL": "https://login.upstream.example/oauth2/token",
    "CLIENT_ID": "registerbro",
    "SCOPE": "upstream.read",
    "HEADERS": '{"x-organisation": "8;751"}',
    "CALLS_PER_SECOND": "20",
    "SERVICE_WINDOWS": "Mon-Fri 20:30-05:00; 2023-03-10 09:00/2023-03-10 13:00",
    "METRICS_PORT": "9100",
    "TRACING_ENDPOINT": "http://collector:4318/v1/traces",
    "SIGNING_KEY_FILE": "/run/secrets/demo-key.pem",
    "CONTROL_URL": "http://simulators:8100",
}
"""An example by the last part of the setting's name, where no default shows the form of a value."""

_DURATION = TypeAdapter(timedelta)


def lines() -> Iterator[str]:
    """The file, line by line."""
    yield HEAD
    secrets = secret_names()
    last_group = ""
    for name, description, field in leaves():
        group = name.removeprefix(PREFIX).partition(DELIMITER)[0] if DELIMITER in name else ""
        if group != last_group:
            yield f"\n# {_title(group)}"
            last_group = group
        yield f"# {description}" + (" (secret)" if name in secrets else "")
        yield ("" if field.default is PydanticUndefined else "# ") + f"{name}={_shown(name, field.default)}"


def _title(group: str) -> str:
    model = Settings.model_fields[group.lower()].annotation
    return (model.__doc__ or "").splitlines()[0]


def _shown(name: str, default: Any) -> Any:  # noqa: ANN401 - whatever a setting's default is
    if isinstance(default, timedelta):
        return _DURATION.dump_python(default, mode="json")
    if isinstance(default, ByteSize):
        return f"{default.to('MiB'):g}MiB"
    if default is PydanticUndefined or default in (None, (), frozenset()):
        return EXAMPLES.get(name.removeprefix(PREFIX).split(DELIMITER)[-1], "")
    return default


if __name__ == "__main__":
    print("\n".join(lines()))  # noqa: T201 - that is what it is run for
