// Keys: what each does, remapped by the person, silent inside fields and while a word is being composed.

const STORED = "endcap.keys";

export const STANDARD = {
  same: "y", different: "n", new: "0", skip: "s", undo: "u", reason: "r", evidence: "e", open: "o", batch: "b", help: "?",
  down: "j", up: "k", edit: "v", lock: "l", history: "h", why: "w", split: "x", merge: "m", older: "[", newer: "]", accept: "y", suppliers: "n", escalate: "f",
};
// A key means one thing on one page; pages name the verbs they know.
export const ON_REVIEW = ["same", "different", "new", "skip", "undo", "reason", "escalate", "evidence", "open", "batch", "help"];
export const ON_VALUES = ["accept", "suppliers", "edit", "skip", "undo", "batch", "open", "help"];
export const ON_PRODUCT = ["down", "up", "edit", "lock", "history", "why", "split", "merge", "undo", "older", "newer", "help"];

export const WORDS = {
  same: "same product", different: "not this product", new: "a product of its own", skip: "put off", undo: "take back the last decision",
  reason: "give a reason or note", evidence: "show or hide details", open: "open the product", batch: "decide all with the same evidence", help: "all keys",
  down: "next line", up: "line before", edit: "set this value", lock: "lock this value", history: "every value this field had", why: "why this offer belongs here",
  split: "split the marked offers off", merge: "merge into another product", older: "the version before", newer: "the version after",
  accept: "the first value is right", suppliers: "let the suppliers' word stand", escalate: "leave it to a lead",
};

function stored() {
  try {
    return JSON.parse(localStorage.getItem(STORED)) || {};
  } catch {
    return {};
  }
}

export function keyOf(verb) {
  return stored().keys?.[verb] ?? STANDARD[verb];
}

export function singleKeys() {
  return stored().single !== false;
}

export function setSingleKeys(on) {
  localStorage.setItem(STORED, JSON.stringify({ ...stored(), single: on }));
}

export function remap(verb, key, verbs = ON_REVIEW) {
  const keys = Object.fromEntries(Object.keys(STANDARD).map((one) => [one, keyOf(one)]));
  const taken = verbs.find((one) => keys[one] === key);
  if (taken && taken !== verb) keys[taken] = keys[verb];
  keys[verb] = key;
  localStorage.setItem(STORED, JSON.stringify({ ...stored(), keys }));
}

export function standardKeys() {
  localStorage.removeItem(STORED);
}

export function inField(target) {
  return target instanceof Element && (target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null);
}

// Calls act(verb, key) for keys that mean something here; digits 1 to 9 come as "choose".
export function listen(act, verbs = ON_REVIEW) {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      act("palette", event.key);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || inField(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key !== keyOf("help") && !singleKeys()) return;
    const verb = verbs.find((one) => keyOf(one) === event.key);
    const digit = !verb && /^[1-9]$/.test(event.key);
    if (!verb && !digit) return;
    event.preventDefault();
    if (event.repeat && verb !== "undo") return;
    act(verb || "choose", event.key);
  });
}
