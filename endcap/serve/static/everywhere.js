// What is the same on every page: keys (/ for the search, g and a letter to go somewhere), and pictures that come or do not.

import { inField, singleKeys } from "./keys.js";

// A picture that is there covers the letters below it; one that cannot be had goes away and leaves them.
function settle(image) {
  if (image instanceof HTMLImageElement && image.closest(".picture")) image.naturalWidth ? image.classList.add("there") : image.remove();
}
for (const event of ["load", "error"]) document.addEventListener(event, ({ target }) => settle(target), true);
for (const image of document.querySelectorAll(".picture img")) if (image.complete) settle(image);

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
