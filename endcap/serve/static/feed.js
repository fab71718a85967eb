// A held delivery is let through, or held again, each with a reason.

import { $, enters } from "./asking.js";
import { el } from "./drawing.js";
import { ON_FEED, listen } from "./keys.js";

const { feed, date } = $("feed").dataset;
const WORDS = { release: "Let it through", hold: "Hold it again" };

// To a part of the page, where the next key press goes on from.
function to(id) {
  $(id).tabIndex = -1;
  $(id).focus();
  $(id).scrollIntoView();
}

// A change of how the feed is read is a proposal; it is accepted, and deliveries are read again by it, on its own page.
function change() {
  const proposed = document.querySelector("[data-change]");
  if (proposed) location.assign(proposed.href);
  else $("said").textContent = "No change of how this feed is read waits for a yes.";
}

function ask(verb) {
  if (verb === "mapping") return to("mapping");
  if (verb === "columns" || verb === "replay") return change();
  if (verb === "quarantined") return document.querySelector("a[href^='/quarantine/']")?.click();
  const button = document.querySelector(`[data-verb=${verb}]`);
  if (!date || !button || button.hidden) return;
  $("let-title").textContent = `${WORDS[verb]}: ${feed} ${date}`;
  $("let-mistake").hidden = true;
  $("let-reason").value = "";
  $("let-do").onclick = () => send(verb);
  $("let-would").replaceChildren();
  $("let").showModal();
  if (verb === "release") foresee();
  $("let-reason").focus();
}

// What would change is shown before it can be let through; where it cannot be told, why.
async function foresee() {
  const box = $("let-would");
  $("let-do").disabled = true;
  box.replaceChildren(el("p", { class: "quiet" }, "Reading what it would change"));
  try {
    const answer = await fetch(`/api/v1/feeds/${encodeURIComponent(feed)}/held/${date}`);
    const told = await answer.json();
    box.replaceChildren(...(answer.ok ? drawWould(told) : [el("p", { class: "notice conflicts" }, told.error.message)]));
  } catch {
    box.replaceChildren(el("p", { class: "notice conflicts" }, "The server does not answer, so that what would change is not known."));
  }
  $("let-do").disabled = false;
}

function drawWould(told) {
  const said = told.said_by.length ? ` ${told.said_by.join(", ")} has let it through; another has to as well.` : "";
  const many = told.takes_two ? el("p", { class: "notice" }, `So many offers at once take two people.${said}`) : null;
  const rows = told.samples.map((one) => el("tr", {}, el("td", { class: "nowrap" }, one.kind), el("th", { scope: "row", class: "text", dir: "auto" }, one.title),
    el("td", { class: "text", dir: "auto" }, one.changes.map(({ field, was, now }) => `${field}: ${was || "nothing"} → ${now || "nothing"}`).join("; "))));
  const count = (n) => n.toLocaleString("en");
  return [
    el("p", {}, el("b", {}, count(told.vanished)), " offers would vanish, ", el("b", {}, count(told.changed)), " change, ", el("b", {}, count(told.new)), " be new."), many,
    rows.length ? el("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "Some of them" }, el("table", {}, el("tbody", {}, ...rows))) : null,
  ].filter(Boolean);
}

async function send(verb) {
  const given = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ date, reason: $("let-reason").value }) };
  let mistake = "";
  try {
    const answer = await fetch(`/api/v1/feeds/${encodeURIComponent(feed)}/${verb}`, given);
    if (!answer.ok) mistake = (await answer.json()).error.message;
  } catch {
    mistake = "The server does not answer; nothing was stored.";
  }
  if (mistake) {
    $("let-mistake").hidden = false;
    $("let-mistake").textContent = mistake;
    return;
  }
  $("let").close();
  for (const one of ["release", "hold"]) document.querySelector(`[data-verb=${one}]`).hidden = one === verb;
  document.querySelector("h1 .badge").textContent = verb === "release" ? "released" : "held";
  $("said").textContent = verb === "release" ? "Let through; the next run takes it in." : "Held again.";
}

document.addEventListener("click", (event) => {
  const verb = event.target.closest("button")?.dataset.verb;
  if (verb) ask(verb);
});
listen(ask, ON_FEED);
enters("let-reason", "#let-do");
