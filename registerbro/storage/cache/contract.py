"""JSON Schema of the cache's entries, derived from the models.

`python -m registerbro.storage.cache.contract` prints it.
"""

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from domain.overview import KEPT, sections_of
from registerbro.storage.cache.entries import FORMAT

_MILLISECONDS = {"type": "string", "pattern": "^[0-9]+$", "description": "Milliseconds since 1970-01-01T00:00:00Z"}


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12. `$defs/entry` is the Redis hash, `$defs/data/<register>` what its field `data` opens to."""
    _, models = models_json_schema([(section.item, "serialization") for section in KEPT])
    data = {
        register: {
            "type": "object",
            "properties": {
                section.id: {"type": "array", "items": {"$ref": f"#/$defs/{section.item.__name__}"}}
                for section in sections_of(register)
            },
            "required": [section.id for section in sections_of(register)],
            "additionalProperties": False,
        }
        for register in dict.fromkeys(section.register for section in KEPT)
    }
    entry = {
        "type": "object",
        "description": "The hash entry:{<citizen id>}:<register>. Redis strings; `data` is sealed bytes.",
        "properties": {
            "v": {"const": FORMAT.decode()},
            "data": {"description": "Sealed; opens to #/$defs/data/<register>"},
            "fetched_at": _MILLISECONDS,
            "fresh_until": _MILLISECONDS,
            "usable_until": _MILLISECONDS,
            "failure": {"type": "string", "description": "Reason of the last failure; counts until retry_at"},
            "failed_at": _MILLISECONDS,
            "retry_at": _MILLISECONDS,
            "pending_at": _MILLISECONDS,
            "pending_until": _MILLISECONDS,
        },
        "required": ["v"],
        "dependentRequired": {
            "data": ["fetched_at", "fresh_until", "usable_until"],
            "failure": ["failed_at", "retry_at"],
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "registerbro cache contract",
        "$ref": "#/$defs/entry",
        "$defs": {"entry": entry, "data": data, **models["$defs"]},
    }


if __name__ == "__main__":
    print(json.dumps(schema(), ensure_ascii=False, indent=2))  # noqa: T201 - that is what it is run for
