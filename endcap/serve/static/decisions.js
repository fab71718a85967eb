// A proposal's verbs, each with its reason.

import { $, ask, enters, send } from "./asking.js";

const { proposal, verdict } = $("proposal").dataset;
const STAGES = ["promote", "shadow", "canary"];

function given(verb) {
  const reason = $("ask-reason").value;
  if (!STAGES.includes(verb)) return { reason };
  return { reason, stage: verb, overrule: $("ask-overrule").checked, ...(verb === "canary" ? { scope: $("ask-scope").value } : {}) };
}

document.querySelectorAll("[data-verb]").forEach((button) => button.addEventListener("click", () => {
  const { verb } = button.dataset;
  $("ask-title").textContent = `${button.textContent}: why?`;
  $("ask-reason").value = "";
  $("ask-scope-label").hidden = verb !== "canary";
  $("ask-overrule-label").hidden = !STAGES.includes(verb) || verdict === "INVALID"; // nothing was found out that could be overruled
  const deed = STAGES.includes(verb) ? "promote" : verb;
  ask("ask", "ask-reason", "ask-mistake", () => send(`/api/v1/proposals/${proposal}/${deed}`, given(verb)));
}));
enters("ask-reason", "#ask-do");
