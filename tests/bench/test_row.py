"""What a row of the benchmark says of its figures, and where it is shown."""

import json
from dataclasses import replace

import pytest

from bench import night, report, soak
from bench.harness import Row, Target

AT_LEAST_ONE = Target("at least", 1.0)
PAIRS = [(90, 100), (120, 100), (110, 100)]


def row(target=AT_LEAST_ONE):
    return Row.compared("x", "fetches", target, PAIRS, "fetches/s", "arq")


def test_the_median_of_the_pairs_ratios_decides():
    assert (row().ratio.min, row().figure, row().ratio.max) == (0.9, 1.1, 1.2)


@pytest.mark.parametrize(
    ("target", "holds"),
    [
        (AT_LEAST_ONE, True), (Target("at least", 1.2), False),
        (Target("at most", 1.2), True), (Target("at most", 1.0), False),
    ],
)  # fmt: skip
def test_a_target_holds_on_its_own_side(target, holds):
    assert row(target).holds is holds


def test_what_has_no_figure_does_not_hold():
    assert not replace(row(), figure=None).holds


def test_the_time_that_grows_with_the_square_of_the_citizens_has_the_exponent_two():
    nights = [night.Night(n, 4 * n, (n / 100) ** 2, {}, 1.0, [], {}) for n in (100, 1000, 10_000)]
    assert night.exponent(nights) == pytest.approx(2)


HELD = soak.Held(1000, 100.0, {"broker": 10, "cache": 5}, 20, 110, 3, 600_000)


def test_a_worker_that_stays_as_it_is_holds():
    assert all(soak.verdict([HELD, replace(HELD, rss_mib=104.9, blocks=602_900)]).values())


@pytest.mark.parametrize(
    ("grown", "what"),
    [
        ({"rss_mib": 105.1}, "memory"), ({"keys": {"broker": 11, "cache": 5}}, "keys"), ({"sockets": 21}, "sockets"),
        ({"threads": 111}, "threads"), ({"tasks": 4}, "tasks"), ({"blocks": 603_100}, "blocks"),
    ],
)  # fmt: skip
def test_whatever_has_grown_is_named(grown, what):
    holds = soak.verdict([HELD, replace(HELD, **grown)])
    assert [name for name, value in holds.items() if not value] == [what]


@pytest.fixture
def readme(tmp_path, monkeypatch):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{report.BEGIN}\nof last year\n{report.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(report, "README", path)
    return path


def test_the_results_stand_in_the_readme_between_their_marks(readme, tmp_path):
    result = tmp_path / "latest.json"
    about = {"at": "2026-11-27T10:00:00", "cores": 2, "load_at_start": [0.1, 0, 0], "python": "3.11.1"}
    result.write_text(json.dumps({**about, "rows": [row().as_json()]}), encoding="utf-8")
    report.into_readme(result)
    text = readme.read_text(encoding="utf-8")
    assert "| fetches | 110 fetches/s | 100 fetches/s | 1.1 × (0.90 to 1.20 ×) | ≥ 1 × | yes |" in text
    assert text.startswith("before\n")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "of last year" not in text
