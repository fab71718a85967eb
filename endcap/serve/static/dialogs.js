// Two dialogs that every page has: all keys, to be changed there, and the list of commands.

import { el } from "./drawing.js";
import { WORDS, here, keyOf, remap, setSingleKeys, shownKey, singleKeys, standardKeys } from "./keys.js";

const MOST_PRODUCTS = 6;
const TYPED_MS = 120;
const SPACE = "␣";

// Pages with the letter that follows `g`.
export const PLACES = [
  { key: "q", name: "Review", path: "/review" }, { key: "c", name: "Categories", path: "/review?kind=category" }, { key: "v", name: "Values", path: "/review?kind=value" },
  { key: "p", name: "Products", path: "/products" }, { key: "f", name: "Feeds", path: "/feeds" }, { key: "d", name: "Deliveries", path: "/deliveries" },
  { key: "r", name: "Runs", path: "/runs" }, { key: "s", name: "Metrics", path: "/metrics" },
  { key: "e", name: "Decisions", path: "/decisions" }, { key: "l", name: "Loops", path: "/loops" }, { key: "o", name: "Overview", path: "/" },
];
const THEMES = [["light", "theme: light"], ["dark", "theme: dark"], ["system", "theme: as the system"]];

export function dialog(id, attributes, ...children) {
  document.getElementById(id)?.remove();
  const made = el("dialog", { id, ...attributes }, el("form", { method: "dialog" }, ...children));
  document.body.append(made);
  return made;
}

export function showKeys(remapped = "", said = "") {
  const { all, digits, changed } = here();
  const line = (verb) => el("tr", {}, el("th", { scope: "row" }, WORDS[verb]),
    el("td", {}, el("input", { class: "key", value: keyOf(verb) === " " ? SPACE : keyOf(verb), maxlength: "1", "data-remap": verb, "aria-label": `Key for: ${WORDS[verb]}` })));
  const plain = (words, ...keys) => el("tr", {}, el("th", { scope: "row" }, words), el("td", {}, ...keys));
  const single = el("input", { type: "checkbox", id: "single-keys", checked: singleKeys() });
  const reset = el("button", { type: "button", id: "reset-keys" }, "Standard keys");
  const made = dialog("help", { "aria-labelledby": "help-title" }, el("h2", { id: "help-title" }, "Keys"),
    el("div", { id: "key-list" }, el("table", {}, el("tbody", {}, ...all.map(line), digits ? plain(digits, el("kbd", {}, "1"), " to ", el("kbd", {}, "9")) : null,
      plain("commands and products", el("kbd", {}, "Ctrl"), " ", el("kbd", {}, "K")), plain("open the line", el("kbd", {}, "Enter")), plain("back", el("kbd", {}, "Esc"))))),
    el("p", { role: "status", id: "key-said" }, said), el("p", {}, el("label", {}, single, " Single keys act")), el("menu", {}, reset, el("button", { value: "close" }, "Close")));
  const again = (verb, words) => { changed(); dispatchEvent(new CustomEvent("endcap:keys")); showKeys(verb, words); };
  const set = (box, key) => {
    const other = remap(box.dataset.remap, key === SPACE ? " " : key, all);
    again(box.dataset.remap, other && `“${WORDS[other]}” had this key and has ${shownKey(other)} now.`);
  };
  made.addEventListener("input", ({ target }) => { if (target.dataset.remap && target.value) set(target, target.value); });
  made.addEventListener("keydown", (event) => {
    if (!event.target.dataset.remap || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key.length !== 1 && event.key !== "Enter") return;
    event.preventDefault(); // a full field takes no further letter, and Enter would close the dialog
    if (event.key.length === 1) set(event.target, event.key);
  });
  single.addEventListener("change", () => setSingleKeys(single.checked));
  reset.addEventListener("click", () => { standardKeys(); again(); });
  made.showModal();
  // Never in a field of a key at first: the next key pressed would be taken for it.
  (made.querySelector(`[data-remap="${remapped}"]`) ?? made.querySelector("button[value=close]")).focus();
}

function commandsHere(act) {
  const { all } = here();
  return [
    ...all.filter((verb) => !["go", "down", "up"].includes(verb)).map((verb) => ({ words: WORDS[verb], key: shownKey(verb), run: () => act(verb) })),
    ...PLACES.map(({ key, name, path }) => ({ words: `go to ${name}`, key: `${shownKey("go")} ${key}`, run: () => location.assign(path) })),
    ...THEMES.map(([theme, words]) => ({ words, key: "", run: () => dispatchEvent(new CustomEvent("endcap:theme", { detail: theme })) })),
  ];
}

async function productsOf(typed) {
  try {
    const answer = await fetch(`/api/v1/products?${new URLSearchParams({ q: typed })}`);
    const { products } = await answer.json();
    return products.slice(0, MOST_PRODUCTS).map((one) => ({ words: one.title || one.product_id, key: one.brand ?? "", run: () => location.assign(`/p/${encodeURIComponent(one.product_id)}`), product: true }));
  } catch {
    return [];
  }
}

export function showPalette(act) {
  const commands = commandsHere(act);
  const box = el("input", { id: "command", "aria-label": "Command or product", placeholder: "A command, or words of a product", autocomplete: "off", role: "combobox", "aria-expanded": "true", "aria-controls": "commands" });
  const lines = el("ul", { id: "commands", role: "listbox", "aria-label": "Commands and products" });
  const made = dialog("palette", { "aria-label": "Commands" }, box, lines, el("p", { class: "quiet", id: "palette-none", role: "status" }));
  const state = { at: 0, found: commands, typing: 0 };
  const run = (command) => { if (command) { made.close(); command.run(); } };
  const list = () => {
    lines.replaceChildren(...state.found.map((command, place) => {
      const line = el("li", { role: "option", id: `command-${place}`, "aria-selected": String(place === state.at) },
        el("span", { dir: "auto" }, command.words), command.product ? el("span", { class: "quiet", dir: "auto" }, command.key) : command.key ? el("kbd", {}, command.key) : null);
      line.onclick = () => run(command);
      return line;
    }));
    if (state.found.length) box.setAttribute("aria-activedescendant", `command-${state.at}`);
    else box.removeAttribute("aria-activedescendant");
    lines.hidden = !state.found.length;
    document.getElementById("palette-none").textContent = state.found.length ? "" : "No command and no product holds these words.";
  };
  const find = async () => {
    const typed = box.value.trim();
    const fitting = commands.filter(({ words }) => words.toLowerCase().includes(typed.toLowerCase()));
    Object.assign(state, { at: 0, found: fitting });
    list();
    const mine = ++state.typing;
    if (typed.length < 2) return;
    await new Promise((done) => setTimeout(done, TYPED_MS));
    if (mine !== state.typing) return;
    const products = await productsOf(typed);
    if (mine !== state.typing) return;
    state.found = [...fitting, ...products];
    list();
  };
  box.oninput = find;
  box.onkeydown = (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      state.at = Math.max(0, Math.min(state.found.length - 1, state.at + (event.key === "ArrowDown" ? 1 : -1)));
      list();
      lines.children[state.at]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(state.found[state.at]);
    }
  };
  list();
  made.showModal();
  box.focus();
}
