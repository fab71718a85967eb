// Keys that mean the same on every page: / for the search, g and a letter to go somewhere.

import { inField, singleKeys } from "./keys.js";

const PLACES = { q: "/review", o: "/", p: "/products", d: "/deliveries", s: "/metrics", f: "/feeds", r: "/runs" };
const SECOND_MS = 1500;
let goingSince = 0;

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || inField(event.target) || document.querySelector("dialog[open]") || !singleKeys()) return;
  if (Date.now() - goingSince < SECOND_MS && PLACES[event.key]) {
    event.preventDefault();
    event.stopImmediatePropagation();
    goingSince = 0;
    if (document.querySelector(`nav a[href="${PLACES[event.key]}"]`)) location.assign(PLACES[event.key]);
    return;
  }
  goingSince = event.key === "g" ? Date.now() : 0;
  if (event.key === "/") {
    event.preventDefault();
    document.querySelector(".search input").focus();
  }
}, true);
