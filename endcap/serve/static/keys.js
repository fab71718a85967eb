// Keys: what each does, remapped by the person, silent inside fields and while a word is being composed.

const STORED = "endcap.keys";

export const STANDARD = {
  same: "y", different: "n", new: "0", skip: "s", undo: "u", reason: "r", evidence: "e", open: "o", batch: " ", escalate: "f", decided: "U", keep: "k", overrule: "a",
  accept: "y", suppliers: "n",
  edit: "v", lock: "l", history: "h", why: "w", split: "x", merge: "m",
  release: "r", hold: "h", quarantined: "q", mapping: "m", columns: "a", replay: "y",
  nextRun: "n", runBefore: "p", failed: ".", changes: "D", log: "l", resume: "R",
  down: "j", up: "k", older: "[", newer: "]", search: "/", go: "g", help: "?",
};
// A key means one thing on one page; pages name the verbs they know, and these are known on every page.
export const EVERYWHERE = ["down", "up", "older", "newer", "search", "go", "help"];
export const ON_REVIEW = ["same", "different", "new", "skip", "undo", "reason", "escalate", "evidence", "open", "batch", "decided", "keep", "overrule"];
export const ON_VALUES = ["accept", "suppliers", "edit", "skip", "undo", "batch", "open", "keep", "overrule"];
export const ON_PRODUCT = ["edit", "lock", "history", "why", "split", "merge", "undo"];
export const ON_FEED = ["release", "hold", "quarantined", "mapping", "columns", "replay"];
export const ON_RUNS = ["nextRun", "runBefore", "failed", "changes", "log", "resume"];

export const WORDS = {
  same: "same product", different: "not this product", new: "a product of its own", skip: "put off", undo: "take back the last decision",
  reason: "give a reason or note", evidence: "show or hide details", open: "show the product beside it", batch: "decide all with the same evidence",
  decided: "what I decided", keep: "keep the other's answer", overrule: "my answer holds",
  down: "next line", up: "line before", edit: "set this value", lock: "lock this value", history: "every value this field had", why: "why this offer belongs here",
  split: "split the marked offers off", merge: "merge into another product", older: "the page or version before", newer: "the page or version after",
  accept: "the first value is right", suppliers: "let the suppliers' word stand", escalate: "leave it to a lead",
  release: "let the held delivery through", hold: "hold it again", quarantined: "records in quarantine",
  mapping: "how it is read", columns: "accept a change of how it is read", replay: "read deliveries again by that change",
  nextRun: "the run before this one", runBefore: "the run after this one", failed: "the latest run that failed", changes: "what changed for readers",
  log: "what it did, stage by stage", resume: "how its work is taken up again",
  search: "search products", go: "go to a page: then its letter", help: "all keys",
};

let page = { verbs: [], act: () => {}, digits: "", changed: () => {}, lists: true };

// What keys mean on this page beside EVERYWHERE; `digits` says what 1 to 9 do, `changed` is called when a key means something else now.
export function listen(act, verbs, more = {}) {
  page = { ...page, act, verbs, ...more };
}

export function here() {
  const rest = EVERYWHERE.filter((verb) => page.lists || !["down", "up", "older", "newer"].includes(verb));
  return { ...page, all: [...page.verbs, ...rest] };
}

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

// A key as it is written on a button.
export function shownKey(verb) {
  return keyOf(verb) === " " ? "space" : keyOf(verb);
}

export function singleKeys() {
  return stored().single !== false;
}

export function setSingleKeys(on) {
  localStorage.setItem(STORED, JSON.stringify({ ...stored(), single: on }));
}

// Gives a verb a key; whatever had it gets the verb's own, and is returned.
export function remap(verb, key, verbs) {
  const keys = Object.fromEntries(Object.keys(STANDARD).map((one) => [one, keyOf(one)]));
  const taken = verbs.find((one) => keys[one] === key);
  if (taken && taken !== verb) keys[taken] = keys[verb];
  keys[verb] = key;
  localStorage.setItem(STORED, JSON.stringify({ ...stored(), keys }));
  return taken === verb ? undefined : taken;
}

export function standardKeys() {
  localStorage.removeItem(STORED);
}

// A field of a dialog that was just closed keeps the focus until the next frame, and takes no keys any more.
export function inField(target) {
  return target instanceof Element && !target.closest("dialog:not([open])") && target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
}

// The verb that a key press means here, "choose" for a digit, or null.
export function meant(event) {
  const { all, digits } = here();
  if (event.key === " " && event.target instanceof Element && event.target.closest("button, a, summary, input")) return null;
  const verb = all.find((one) => keyOf(one) === event.key);
  if (verb) return event.repeat && !["undo", "down", "up"].includes(verb) ? null : verb;
  return digits && !event.repeat && /^[1-9]$/.test(event.key) ? "choose" : null;
}
