// What is the same on every page: keys and commands, light and dark, and pictures that come or do not.

import { PLACES, showKeys, showPalette } from "./dialogs.js";
import { el } from "./drawing.js";
import { here, inField, meant, shownKey, singleKeys } from "./keys.js";

// A picture that is there covers the letters below it; one that cannot be had goes away and leaves them.
function settle(image) {
  if (image instanceof HTMLImageElement && image.closest(".picture")) image.naturalWidth ? image.classList.add("there") : image.remove();
}
for (const event of ["load", "error"]) document.addEventListener(event, ({ target }) => settle(target), true);
for (const image of document.querySelectorAll(".picture img")) if (image.complete) settle(image);

// A table that is wider than its window is moved by the arrow keys too.
function reachable() {
  for (const box of document.querySelectorAll(".wide:not([role])")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("resize", reachable);
reachable();

// --- keys ---

const SECOND_MS = 1500;
const signedIn = document.querySelector(".top nav") !== null;
let goingSince = 0;

function lines() {
  const all = [...document.querySelectorAll("main tbody tr, main .needs > li, main .timeline > li")];
  return all.filter((line) => line.checkVisibility() && line.querySelector("a, button:not([hidden]), input:not([hidden])"));
}

function move(by) {
  const all = lines();
  const at = all.findIndex((line) => line.classList.contains("at"));
  const line = all[Math.min(all.length - 1, Math.max(0, at + by))];
  for (const one of all) one.classList.toggle("at", one === line);
  line?.querySelector("input:not([hidden]), a, button:not([hidden])")?.focus();
  line?.scrollIntoView({ block: "nearest" });
}

function follow(rel) {
  document.querySelector(`main a[rel~=${rel}]`)?.click();
}

function startGoing() {
  goingSince = Date.now();
  const hint = el("p", { id: "going", role: "status" }, el("b", {}, "Go to"), ...PLACES.map(({ key, name }) => el("span", {}, el("kbd", {}, key), ` ${name}`)));
  document.body.append(hint);
  setTimeout(() => hint.remove(), SECOND_MS);
}

function goes(key) {
  if (Date.now() - goingSince > SECOND_MS) return false;
  goingSince = 0;
  document.getElementById("going")?.remove();
  const place = PLACES.find((one) => one.key === key);
  if (place) location.assign(place.path);
  return Boolean(place);
}

const ACTS = {
  down: () => move(1), up: () => move(-1), older: () => follow("prev"), newer: () => follow("next"), go: startGoing,
  search: () => document.querySelector(".search input")?.focus(), help: () => showKeys(), palette: () => showPalette(act),
};

function act(verb, key) {
  if (here().verbs.includes(verb) || verb === "choose") here().act(verb, key);
  else ACTS[verb]?.();
}

function back(event) {
  if (inField(event.target)) return event.target.blur();
  const panel = document.querySelector(".panel:not([hidden])");
  const asked = document.querySelector("main [data-back]");
  if (panel) panel.querySelector("[data-close]").click();
  else if (asked) asked.click();
  else [...document.querySelectorAll("main .trail a")].at(-1)?.click();
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229 || !signedIn) return;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    if (!document.querySelector("dialog[open]")) act("palette");
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") return back(event);
  if (inField(event.target) || !singleKeys()) return;
  if (goes(event.key)) return event.preventDefault();
  const verb = meant(event);
  if (!verb) return;
  event.preventDefault();
  act(verb, event.key);
});

// --- the foot of every page ---

const THEMES = { system: "as the system", light: "light", dark: "dark" };

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("endcap.theme", theme);
  drawFoot();
}

function nextTheme() {
  const all = Object.keys(THEMES);
  setTheme(all[(all.indexOf(document.documentElement.dataset.theme) + 1) % all.length]);
}

function drawFoot() {
  const line = document.getElementById("page-keys");
  if (!line) return;
  const button = (name, ...words) => el("button", { type: "button", class: "plain", "data-foot": name }, ...words);
  const focused = document.activeElement?.dataset.foot;
  line.replaceChildren(...(signedIn ? [button("help", "Keys ", el("kbd", {}, shownKey("help"))), button("palette", "Commands ", el("kbd", {}, "Ctrl K"))] : []),
    button("theme", `Theme: ${THEMES[document.documentElement.dataset.theme]}`));
  if (focused) line.querySelector(`[data-foot=${focused}]`)?.focus();
}

document.addEventListener("click", (event) => {
  const pressed = event.target.closest?.("[data-foot]")?.dataset.foot;
  if (pressed === "theme") nextTheme();
  else if (pressed) act(pressed);
});
addEventListener("endcap:theme", ({ detail }) => setTheme(detail));
addEventListener("endcap:keys", drawFoot);
drawFoot();
