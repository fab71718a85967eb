// Runs by keys: n and p to the next and previous, Enter opens, a full stop goes to the latest that failed.

import { inField, singleKeys } from "./keys.js";

const rows = [...document.querySelectorAll("tr[data-attempt]")];
let at = -1;

function move(by) {
  at = Math.min(rows.length - 1, Math.max(0, at + by));
  rows[at]?.querySelector("a").focus();
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || inField(event.target) || !singleKeys()) return;
  const one = document.getElementById("run");
  if (event.key === "n" || event.key === "p") {
    event.preventDefault();
    if (!one) return move(event.key === "n" ? 1 : -1);
    const next = event.key === "n" ? one.dataset.earlier : one.dataset.later;
    if (next) location.assign(`/runs/${next}`);
  } else if (event.key === ".") {
    const failed = rows.find((row) => row.dataset.state === "failed" || row.dataset.state === "died");
    if (failed) location.assign(`/runs/${failed.dataset.attempt}`);
    else if (one) location.assign("/runs");
  }
});
