// The page's own check of a fault report's text (R9): the same verdicts as domain/fault_report.py.
// tests/domain/fault_report_cases.json holds the cases that both are tested with. `fit` keeps a text within the limit while
// it is written.

/** The longest text that the vendor takes, in UTF-16 code units, which is what `length` counts. */
export const LIMIT = 500;

// Unicode's category Cc, but for tab and line feed.
const CONTROL_CHARACTER = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

/** The text as it is stored: line breaks as LF, no white space around it, nothing else changed. */
export function clean(text) {
  return text.replaceAll("\r\n", "\n").replaceAll("\r", "\n").trim();
}

/**
 * What becomes of a text: `verdict` is "ok", "empty", "too_long", "control_character" or "unpaired_surrogate"; `length` and
 * `left` are UTF-16 code units of the cleaned text, `left` being how many more may be written.
 */
export function check(text) {
  const cleaned = clean(text);
  return { verdict: verdict(cleaned), length: cleaned.length, left: Math.max(0, LIMIT - cleaned.length), stored: cleaned };
}

function verdict(cleaned) {
  if (cleaned === "") return "empty";
  if (cleaned.length > LIMIT) return "too_long";
  if (CONTROL_CHARACTER.test(cleaned)) return "control_character";
  if (!cleaned.isWellFormed()) return "unpaired_surrogate";
  return "ok";
}

/**
 * What a field takes of a change from `before` to `after`, whose insertion ends at `caret`: as much of what was inserted,
 * from its beginning, as there is room for; never half a character. A full text takes no more, also no white space, which
 * would not count; one that is too long already may be shortened. `leftOut` is how many UTF-16 code units were not taken.
 */
export function fit(before, after, caret) {
  const { start, end } = inserted(before, after, caret);
  const [head, added, tail] = [after.slice(0, start), after.slice(start, end), after.slice(end)];
  const was = check(before);
  const fits = (length) => {
    const candidate = head + added.slice(0, length) + tail;
    const { length: counted, left } = check(candidate);
    const grows = candidate.length > before.length;
    return counted <= Math.max(LIMIT, was.length) && !(grows && was.left === 0 && left === 0);
  };
  let taken = added.length;
  if (!fits(taken)) {
    let tooMany = taken;
    taken = 0;
    while (tooMany - taken > 1) {
      const middle = (taken + tooMany) >> 1;
      if (fits(middle)) taken = middle;
      else tooMany = middle;
    }
    taken = boundary(added, taken);
  }
  return { text: head + added.slice(0, taken) + tail, caret: start + taken, leftOut: added.length - taken };
}

/** Where in `after` the insertion is: it ends at the caret, unless what follows the caret was not there before. */
function inserted(before, after, caret) {
  let end = caret;
  if (!before.endsWith(after.slice(caret))) {
    let same = 0;
    const most = Math.min(before.length, after.length);
    while (same < most && before[before.length - 1 - same] === after[after.length - 1 - same]) same += 1;
    end = after.length - same;
  }
  const most = Math.min(end, before.length - (after.length - end));
  let start = 0;
  while (start < most && before[start] === after[start]) start += 1;
  return { start, end };
}

/** The last boundary between two characters, as people see them, at or before `position`. */
function boundary(text, position) {
  if (position >= text.length) return position;
  return new Intl.Segmenter("da").segment(text).containing(position).index;
}
