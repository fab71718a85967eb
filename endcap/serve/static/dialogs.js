// Two dialogs that every page with keys has: all keys, to be changed there, and the list of commands.

import { el } from "./drawing.js";
import { WORDS, keyOf, remap, setSingleKeys, singleKeys, standardKeys } from "./keys.js";

const PAGES = { Overview: "/", Products: "/products", Review: "/review", "Doubtful categories": "/review?kind=category", "Contradicted values": "/review?kind=value",
  Feeds: "/feeds", Runs: "/runs", Deliveries: "/deliveries", Metrics: "/metrics" };

function dialog(id, attributes, ...children) {
  document.getElementById(id)?.remove();
  const made = el("dialog", { id, ...attributes }, el("form", { method: "dialog" }, ...children));
  document.body.append(made);
  return made;
}

// `digits` says what 1 to 9 do here; `changed` is called when a key means something else now.
export function showKeys(verbs, digits, changed = () => {}) {
  const line = (verb) => el("tr", {}, el("th", { scope: "row" }, WORDS[verb]),
    el("td", {}, el("input", { class: "key", value: keyOf(verb), maxlength: "1", "data-remap": verb, "aria-label": `Key for: ${WORDS[verb]}` })));
  const single = el("input", { type: "checkbox", id: "single-keys", checked: singleKeys() });
  const reset = el("button", { type: "button", id: "reset-keys" }, "Standard keys");
  const made = dialog("help", { "aria-labelledby": "help-title" }, el("h2", { id: "help-title" }, "Keys"),
    el("div", { id: "key-list" }, el("table", {}, el("tbody", {}, ...verbs.map(line), digits ? el("tr", {}, el("th", { scope: "row" }, digits), el("td", {}, el("kbd", {}, "1"), " to ", el("kbd", {}, "9"))) : null))),
    el("p", {}, el("label", {}, single, " Single keys decide")), el("menu", {}, reset, el("button", { value: "close" }, "Close")));
  const again = () => { changed(); showKeys(verbs, digits, changed); };
  made.addEventListener("input", (event) => {
    if (!event.target.dataset.remap || !event.target.value) return;
    remap(event.target.dataset.remap, event.target.value, verbs);
    again();
  });
  single.addEventListener("change", () => setSingleKeys(single.checked));
  reset.addEventListener("click", () => { standardKeys(); again(); });
  made.showModal();
}

export function showPalette(verbs, act) {
  const commands = [...verbs.map((verb) => [WORDS[verb], () => act(verb)]), ...Object.entries(PAGES).map(([name, path]) => [`go to ${name}`, () => location.assign(path)])];
  const box = el("input", { id: "command", "aria-label": "Command", placeholder: "Type a command", autocomplete: "off", role: "combobox", "aria-expanded": "true", "aria-controls": "commands" });
  const lines = el("ul", { id: "commands", role: "listbox", "aria-label": "Commands" });
  const made = dialog("palette", { "aria-label": "Commands" }, box, lines);
  let at = 0;
  const found = () => commands.filter(([words]) => words.toLowerCase().includes(box.value.toLowerCase()));
  const run = (command) => { made.close(); command?.[1](); };
  const list = () => lines.replaceChildren(...found().map((command, place) => {
    const line = el("li", { role: "option", "aria-selected": String(place === at) }, command[0]);
    line.onclick = () => run(command);
    return line;
  }));
  box.oninput = () => { at = 0; list(); };
  box.onkeydown = (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      at = Math.max(0, Math.min(found().length - 1, at + (event.key === "ArrowDown" ? 1 : -1)));
      list();
      lines.children[at]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(found()[at]);
    }
  };
  list();
  made.showModal();
  box.focus();
}
