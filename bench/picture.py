"""The results as a picture: by what factor each target was reached. `python -m bench.picture latest.json latest.png`"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

HELD, MISSED = "#2b7a4b", "#b23b3b"


def factor(row: dict[str, Any], figure: float) -> float:
    """How many times better than the target; below 1 it is missed."""
    target = float(row["target_value"])
    return figure / target if row["better"] == "more" else target / max(figure, 1e-9)


def draw(result: dict[str, Any], path: Path) -> None:
    """Writes the picture."""
    rows = [row for row in result["rows"] if row["figure"] is not None][::-1]
    figure, axes = plt.subplots(figsize=(11, 0.62 * len(rows) + 1.6))
    for place, row in enumerate(rows):
        value, is_ratio = factor(row, row["figure"]), row["ratio"] and row["target"].endswith("×")
        axes.barh(place, value, color=HELD if row["holds"] else MISSED, height=0.6)
        ends = [value, value]
        if is_ratio:
            ends = sorted(factor(row, row["ratio"][end]) for end in ("min", "max"))
            axes.plot(ends, [place, place], color="black", linewidth=1.2, marker="|", markersize=9)
        unit = row["target"].split(" ", 2)[2]
        axes.text(
            max(value, ends[1], 1) * 1.06,
            place + 0.02,
            f"{row['figure']:.3g} {unit}  (target {row['target']})",
            va="center",
            fontsize=8,
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(right=axes.get_xlim()[1] * 4)
    axes.set_yticks(range(len(rows)), [row["name"].replace(", beside", ",\nbeside") for row in rows], fontsize=8)
    axes.set_xlabel("times the target (1 and more holds); the line is the range of the pairs")
    load, cores = result["load_at_start"][0], result["cores"]
    axes.set_title(
        f"make bench, {result['at'][:16].replace('T', ' ')} UTC, {cores} cores, load {load} at the start", fontsize=9
    )
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
