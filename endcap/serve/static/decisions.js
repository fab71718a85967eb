// A proposal's verbs, each with its reason.

import { $, ask, enters, send } from "./asking.js";

const { proposal } = $("proposal").dataset;

document.querySelectorAll("[data-verb]").forEach((button) => button.addEventListener("click", () => {
  $("ask-title").textContent = `${button.textContent}: why?`;
  $("ask-reason").value = "";
  ask("ask", "ask-reason", "ask-mistake", () => send(`/api/v1/proposals/${proposal}/${button.dataset.verb}`, { reason: $("ask-reason").value }));
}));
enters("ask", "ask-reason");
