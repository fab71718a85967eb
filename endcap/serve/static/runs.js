// Runs by keys: to the next and previous, to the latest that failed, and to what one changed.

import { ON_RUNS, listen } from "./keys.js";

const rows = [...document.querySelectorAll("tr[data-attempt]")];
const one = document.getElementById("run");
let at = -1;

function move(by) {
  if (!one) {
    at = Math.min(rows.length - 1, Math.max(0, at + by));
    rows[at]?.querySelector("a").focus();
    return;
  }
  const next = by > 0 ? one.dataset.earlier : one.dataset.later;
  if (next) location.assign(`/runs/${next}`);
}

function failed() {
  const row = rows.find(({ dataset }) => dataset.state === "failed" || dataset.state === "died");
  if (row) location.assign(`/runs/${row.dataset.attempt}`);
  else if (one) location.assign("/runs");
}

function to(id) {
  const part = document.getElementById(id);
  if (!part) return;
  part.tabIndex = -1;
  part.focus();
  part.scrollIntoView();
}

const ACTS = {
  log: () => to("stages"), resume: () => to("resume"),
  nextRun: () => move(1), runBefore: () => move(-1), failed, changes: () => document.getElementById("difference")?.scrollIntoView() };
listen((verb) => ACTS[verb](), one ? ON_RUNS : ON_RUNS.filter((verb) => !["changes", "log", "resume"].includes(verb)));
