// The product page's verbs: set, lock, split, merge, undo; each against the version that the person saw.

import { $, enters } from "./asking.js";
import { el, waterfall } from "./drawing.js";
import { ON_PRODUCT, listen } from "./keys.js";

const id = $("product").dataset.product;
const api = `/api/v1/products/${encodeURIComponent(id)}`;
const state = { version: "", role: "viewer", fields: [], said: [] };
const ROLES = ["viewer", "reviewer", "lead", "admin"];

async function ask(path, body, more = {}) {
  const given = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json", "if-match": `"${state.version}"`, "endcap-person": encodeURIComponent(document.body.dataset.person), ...more }, body: JSON.stringify(body) };
  try {
    const answer = await fetch(path, given);
    const told = await answer.json();
    return answer.ok ? told : { mistake: `${sentence(told.error.message)} ${sentence(told.error.hint ?? "")}`.trim(), status: answer.status, words: told.error.message, other: told.error.hint?.match(/\/p\/[^\s:]+/)?.[0] };
  } catch {
    return { mistake: "The server does not answer; nothing was stored." };
  }
}

function notice(words) {
  $("notice").hidden = !words;
  $("notice").textContent = words ?? "";
}

function may(role) {
  return ROLES.indexOf(state.role) >= ROLES.indexOf(role);
}

// What is shown and the version that a change is made against are of one snapshot: of a newer one the page is drawn anew before its version is taken.
async function load() {
  const [me, said] = await Promise.all([ask("/api/v1/me"), ask(`${api}/answers`)]);
  if (said.mistake) return notice(said.mistake);
  if (!await shows(said.snapshot)) return notice("A new version of the catalog is being opened; load the page again to see it.");
  Object.assign(state, { role: me.role ?? "viewer", version: said.version, fields: said.fields, said: said.said });
  if (may("reviewer")) for (const one of document.querySelectorAll(".verbs-line, [data-edit], input[name=offer]")) one.hidden = false;
  drawAsked(said.asked);
  drawSaid(said.said);
}

const PARTS = [".trail", "#product", ".facts", "section[aria-labelledby=values]", "section[aria-labelledby=offers]", "section[aria-labelledby=history]", "footer code"];
const TRIES = 20;
const snapshotOf = (page) => page.querySelector("footer code")?.textContent ?? null;

async function shows(snapshot) {
  for (let tried = 0; snapshotOf(document) !== snapshot; tried++) {
    if (tried === TRIES) return false;
    if (tried) await new Promise((go) => setTimeout(go, 200)); // the page may still be answered from the snapshot before
    const answer = await fetch(location.href).catch(() => null);
    if (answer?.redirected) location.assign(answer.url); // it was merged into another
    if (!answer?.ok || answer.redirected) return false;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (snapshotOf(page) !== snapshot) continue;
    for (const part of PARTS) document.querySelector(part)?.replaceWith(...page.querySelectorAll(part));
    document.title = page.title;
  }
  return true;
}

function drawAsked(asked) {
  $("asked").hidden = !asked.length;
  $("asked-list").replaceChildren(...asked.map((one) => el("li", {}, el("span", { dir: "auto" }, one.words),
    el("span", {}, ...(may("reviewer") ? [el("button", { type: "button", "data-keep": one.field }, "Keep the person's"), " ",
      el("button", { type: "button", "data-undo": String(one.override_id) }, "Take the suppliers'"), " ", el("button", { type: "button", "data-edit": one.field }, "Edit")] : [])))));
}

function wordsOf(one) {
  const about = one.field ? `${one.field}: ${one.value}` : one.offer_id;
  const did = { set: "set", lock: "locked", same: "said it belongs here:", other: "said it belongs here:", different: "said it does not belong:", new: "said it is a product of its own:" }[one.action];
  return `${one.actor} ${did} ${about}`;
}

function drawSaid(said) {
  const groups = new Map();
  for (const one of said) groups.set(one.group_id ?? one.override_id, [...(groups.get(one.group_id ?? one.override_id) ?? []), one]);
  $("waits").hidden = !groups.size;
  $("waits-list").replaceChildren(...[...groups.values()].map((together) => {
    const one = together[0];
    const rest = together.length > 1 ? ` and ${together.length - 1} more` : "";
    return el("tr", {}, el("td", { class: "text", dir: "auto" }, wordsOf(one) + rest), el("td", { class: "text quiet", dir: "auto" }, one.note),
      el("td", { class: "nowrap" }, el("span", { class: `badge ${one.waits || one.overruled ? "unknown" : "agrees"}` }, one.waits ? "waits for the next run" : one.overruled ? "another answer holds" : "in this version")),
      el("td", { class: "nowrap quiet" }, `${one.at.slice(0, 10)} ${one.at.slice(11, 16)} UTC`),
      el("td", { class: "r" }, may("reviewer") ? el("button", { type: "button", class: "plain", "data-undo": String(one.override_id) }, "Undo") : ""));
  }));
  const waiting = said.filter((one) => one.waits).length;
  $("said").textContent = waiting ? `${waiting} ${waiting === 1 ? "answer waits" : "answers wait"} for the next run` : "";
}

function focused(kind) {
  const active = document.activeElement?.closest(`tr[data-${kind}]`) ?? document.querySelector(`tr.at[data-${kind}]`);
  return active?.dataset[kind];
}

function edit(field, lock = false) {
  if (!may("reviewer")) return notice("Setting a value takes the role reviewer.");
  $("edit-field").replaceChildren(...state.fields.map((one) => el("option", { value: one, selected: one === field }, one.replaceAll("_", " "))));
  $("edit-lock").checked = lock;
  $("lock-line").hidden = !may("lead");
  $("edit-mistake").hidden = true;
  $("edit-note").value = "";
  chosen();
  $("edit").showModal();
  $("edit-value").focus();
  $("edit-value").select();
}

function nowOf(field) {
  return document.querySelector(`tr[data-field="${CSS.escape(field)}"] td`)?.textContent.trim() ?? "";
}

function chosen() {
  $("edit-value").value = nowOf($("edit-field").value);
  tellNow();
  suggest();
}

function tellNow() {
  const field = $("edit-field").value, now = nowOf(field), waiting = state.said.find((one) => one.field === field && one.waits);
  $("edit-now").textContent = [now ? `Now: ${now}` : "Nothing is known of it yet.", waiting && `${wordsOf(waiting)}, which waits for the next run`].filter(Boolean).join(" · ");
}

async function suggest() {
  const asked = new URLSearchParams({ field: $("edit-field").value, q: $("edit-value").value === nowOf($("edit-field").value) ? "" : $("edit-value").value });
  const found = await ask(`/api/v1/values?${asked}`);
  $("values-known").replaceChildren(...(found.values ?? []).map((value) => el("option", { value })));
}

async function save(field, value, more = {}) {
  const answer = await ask(`${api}/values`, { key: crypto.randomUUID(), field, value, ...more });
  if (answer.status === 409 && answer.other) return askWhetherBoth(answer, () => save(field, value, { ...more, shared: true }));
  return done(answer, `${field} set to ${value}`, "edit");
}

// Another product has this GTIN: the two may be one, or the seller gives it to both.
function askWhetherBoth({ words, other }, all) {
  const box = $("edit").open ? $("edit-mistake") : $("notice");
  const button = el("button", { type: "button" }, "Both have it: set it");
  button.addEventListener("click", all);
  box.hidden = false;
  box.replaceChildren(`${words[0].toUpperCase()}${words.slice(1)}: `, el("a", { href: other, target: "_blank", rel: "noopener" }, "look at it"), ", and merge the two where they are one. ", button);
}

async function done(answer, words, dialog) {
  if (answer.mistake) {
    if (answer.status === 412) {  // what changed is shown before it is said; a preview is of what was
      await load();
      tellNow();
      $("change").close();
    }
    const shown = $(`${dialog}-mistake`);
    if ($(dialog).open) { shown.hidden = false; shown.textContent = answer.mistake; } else notice(answer.mistake);
    return;
  }
  $(dialog).close();
  notice("");
  await load();
  $("said").textContent = `${words}. ${$("said").textContent}`;
}

function sentence(text) {
  return text && `${text[0].toUpperCase()}${text.slice(1).replace(/\.+$/, "")}.`;
}

async function foresee(title, path, body, tell) {
  const foreseen = await ask(`${path}/preview`, body);
  if (foreseen.mistake) return notice(foreseen.mistake);
  notice("");
  $("change-title").textContent = title;
  $("change-mistake").hidden = true;
  $("change-note").value = "";
  $("change-body").replaceChildren(el("p", {}, tell(foreseen)), el("ul", {}, ...foreseen.samples.map((one) => el("li", { dir: "auto" }, one))),
    ...foreseen.contradictions.map((one) => el("p", { class: "notice conflicts" }, one)));
  $("change-do").onclick = async () => done(await ask(path, { ...body, key: crypto.randomUUID(), note: $("change-note").value }), title, "change");
  if (!$("change").open) $("change").showModal();
  $("change-note").focus();
}

function offers(n) {
  return `${n} ${n === 1 ? "offer" : "offers"}`;
}

function split() {
  const marked = [...document.querySelectorAll("input[name=offer]:checked")].map((one) => one.value);
  const chosenOffers = marked.length ? marked : [focused("offer")].filter(Boolean);
  if (!chosenOffers.length) return notice("Mark the offers that are another product, then split them off.");
  foresee("Split off", `${api}/split`, { offer_ids: chosenOffers }, (told) =>
    `${offers(told.other_offers)} would become the product ${told.other_id}; ${offers(told.offers)} would stay.`);
}

async function merge() {
  const title = document.querySelector("h1").textContent;
  $("change-title").textContent = "Merge into another product";
  const box = el("input", { id: "merge-search", "aria-label": "Search the product to merge into", placeholder: "Words, GTIN or id", autocomplete: "off", value: title.split(" ").slice(0, 3).join(" ") });
  const list = el("ul", { class: "samples" });
  let asked = 0;
  const search = async () => {
    const turn = ++asked;
    const found = await ask(`/api/v1/products?${new URLSearchParams({ q: box.value })}`);
    if (turn !== asked) return; // an answer that comes late is not shown over that to a later question
    list.replaceChildren(...(found.products ?? []).filter((one) => one.product_id !== id).slice(0, 8).map((one) => {
      const button = el("button", { type: "button", class: "plain" }, one.title);
      button.onclick = () => foresee("Merge", `${api}/merge`, { into: one.product_id }, (told) =>
        `All ${offers(told.other_offers)} of this product would go to “${one.title}” (${told.product_id}), which has ${offers(told.offers)}; this address would lead there.`);
      return el("li", { dir: "auto" }, button, el("span", { class: "quiet" }, `${one.brand ?? ""} ${one.product_id}`));
    }));
  };
  box.oninput = search;
  $("change-body").replaceChildren(el("p", {}, box), list);
  enters("merge-search", "#change-body li button");
  $("change-mistake").hidden = true;
  $("change-do").onclick = () => { $("change-mistake").hidden = false; $("change-mistake").textContent = "Choose a product first."; };
  $("change").showModal();
  box.select();
  await search();
}

async function told(title, rows) {
  $("told-title").textContent = title;
  $("told-body").replaceChildren(...rows);
  $("told").showModal();
}

async function history() {
  const field = focused("field") ?? "title";
  const found = await ask(`${api}/history?${new URLSearchParams({ field })}`);
  if (found.mistake) return notice(found.mistake);
  const rows = found.versions.map((one) => el("tr", {}, el("td", { class: "r" }, `run ${one.run}`), el("td", { class: "text", dir: "auto" }, one.value ?? "unknown"),
    el("td", { class: "quiet text" }, one.override_id ? `a person, answer ${one.override_id}` : `${one.extractor ?? ""} ${one.source_offer_id ?? ""}`)));
  told(`Every ${field} this product had`, [el("table", {}, el("tbody", {}, ...rows))]);
}

async function why() {
  const mine = focused("offer") ?? document.querySelector("tr[data-offer]")?.dataset.offer;
  const other = [...document.querySelectorAll("tr[data-offer]")].map((row) => row.dataset.offer).find((one) => one !== mine);
  if (!mine || !other) return notice("This product has one offer: there is no other to compare it with.");
  const pair = await ask(`/api/v1/pairs?${new URLSearchParams({ left: mine, right: other })}`);
  if (pair.mistake) return notice(pair.mistake);
  const number = (value) => (value >= 0 ? "+" : "−") + Math.abs(value).toFixed(2);
  const rest = pair.bars.filter((one) => !one.words).reduce((sum, one) => sum + one.contribution, 0);
  const steps = [...pair.bars.filter((one) => one.words), { words: "everything else", contribution: rest }, ...(pair.log_odds === null ? [] : [{ words: "together", contribution: pair.log_odds, sum: true }])];
  const drawn = waterfall(steps);
  const bars = steps.map((one, place) => el("tr", {}, el("th", { scope: "row" }, one.words), el("td", {}, drawn[place]), el("td", { class: "r" }, number(one.contribution))));
  const named = (offer) => el("p", {}, el("a", { href: `/o/${encodeURIComponent(offer.offer_id)}`, dir: "auto" }, offer.title), " ", el("span", { class: "quiet" }, offer.offer_id));
  told("Why these two are together", [named(pair.left), named(pair.right), el("p", { class: "why" }, pair.words), el("p", { class: "quiet" }, "Each line moves the weight for (right) or against (left) one product; together they are the weight the machine decides by."),
    el("div", { class: "wide" }, el("table", {}, el("caption", { class: "hidden" }, "What speaks for and against one product"), el("tbody", {}, ...bars)))]);
}

async function undoLast() {
  const mine = state.said.find((one) => one.actor === document.body.dataset.person);
  if (!mine) return notice("No answer of yours about this product stands.");
  await undoOne(mine.override_id);
}

async function undoOne(overrideId) {
  const answer = await ask(`/api/v1/overrides/${overrideId}/undo`, {});
  if (answer.mistake) return notice(answer.mistake);
  await load();
  $("said").textContent = `Taken back. ${$("said").textContent}`;
}

const ACTS = {
  edit: () => edit(focused("field") ?? "title"), lock: () => edit(focused("field") ?? "title", true), history, why, split, merge,
  undo: undoLast,
};

listen((verb) => ACTS[verb]?.(), ON_PRODUCT);
document.addEventListener("click", (event) => {
  const pressed = event.target.closest("button");
  if (!pressed) return;
  const { verb, edit: field, undo, keep } = pressed.dataset;
  if (verb) ACTS[verb]?.();
  else if (field) edit(field);
  else if (undo) undoOne(undo);
  else if (keep) save(keep, nowOf(keep));
});
$("edit-field").addEventListener("change", chosen);
$("edit-value").addEventListener("input", suggest);
for (const [field, button] of [["edit-value", "#edit-save"], ["edit-note", "#edit-save"], ["change-note", "#change-do"]]) enters(field, button);
$("edit-save").addEventListener("click", () => save($("edit-field").value, $("edit-value").value, { lock: $("edit-lock").checked, note: $("edit-note").value }));
load();
