// Reported problems: a new one, and the verbs of one.

import { $, ask, enters, send } from "./asking.js";

const loop = $("loop")?.dataset.loop;

$("report")?.addEventListener("click", () => ask("new", "new-what", "new-mistake", () => {
  const given = { title: $("new-what").value, offer_id: $("new-offer").value, counterpart_offer_id: $("new-other").value, expected: $("new-expected").value };
  return send("/api/v1/loops", Object.fromEntries(Object.entries(given).filter(([, value]) => value)));
}));
document.querySelectorAll("[data-verb]").forEach((button) => button.addEventListener("click", () => {
  const { verb } = button.dataset;
  $("ask-title").textContent = `${button.textContent}: ${verb === "close" ? "what was it?" : "why?"}`;
  $("ask-cause-label").hidden = verb !== "close";
  const given = () => (verb === "close" ? { cause: $("ask-cause").value, comment: $("ask-reason").value } : { reason: $("ask-reason").value });
  ask("ask", "ask-reason", "ask-mistake", () => send(`/api/v1/loops/${loop}/${verb}`, given()));
}));
enters("ask-reason", "#ask-do");
enters("new-what", "#new-do");
