"""One measurement of `make bench` as a process of its own: `python -m bench.row NAME RESULT.json [--quick]`."""

import argparse
import importlib
import json
from pathlib import Path

from bench.harness import contained


def main() -> None:
    """Measures and writes the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("result", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    with contained():
        rows = importlib.import_module(f"bench.{options.name}").measure(quick=options.quick)
        options.result.write_text(json.dumps([row.as_json() for row in rows]), encoding="utf-8")


if __name__ == "__main__":
    main()
