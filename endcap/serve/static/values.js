// Questions about products' values: one at a time, its answers numbered, the next one ready before the key is pressed.

import { $, enters } from "./asking.js";
import { el } from "./drawing.js";
import { ON_VALUES, listen, shownKey } from "./keys.js";
import { Conflicts, Outbox } from "./outbox.js";

const AHEAD = 40;
const LOW = 10;
const LAST = 10;
const NOT_TAKEN_BACK = "Nothing unsent is left to take back; what the server has can be taken back once it answers";
const kind = $("desk").dataset.kind;
const state = { questions: [], waiting: null, last: [], putOff: new Set(), conflicts: new Conflicts("endcap.conflicts.values"), loading: null, said: "", decided: 0, refused: false };
const outbox = new Outbox({ onOutcome: heard, onState: tell, onRefused: refused, address: "/api/v1/review/values", stored: "endcap.outbox.values" });
const nameOf = (question) => `${question.product_id} ${question.field}`;

function tell(what, words = "") {
  const said = { offline: `The server does not answer. Go on: ${outbox.kept("answer")} and sent when it is back.`, failing: `The server cannot store now. Go on: ${outbox.kept("answer")}.`,
    "signed out": "Your session has ended; nothing is lost. Sign in again in another tab, then go on here.",
    forbidden: "Your role may look at the catalog, not decide. Ask somebody who manages people for the role of a reviewer.", refused: words }[what];
  rail();
  if (what === "online" && state.refused) return; // what was not stored stays said until the next answer
  $("notice").hidden = !said;
  $("notice").replaceChildren(said ?? "");
}

async function heard(outcome, answer) {
  const name = nameOf(answer);
  const given = state.last.find((one) => nameOf(one.question) === name);
  if (["stored", "repeated"].includes(outcome.state) && given) given.overrideId = answer.action === "set" ? outcome.override_id : null;
  if (!["conflict", "outweighed", "gone"].includes(outcome.state)) return;
  forget([given]);
  if (outcome.state !== "conflict") return notStored(outcome, answer);
  state.conflicts.set(name, { ...outcome, answer });
  const met = given ? [given.question] : await metBefore();
  putFirst(met);
  if (met.length) show();
}

// What met another's answer and is not on this page, as questions: a page opened again makes them anew. What waits no more is said.
async function metBefore() {
  const missing = state.conflicts.all().filter(({ answer }) => !state.questions.some((one) => nameOf(one) === nameOf(answer)));
  const met = await Promise.all(missing.map(({ answer, ...outcome }) => questionOf(answer, outcome)));
  for (const [place, { answer, ...outcome }] of missing.entries()) {
    if (met[place] !== null || !state.conflicts.has(nameOf(answer))) continue;
    state.conflicts.delete(nameOf(answer));
    notStored(outcome, answer);
  }
  return met.filter(Boolean);
}

function putFirst(questions) {
  const names = new Set(questions.map(nameOf));
  state.questions = [...questions, ...state.questions.filter((one) => !names.has(nameOf(one)))];
}

// What was not stored is no answer: it leaves the rail, and no undo means it.
function forget(given) {
  const known = state.last.filter((one) => given.includes(one));
  state.last = state.last.filter((one) => !known.includes(one));
  state.decided = Math.max(0, state.decided - known.length);
  rail();
}

// The question that an answer was to, as far as the answer and the product tell it; null where the product is not there, nothing where that is not known.
async function questionOf(answer, { value, actor }) {
  const found = await fetch(`/api/v1/products/${encodeURIComponent(answer.product_id)}`).catch(() => null);
  if (!found?.ok) return found?.status === 404 ? null : undefined;
  const { title, offers } = await found.json();
  const options = [[answer.value, "what you said"], [value, `what ${actor} said`]].filter(([one]) => one).map(([one, words]) => ({ value: one, words }));
  return { product_id: answer.product_id, field: answer.field, title, offers: offers.length ?? offers, supplier: "", path: "", reason: "", override_id: answer.override_id, options, group: null };
}

// Each is said, however many came at once.
function notStored(outcome, answer) {
  const words = {
    outweighed: "One whose word counts more has set this value; yours was not stored.", gone: "This product is no longer there; your answer was not stored.",
    conflict: `${outcome.actor} answered before yours came, which was not stored.`,
  }[outcome.state];
  const said = el("span", {}, `${words} `, el("a", { href: `/p/${encodeURIComponent(answer.product_id)}` }, "See the product"));
  if (state.refused && !$("notice").hidden) $("notice").append(" ", said);
  else tell("refused", said);
  state.refused = true;
  rail();
}

function refused(answers, { message }) {
  const names = new Set(answers.map((one) => `${one.product_id} ${one.field}`));
  const met = state.last.filter((one) => names.has(nameOf(one.question)));
  const back = met.map((one) => one.question);
  forget(met);
  state.questions = [...back, ...state.questions];
  state.waiting += back.length;
  rail();
  show();
  state.refused = true;
  tell("refused", `Not stored: ${message}`);
}

async function more() {
  state.loading ??= load().finally(() => { state.loading = null; });
  return state.loading;
}

async function load() {
  try {
    const answer = await fetch(`/api/v1/review/values?${new URLSearchParams({ kind, n: String(AHEAD + state.putOff.size + outbox.all().length) })}`);
    if (!answer.ok) return tell({ 401: "signed out", 403: "forbidden" }[answer.status] ?? "failing");
    const found = await answer.json();
    const met = await metBefore();
    const wasEmpty = !state.questions.length;
    putFirst(met);
    const known = new Set([...state.questions.map(nameOf), ...state.putOff, ...outbox.all().map((one) => `${one.product_id} ${one.field}`)]);
    state.questions.push(...found.questions.filter((one) => !known.has(nameOf(one))));
    state.waiting = Math.max(0, found.waiting - outbox.all().length);
    if (wasEmpty || met.length) show();
    else count();
  } catch {
    tell("offline");
    setTimeout(more, 1000);
  }
}

function count() {
  const waits = state.waiting === null ? "…" : `${state.waiting.toLocaleString("en")} ${state.waiting === 1 ? "question waits" : "questions wait"}`;
  $("left").textContent = state.said ? `${state.said}. ${waits}` : waits;
}

function say(words) {
  state.said = words;
  count();
}

function show() {
  const question = state.questions[0];
  count();
  if (!question) {
    const words = state.waiting === null ? "Loading" : state.putOff.size ? `You put ${state.putOff.size} off; reload to see them again.`
      : kind === "category" ? "Nothing needs you here. Categories the machine is unsure of appear after a run."
      : "Nothing needs you here. Values that a person set and that suppliers now contradict appear after a run.";
    $("item").replaceChildren(el("p", { class: "empty" }, words));
    return;
  }
  $("item").replaceChildren(...draw(question, state.conflicts.get(nameOf(question))));
  if (state.questions.length < LOW && state.waiting > state.questions.length) more();
}

function draw(question, conflict) {
  const button = (verb, words, look = "") => el("button", { type: "button", "data-verb": verb, class: look }, `${words} `, el("kbd", {}, shownKey(verb)));
  const facts = [["Supplier", question.supplier], ["Its category", question.path], ["Offers", String(question.offers)]];
  return [
    conflict ? el("p", { class: "notice conflicts", role: "alert" }, `${conflict.actor} ${conflict.value ? `set it to “${conflict.value}”` : "let the suppliers' word stand"} meanwhile. `,
      button("keep", "Keep theirs"), " ", button("overrule", "Mine holds")) : null,
    el("h2", {}, question.field === "category" ? "Which category is it?" : `What is its ${question.field.replaceAll("_", " ")}?`),
    el("p", { class: "title asked", dir: "auto" }, el("a", { href: `/p/${encodeURIComponent(question.product_id)}` }, question.title)),
    el("dl", { class: "facts" }, ...facts.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, value)))),
    question.field === "category" ? null : el("p", { class: "why" }, question.reason),
    el("div", { class: "choices" }, el("ol", {}, ...question.options.map((option, place) => el("li", { class: place ? null : "chosen" },
      el("button", { type: "button", "data-choose": String(place + 1) }, el("kbd", {}, String(place + 1)), el("span", { class: "name", dir: "auto" }, option.value), el("span", { class: "quiet words" }, option.words)))))),
    el("div", { class: "verbs" }, button("accept", kind === "category" ? "The first is right" : "The person's holds", "yes"), kind === "value" ? button("suppliers", "The suppliers' now", "no") : null,
      button("edit", "Another value"), button("skip", "Put off"), button("undo", "Undo")),
  ].filter(Boolean);
}

function answerOf(question, action, value, more = {}) {
  return { key: crypto.randomUUID(), product_id: question.product_id, field: question.field, action, value, override_id: question.override_id, ...more };
}

function decide(action, value, more = {}) {
  if (!state.questions.length) return;
  if (state.conflicts.has(nameOf(state.questions[0]))) return say(`Another's answer stands: ${shownKey("keep")} keeps it, ${shownKey("overrule")} lets yours hold`);
  const question = state.questions.shift();
  state.refused = false;
  remember(question, action === "set" ? value : "the suppliers' word");
  state.waiting -= 1;
  outbox.add([answerOf(question, action, value, more)]); // first, so that what is fetched ahead now does not bring this one again
  show();
  say(action === "set" ? `Set to ${value}` : "The suppliers' word stands");
}

function settleConflict(theirs) {
  const question = state.questions[0];
  const met = question && state.conflicts.get(nameOf(question));
  if (!met) return;
  state.conflicts.delete(nameOf(question));
  if (!theirs) return decide(met.answer.action, met.answer.value, { over: met.override_id });
  state.questions.shift();
  show();
}

function choose(place) {
  const option = state.questions[0]?.options[place];
  if (option) decide("set", option.value);
}

function remember(question, words) {
  state.last.unshift({ question, words });
  state.last.length = Math.min(state.last.length, 200);
  state.decided += 1;
  rail();
}

function rail() {
  $("last").replaceChildren(...state.last.slice(0, LAST).map(({ question, words }) => el("li", {}, el("button", { type: "button", class: "plain", "data-reopen": nameOf(question), title: "Take it back and ask again" },
    el("b", { dir: "auto" }, words), " ", el("span", { dir: "auto" }, question.title)))));
  $("session").replaceChildren(...[["This session", state.decided], ["Not sent yet", outbox.all().length]].map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
}

function skip() {
  const question = state.questions.shift();
  if (!question) return;
  state.putOff.add(nameOf(question));
  show();
  say("Put off");
}

async function undo(chosen = null) {
  let unsent = chosen ? null : await outbox.takeBack();
  if (!unsent) {
    await outbox.send(); // what was on its way is stored by then, or waits here again
    unsent = chosen ? null : await outbox.takeBack();
  }
  if (!unsent && chosen && !chosen.overrideId) return say("This one cannot be taken back here; see the product");
  const undone = unsent ?? (chosen ? await undoChosen(chosen) : await undoLast());
  if (!undone) return say(NOT_TAKEN_BACK);
  if (!undone.length) return say("Nothing to take back");
  const taken = new Set(undone.map(nameOf));
  const back = state.last.filter((one) => taken.has(nameOf(one.question)));
  forget(back);
  // Where the suppliers' word had been let stand, what a person said before holds again: no question is left of it.
  if (!unsent && back.length && back.every((one) => one.overrideId === null)) return say(`The person's word holds again: ${back[0].question.title}`);
  const names = new Set(back.map((one) => nameOf(one.question)));
  state.questions = [...back.map((one) => one.question), ...state.questions.filter((one) => !names.has(nameOf(one)))];
  state.waiting += back.length;
  show();
  say("Taken back");
  if (!back.length) await more();
}

// What the server took back, by its own word: this page may know of more than it stored, and of less. Null where it does not answer.
async function undoLast() {
  const { ok, status, told } = await outbox.undoStored({ about: kind }).catch(() => ({}));
  if (ok) return told.values;
  tell(status === 401 ? "signed out" : status ? "failing" : "offline");
  return null;
}

async function undoChosen(chosen) {
  const answer = await fetch(`/api/v1/overrides/${chosen.overrideId}/undo`, { method: "POST", headers: outbox.headers(), body: "{}" }).catch(() => null);
  if (answer?.ok) return chosen.group ? state.last.filter((one) => one.group === chosen.group).map((one) => one.question) : [chosen.question];
  tell(answer?.status === 401 ? "signed out" : answer ? "failing" : "offline");
  return null;
}

async function together() {
  const question = state.questions[0];
  if (!question?.group || kind !== "category") return say("Only categories are decided together");
  const answer = await fetch(`/api/v1/review/values?${new URLSearchParams({ kind, n: "500", group: question.group })}`).catch(() => null);
  if (!answer?.ok) return tell("failing");
  const { questions } = await answer.json();
  if (questions.length < 2) return say("No other question is like it");
  const picked = questions.filter((_, place) => place % Math.ceil(questions.length / 5) === 0).slice(0, 5);
  $("item").replaceChildren(el("h2", {}, `${questions.length} products with the same question`), el("p", { class: "why" }, question.group),
    el("ul", { class: "samples" }, ...picked.map((one) => el("li", { dir: "auto" }, one.title))),
    el("div", { class: "verbs options" }, ...question.options.map((option) => el("button", { type: "button", "data-all": option.value }, `All: ${option.value}`)), el("button", { type: "button", "data-all": "" }, "Back")));
  $("item").onclick = (event) => {
    const value = event.target.closest("[data-all]")?.dataset.all;
    if (value === undefined) return;
    $("item").onclick = null;
    if (value) setAll(questions, value);
    else show();
  };
}

function setAll(questions, value) {
  const group = crypto.randomUUID();
  const names = new Set(questions.map(nameOf));
  state.questions = state.questions.filter((one) => !names.has(nameOf(one)));
  for (const question of questions) { remember(question, `${value} (of ${questions.length})`); state.last[0].group = group; }
  state.waiting -= questions.length;
  outbox.add(questions.map((question) => answerOf(question, "set", value, { group_id: group })));
  show();
  say(`${questions.length} set to ${value}`);
}

async function suggest() {
  const question = state.questions[0];
  const typed = $("edit-value").value;
  const found = await fetch(`/api/v1/values?${new URLSearchParams({ field: question.field, q: typed })}`).then((answer) => answer.json()).catch(() => ({ values: [] }));
  if ($("edit-value").value !== typed) return;
  $("values-known").replaceChildren(...(found.values ?? []).map((value) => el("option", { value })));
}

function edit() {
  if (!state.questions[0]) return;
  $("edit-value").value = "";
  $("edit-mistake").hidden = true;
  $("edit").showModal();
  $("edit-value").focus();
  suggest();
}

// A category is one of the house's: as it was typed, or the only one that holds the words.
async function saveEdited() {
  const typed = $("edit-value").value.trim();
  if (!typed) return;
  const value = kind === "category" ? await houseCategory(typed) : typed;
  $("edit-mistake").hidden = value !== null;
  if (value === null) return;
  $("edit").close();
  decide("set", value);
}

async function houseCategory(typed) {
  const found = await fetch(`/api/v1/values?${new URLSearchParams({ field: "category", q: typed })}`).then((answer) => answer.json()).catch(() => ({ values: [typed] }));
  const same = found.values.find((one) => one.toLowerCase() === typed.toLowerCase());
  if (same || found.values.length === 1) return same ?? found.values[0];
  $("edit-mistake").textContent = found.values.length ? "Several categories hold these words: choose one of them." : "The house has no category of these words.";
  return null;
}

function act(verb, key = "") {
  const acts = { accept: () => choose(0), choose: () => choose(Number(key) - 1), suppliers: () => kind === "value" && decide("suppliers", null), edit, skip, undo, batch: together,
    keep: () => settleConflict(true), overrule: () => settleConflict(false),
    open: () => state.questions[0] && open(`/p/${encodeURIComponent(state.questions[0].product_id)}`, "_blank", "noopener") };
  acts[verb]?.();
}

listen(act, ON_VALUES, { digits: "that value", changed: show, lists: false });
$("item").addEventListener("click", (event) => {
  const { verb, choose: chosen } = event.target.closest("button")?.dataset ?? {};
  if (verb) act(verb);
  else if (chosen) act("choose", chosen);
});
$("edit-value").addEventListener("input", suggest);
enters("edit-value", "#edit-save");
$("edit-save").addEventListener("click", saveEdited);
$("last").addEventListener("click", (event) => {
  const name = event.target.closest("[data-reopen]")?.dataset.reopen;
  const given = state.last.find((one) => nameOf(one.question) === name);
  if (given) undo(given);
});
addEventListener("focus", () => outbox.all().length && outbox.send());
rail();
outbox.send().then(more).then(() => state.questions.length || show()); // what waits is counted after what a closed page left
