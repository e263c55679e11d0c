"""`python -m tests.system.hostile [--quick] [--only WORD]`: puts hostile answers through their clients, and prints
each.

The exit status is 1 when one of them comes to another outcome than is expected, or costs more than it may.
"""

import argparse
import sys

from tests.system.hostile.cases import MOST_CPU_SECONDS, MOST_MIB, MOST_STOPPED_MS
from tests.system.hostile.running import Run, every_case


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.hostile", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the part that the test suite runs")
    parser.add_argument("--only", default="", help="those of which this is a part of the name")
    arguments = parser.parse_args()
    failed = count = 0
    with Run() as run:
        for case, form in every_case(run.signer, quick=arguments.quick):
            if arguments.only not in f"{case.kind} {case.target} {case.name}":
                continue
            told = run.put(case, form)
            count += 1
            faults = told.faults()
            failed += bool(faults)
            print(f"{'FAILED ' if faults else ''}{told}", flush=True)
    print(
        f"{count} answers, {failed} failed; at most {run.most('cpu_seconds')} s of {MOST_CPU_SECONDS}, "
        f"{run.most('mib')} MiB of {MOST_MIB}, {run.most('stopped_ms')} ms of {MOST_STOPPED_MS}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
