// The review desk: one item at a time, the next one ready before the key is pressed, answers sent behind the person's back.

import { Conflicts, Outbox } from "./outbox.js";
import { dialog } from "./dialogs.js";
import { REASONS, draw, drawBatch, drawProduct, drawReasons, el } from "./drawing.js";
import { ON_REVIEW, listen, shownKey } from "./keys.js";

const AHEAD = 40;
const LOW = 20;
const LAST = 10;
const HISTORY = 50;
const IDLE_S = 60;
const LEAST_GOLD = 30;
const NOT_TAKEN_BACK = "Nothing unsent is left to take back; what the server has can be taken back once it answers";
const DID = { same: "same", different: "different", other: "another candidate", new: "new product", skip: "put off", escalate: "to a lead" };

const $ = (id) => document.getElementById(id);
const state = { items: [], waiting: null, fitting: 0, leased: 0, last: [], shownAt: 0, reason: "", conflicts: new Conflicts("endcap.conflicts"), detail: false, loading: null, turn: 0, ended: false, seconds: [], undone: 0, holders: {}, checks: false, snapshot: null, said: "", gold: [0, 0], batch: null, refused: false, barred: false };
const outbox = new Outbox({ onOutcome: heard, onState: tell, onRefused: refused });

function tell(what, words = "") {
  const notice = $("notice");
  const said = {
    offline: `The server does not answer. Go on: ${outbox.kept("decision")} and sent when it is back.`,
    failing: `The server cannot store now. Go on: ${outbox.kept("decision")}.`,
    "signed out": "Your session has ended; nothing is lost. Sign in again in another tab, then go on here.",
    forbidden: "Your role may look at the catalog, not decide. Ask somebody who manages people for the role of a reviewer.",
    refused: words,
  }[what];
  rail(); // what waits to be sent is told there
  if (what === "online" && state.refused) return; // what was not stored stays said until the next answer
  notice.hidden = !said;
  notice.replaceChildren(said ?? "");
}

async function heard(outcome, decision) {
  const title = state.last.find((one) => one.item.offer_id === decision.offer_id)?.item.offer.title ?? decision.offer_id;
  if (outcome.state === "conflict") {
    state.conflicts.set(decision.offer_id, { ...outcome, decision, title });
    const item = forget(decision);
    const met = item ? [item] : await metBefore();
    putFirst(met);
    if (met.length) show();
  } else if (outcome.state === "gone") {
    notStored(decision, `“${title}” is no longer delivered; your answer to it was not stored.`);
  } else if (outcome.state === "outweighed") {
    notStored(decision, `${outcome.actor}, whose word counts more, decided “${DID[outcome.action]}” of “${title}”; your answer was not stored.`);
  }
}

// What met another's answer and is not on this page, as items: a page opened again has them from the server. What waits no more since a run is said.
async function metBefore() {
  const missing = state.conflicts.all().filter(({ decision }) => !state.items.some((item) => item.offer_id === decision.offer_id));
  const met = missing.length ? await look(missing.map(({ decision }) => decision.offer_id)) : [];
  if (!met) return []; // kept until the server answers
  for (const { decision, actor, action, title } of missing) {
    if (met.some((item) => item.offer_id === decision.offer_id) || !state.conflicts.has(decision.offer_id)) continue;
    state.conflicts.delete(decision.offer_id);
    notStored(null, `${actor} decided “${DID[action]}” of “${title}” before your “${DID[decision.action]}” came, which was not stored.`, decision.offer_id);
  }
  return met;
}

function putFirst(items) {
  const ids = new Set(items.map((item) => item.offer_id));
  state.items = [...items, ...state.items.filter((item) => !ids.has(item.offer_id))];
}

function refused(decisions, { message }) {
  for (const decision of decisions) forget(decision);
  notStored(null, decisions.length > 1 ? `${decisions.length} answers were not stored: ${message}` : `One answer was not stored: ${message}`);
}

// Each is said, however many came at once.
function notStored(decision, words, offerId = "") {
  if (decision) forget(decision);
  const said = el("span", {}, words, offerId && " ", offerId && el("a", { href: `/o/${encodeURIComponent(offerId)}` }, "See the offer"));
  if (state.refused && !$("notice").hidden) $("notice").append(" ", said);
  else tell("refused", said);
  state.refused = true;
  rail();
}

// What was not stored is no decision: it leaves the rail, and its item is given back where it is known.
function forget(decision) {
  const place = state.last.findIndex((one) => one.item.offer_id === decision.offer_id);
  if (place < 0) return null;
  const [{ item }] = state.last.splice(place, 1);
  state.seconds.pop();
  rail();
  return item.choices ? item : null;
}

function filters() {
  return Object.fromEntries(new FormData($("filters")).entries());
}

async function more() {
  if (state.loading || state.ended) return state.loading;
  const turn = state.turn;
  const had = [...state.items.map((item) => item.offer_id), ...outbox.all().map((one) => one.offer_id)];
  const first = state.snapshot === null ? new URLSearchParams(location.search).get("first") ?? "" : "";
  const asked = new URLSearchParams({ n: String(AHEAD), first, skip: had.slice(0, 100).join("\n"), ...(state.checks ? { checks: "true" } : filters()) });
  state.loading = (async () => {
    try {
      const answer = await fetch(`/api/v1/review/next?${asked}`);
      if (turn !== state.turn) return; // asked with filters that hold no more
      state.barred = answer.status === 403;
      if (!answer.ok) return tell({ 401: "signed out", 403: "forbidden" }[answer.status] ?? "failing");
      const found = await answer.json();
      const met = await metBefore();
      if (turn !== state.turn) return;
      const wasEmpty = !state.items.length;
      putFirst(met);
      const known = new Set([...had, ...outbox.all().map((one) => one.offer_id), ...state.items.map((item) => item.offer_id)]);
      const fresh = found.items.filter((item) => !known.has(item.offer_id));
      state.items.push(...fresh);
      state.ended = fresh.length === 0;
      Object.assign(state, { waiting: Math.max(found.waiting - unsent(), 0), fitting: found.fitting, leased: found.leased, holders: found.holders });
      await settled(found.snapshot, fresh);
      options("supplier", found.suppliers);
      options("category", found.categories);
      options("reason", found.reasons);
      if (wasEmpty || met.length) show();
      else count();
      if (first && !state.items.some((item) => item.offer_id === first)) say("The offer that was asked for waits no more, or another looks at it");
    } catch {
      tell("offline");
      if (turn === state.turn) setTimeout(more, 1000);
    } finally {
      if (turn === state.turn) state.loading = null;
    }
  })();
  return state.loading;
}

// Answers that the server does not count yet; what was put off goes on waiting.
function unsent() {
  return outbox.all().filter((one) => one.action !== "skip").length;
}

// A run that was published meanwhile may have settled what lies ahead: it is shown as it is now, or passed over. What was decided is kept.
async function settled(snapshot, fresh) {
  const before = state.snapshot;
  state.snapshot = snapshot;
  const arrived = new Set(fresh.map((item) => item.offer_id));
  const old = state.items.filter((item) => !arrived.has(item.offer_id));
  if (before === null || before === snapshot || !old.length) return;
  const looked = await look(old.map((item) => item.offer_id));
  if (!looked) return;
  const now = new Map(looked.map((item) => [item.offer_id, item]));
  const gone = old.filter((item) => !now.has(item.offer_id) && !state.conflicts.has(item.offer_id));
  const first = state.items[0];
  state.items = state.items.filter((item) => !gone.includes(item)).map((item) => (item === first ? item : now.get(item.offer_id) ?? item));
  if (!gone.length) return;
  if (gone.includes(first)) show();
  say(`A run settled ${gone.length === 1 ? "1 item" : `${gone.length} items`} meanwhile`);
}

// Offers as items, or null where they cannot be had.
async function look(ids) {
  const looked = await fetch(`/api/v1/review/items?${new URLSearchParams({ ids: ids.join("\n") })}`).catch(() => null);
  return looked?.ok ? (await looked.json()).items : null;
}

// The filters as the address has them.
function readFilters() {
  const given = new URLSearchParams(location.search);
  for (const box of $("filters").elements) {
    const value = given.get(box.name) ?? "";
    if (![...box.options].some((one) => one.value === value)) box.append(el("option", { value }, value));
    box.value = value;
  }
}

function refill(checks = false) {
  Object.assign(state, { items: [], ended: false, checks, loading: null, turn: state.turn + 1 });
  more().then(() => state.items.length || show());
}

function options(name, counts) {
  const box = $("filters").elements[name];
  const chosen = box.value;
  const shown = chosen in counts ? counts : { ...counts, [chosen]: 0 };
  box.replaceChildren(el("option", { value: "" }, "all"), ...Object.entries(shown).filter(([value]) => value).map(([value, n]) =>
    el("option", { value, selected: value === chosen }, `${value.replaceAll("_", " ")} (${n})`)));
}

function count() {
  const filtered = Object.values(filters()).some(Boolean) && state.fitting < state.waiting ? `${state.fitting.toLocaleString("en")} of ` : "";
  const waits = state.waiting === null ? state.barred ? "Nothing for you to decide" : "…" : `${filtered}${state.waiting.toLocaleString("en")} ${state.waiting === 1 ? "offer waits" : "offers wait"}`;
  $("left").textContent = state.said ? `${state.said}. ${waits}` : waits;
}

function fewer(n) {
  state.waiting -= n;
  state.fitting -= n;
}

function say(words) {
  state.said = words;
  count();
}

function show() {
  const item = state.items[0];
  state.batch = null;
  count();
  if (!item) return showNothing();
  $("item").replaceChildren(...draw(item, shownKey, state.conflicts.get(item.offer_id)));
  if (!$("panel").hidden) beside();
  $("item").classList.toggle("detailed", state.detail);
  state.shownAt = Date.now();
  state.reason = "";
  $("note").value = "";
  if (state.items.length < LOW) more();
}

function showNothing() {
  const chosen = Object.values(filters()).filter(Boolean).length;
  const hidden = state.waiting - state.fitting;
  const who = Object.entries(state.holders).map(([name, n]) => `${name} (${n})`).join(", ");
  const words = state.barred ? "Reviewers decide here. Products, feeds and runs are open to you." : state.waiting === null ? "Loading" : state.leased ? `Others are looking at the last ${state.leased}${who ? `: ${who}` : ""}. What they leave comes back within five minutes.`
    : chosen && hidden > 0 ? `Nothing here; ${chosen} ${chosen === 1 ? "filter hides" : "filters hide"} ${hidden}.`
    : state.checks ? "No other link is there to be checked." : "Nothing needs you. Decisions the machine is unsure of appear after a run.";
  const way = chosen && hidden > 0 ? el("button", { type: "button", "data-empty": "all" }, "Show all") : !state.checks && state.waiting !== null && navigator.onLine
    ? el("button", { type: "button", "data-empty": "checks" }, "Check links the machine is sure of") : null;
  $("item").replaceChildren(el("div", { class: "empty" }, el("p", {}, words), way));
  $("panel").hidden = true;
}

function fill(what) {
  if (what === "all") {
    for (const box of $("filters").elements) box.value = "";
    history.replaceState(null, "", location.pathname);
  }
  refill(what === "checks");
}

function decisionOf(item, action, choice, more = {}) {
  return {
    key: crypto.randomUUID(), offer_id: item.offer_id, action, product_id: choice?.product_id ?? null, counterpart_offer_id: choice?.nearest?.offer_id ?? null,
    identity: item.identity, evidence: item.evidence, model: item.model, reason_code: state.reason, note: $("note").value, shown_ms: state.shownAt,
    answered_ms: Date.now(), ...more,
  };
}

function decide(action, place = 0) {
  const item = state.items[0];
  if (!item) return;
  const needsNone = ["new", "skip", "escalate"].includes(action);
  const choice = needsNone ? item.choices[0] : item.choices[place];
  if (!choice && !needsNone) return say(item.choices.length ? `There ${item.choices.length === 1 ? "is 1 candidate" : `are ${item.choices.length} candidates`}` : "No product resembles it: it can be a new one");
  if (state.conflicts.has(item.offer_id)) return say(`Another's answer stands: ${shownKey("keep")} keeps it, ${shownKey("overrule")} lets yours hold`);
  const decision = decisionOf(item, action, choice);
  state.seconds.push(Math.min(IDLE_S, (decision.answered_ms - decision.shown_ms) / 1000));
  state.items.shift();
  state.refused = false;
  remember(item, action === "other" ? `candidate ${place + 1}` : DID[action]);
  if (action !== "skip") fewer(1);
  outbox.add([decision]); // first, so that what is fetched ahead now does not bring this one again
  rail();
  show();
  announce(action);
}

function remember(item, words) {
  state.last.unshift({ item, words });
  state.last.length = Math.min(state.last.length, 200);
}

function median(values) {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
}

function rail() {
  $("last").replaceChildren(...state.last.slice(0, LAST).map(({ item, words }) => el("li", {}, el("button", { type: "button", class: "plain", "data-reopen": item.offer_id, title: "Take it back and look again" },
    el("b", {}, words), " ", el("span", { dir: "auto" }, item.offer.title)))));
  const pace = state.seconds.length ? `${median(state.seconds).toFixed(1)} s` : "–";
  if (!state.last.length) $("last").replaceChildren(el("li", { class: "quiet" }, "None yet"));
  const told = [["Decided", state.seconds.length], ["Median pace", pace], ["Taken back", state.undone], ["Not sent yet", outbox.all().length], ["Right on gold items", goldWords()]].filter(([, value]) => value !== null);
  $("session").replaceChildren(...told.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
}

// Null where no gold item was answered; a share of few says nothing.
function goldWords() {
  const [n, right] = state.gold;
  return !n ? null : n < LEAST_GOLD ? `not enough data (n = ${n})` : `${Math.round((100 * right) / n)} % (n = ${n})`;
}

async function askGold() {
  try {
    const answer = await fetch("/api/v1/review/stats");
    if (!answer.ok) return;
    const told = await answer.json();
    state.gold = [told.gold, told.gold_right];
  } catch { /* the rail goes without it */ }
}

// What was decided before this page was opened stands in the rail too, and how often gold items were answered right.
async function earlier() {
  const [answers] = await Promise.all([mine(LAST), askGold()]);
  const known = new Set(state.last.map(({ item }) => item.offer_id));
  state.last.push(...answers.filter((one) => one.standing && !known.has(one.offer_id)).map((one) => ({ item: { offer_id: one.offer_id, offer: { title: one.title ?? one.offer_id } }, words: DID[one.action] })));
  rail();
}

async function mine(n) {
  try {
    const answer = await fetch(`/api/v1/review/mine?n=${n}`);
    return answer.ok ? (await answer.json()).answers : [];
  } catch {
    return [];
  }
}

async function showDecided() {
  await outbox.send();
  const answers = await mine(HISTORY);
  const lines = answers.map((one) => el("tr", {}, el("td", { class: "nowrap quiet" }, `${one.at.slice(0, 10)} ${one.at.slice(11, 16)} UTC`), el("th", { scope: "row", class: "nowrap" }, DID[one.action]),
    el("td", { class: "text", dir: "auto" }, one.title ?? one.offer_id), el("td", { class: "r" }, one.standing ? el("button", { value: one.offer_id }, "Reopen") : el("span", { class: "quiet" }, "taken back"))));
  const made = dialog("decided", { "aria-labelledby": "decided-title" }, el("h2", { id: "decided-title", tabindex: "-1", autofocus: "" }, "What you decided"),
    lines.length ? el("div", { class: "wide", tabindex: "0", role: "group", "aria-labelledby": "decided-title" }, el("table", {}, el("tbody", {}, ...lines))) : el("p", { class: "quiet" }, "Nothing yet. What you decide is listed here, the newest first."),
    el("menu", {}, el("button", { value: "" }, "Close")));
  made.addEventListener("close", () => made.returnValue && undo(made.returnValue));
  made.showModal();
}

// The product beside the item, in the place of the rail.
async function beside() {
  const choice = state.items[0]?.choices[0];
  if (!choice) { $("panel").hidden = true; return; }
  let told = [el("p", { class: "quiet" }, "The server does not answer.")];
  try {
    const answer = await fetch(`/api/v1/products/${encodeURIComponent(choice.product_id)}`);
    told = answer.ok ? drawProduct(await answer.json()) : [el("p", { class: "quiet" }, "This product is no longer there.")];
  } catch { /* it is said above */ }
  if (state.items[0]?.choices[0] === choice && !$("panel").hidden) $("panel-body").replaceChildren(...told);
}

function togglePanel(open = $("panel").hidden) {
  $("panel").hidden = !open;
  if (open) beside();
}

function announce(action, n = 1) {
  say((n > 1 ? `All ${n}: ` : "") + { same: "Same", different: "Different", other: "Another candidate", new: "New product", skip: "Put off", escalate: "Left to a lead" }[action]);
}

async function undo(offerId = null) {
  let unsent = await outbox.takeBack(offerId);
  if (!unsent) {
    await outbox.send(); // what was on its way is stored by then, or waits here again
    unsent = await outbox.takeBack(offerId);
  }
  if (unsent) {
    const back = unsent.map((one) => state.last.find(({ item }) => item.offer_id === one.offer_id)?.item).filter((item) => item?.choices);
    return putBack(back, unsent.length, offerId);
  }
  try {
    const { ok, status, told } = await outbox.undoStored({ offer_id: offerId, about: "offers" });
    if (!ok) {
      tell(status === 401 ? "signed out" : "failing");
      return say(NOT_TAKEN_BACK);
    }
    putBack(told.items, told.count, offerId);
  } catch {
    tell("offline");
    say(NOT_TAKEN_BACK);
  }
}

function putBack(items, undone, offerId) {
  const back = new Set([...items.map((item) => item.offer_id), offerId]);
  const putOff = state.last.filter(({ item, words }) => back.has(item.offer_id) && words === DID.skip).length; // which went on waiting
  state.items = [...items, ...state.items.filter((item) => !back.has(item.offer_id))];
  state.last = state.last.filter(({ item }) => !back.has(item.offer_id));
  fewer(putOff - undone);
  state.undone += undone;
  rail();
  show();
  say(!undone ? "Nothing to take back" : items.length ? "Taken back" : "Taken back; the next run takes it up");
}

async function batch() {
  const item = state.items[0];
  if (!item) return;
  const answer = await fetch(`/api/v1/review/groups?${new URLSearchParams(filters())}`).catch(() => null);
  if (!answer) return tell("offline");
  if (!answer.ok) return tell(answer.status === 401 ? "signed out" : "failing");
  const { groups } = await answer.json();
  const group = groups.find((one) => one.group === item.group);
  if (!group || group.count < 2) {
    say("No other item has the same evidence");
    return;
  }
  const looked = await fetch(`/api/v1/review/items?${new URLSearchParams({ ids: group.offer_ids.join("\n") })}`).catch(() => null);
  if (!looked) return tell("offline");
  if (!looked.ok) return tell("failing");
  state.batch = (await looked.json()).items;
  $("item").replaceChildren(...drawBatch(group.group, state.batch, shownKey));
}

// While a batch is asked, a key means the whole batch or nothing: the item behind it is not on the screen.
function actOnBatch(action) {
  const items = state.batch;
  if (["same", "different", "new"].includes(action)) decideAll(items, action);
  else if (!action || action === "batch") show();
}

function decideAll(items, action) {
  const group = crypto.randomUUID();
  const fit = items.filter((item) => action === "new" || item.choices.length);
  const ids = new Set(fit.map((item) => item.offer_id));
  const decisions = fit.map((item) => decisionOf(item, action, item.choices[0], { group_id: group }));
  state.items = state.items.filter((item) => !ids.has(item.offer_id));
  for (const item of fit) remember(item, `${DID[action]} (of ${fit.length})`);
  state.seconds.push(...fit.map(() => Math.min(IDLE_S, (decisions[0].answered_ms - decisions[0].shown_ms) / 1000 / fit.length)));
  fewer(fit.length);
  outbox.add(decisions);
  rail();
  show();
  announce(action, fit.length);
}

function settleConflict(theirs) {
  const item = state.items[0];
  const conflict = item && state.conflicts.get(item.offer_id);
  if (!conflict) return;
  state.conflicts.delete(item.offer_id);
  state.items.shift();
  if (!theirs) {
    remember(item, DID[conflict.decision.action]);
    outbox.add([{ ...conflict.decision, key: crypto.randomUUID(), over: conflict.override_id }]);
    rail();
  }
  show();
}

function askReason() {
  $("reasons").replaceChildren(...drawReasons(state.reason));
  $("note-box").showModal();
}

function act(verb, key = "") {
  if (state.batch && verb !== "decided") actOnBatch(verb);
  else if (["same", "different", "new", "skip", "escalate"].includes(verb)) decide(verb);
  else if (verb === "choose") Number(key) === 1 ? decide("same") : decide("other", Number(key) - 1);
  else if (verb === "undo") undo();
  else if (verb === "reason") askReason();
  else if (verb === "batch") batch();
  else if (verb === "evidence") { state.detail = !state.detail; $("item").classList.toggle("detailed", state.detail); }
  else if (verb === "open") togglePanel();
  else if (verb === "decided") showDecided();
  else if (verb === "keep") settleConflict(true);
  else if (verb === "overrule") settleConflict(false);
}

listen(act, ON_REVIEW, { digits: "that candidate", changed: show, lists: false });
$("last").addEventListener("click", (event) => {
  const offerId = event.target.closest("[data-reopen]")?.dataset.reopen;
  if (offerId) undo(offerId);
});
$("panel").addEventListener("click", (event) => { if (event.target.closest("[data-close]")) togglePanel(false); });
$("item").addEventListener("click", (event) => {
  const pressed = event.target.closest("button");
  if (pressed?.dataset.batch !== undefined) actOnBatch(pressed.dataset.batch);
  else if (pressed?.dataset.empty) fill(pressed.dataset.empty);
  else if (pressed?.dataset.verb) act(pressed.dataset.verb);
  else if (pressed?.dataset.choose) act("choose", pressed.dataset.choose);
});
$("note-box").addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLTextAreaElement || !REASONS[event.key]) return;
  state.reason = REASONS[event.key][0];
  document.querySelector(`input[name=reason][value=${state.reason}]`).checked = true;
  $("note-box").close();
});
$("note-box").addEventListener("close", () => {
  state.reason = document.querySelector("input[name=reason]:checked")?.value ?? state.reason;
  const [, words] = Object.values(REASONS).find(([code]) => code === state.reason) ?? [];
  const given = [words, $("note").value.trim() && "a note"].filter(Boolean);
  if (given.length) say(`Your next answer carries: ${given.join(" and ")}`);
});
$("filters").addEventListener("change", () => {
  history.pushState(null, "", `?${new URLSearchParams(Object.entries(filters()).filter(([, value]) => value))}`);
  refill();
});
addEventListener("popstate", () => { readFilters(); refill(); });
addEventListener("focus", () => outbox.all().length && outbox.send());

readFilters();
rail();
const sent = outbox.send(); // of a page that was closed before; what waits is counted after them
sent.then(earlier);
sent.then(more).then(() => state.items.length || show());
