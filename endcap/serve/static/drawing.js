// Drawing an item. Everything from a feed goes in as text, never as markup.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

// Bars that begin where the one before ended, so that the last one shows their sum; numbers beside them carry the meaning.
export function waterfall(steps) {
  let at = 0;
  const ends = steps.map(({ contribution, sum }) => { const from = sum ? 0 : at; at = sum ? contribution : at + contribution; return [from, at]; });
  const least = Math.min(0, ...ends.flat()), most = Math.max(0, ...ends.flat());
  const place = (value) => (220 * (value - least)) / (most - least || 1);
  return ends.map(([from, to], number) => {
    const svg = shape("svg", { class: "waterfall", viewBox: "0 0 220 12", "aria-hidden": "true" });
    const kind = steps[number].sum ? "sum" : to >= from ? "for" : "against";
    svg.append(shape("line", { x1: place(0), x2: place(0), y1: 0, y2: 12 }), shape("rect", { class: kind, x: Math.min(place(from), place(to)), y: 2, height: 8, width: Math.max(1, Math.abs(place(to) - place(from))), rx: 1 }));
    return svg;
  });
}

function marked(words) {
  return words.flatMap(({ text, shared }) => [shared ? text : el("mark", { class: "only", title: "only here" }, text), " "]);
}

function titleOf(stated) {
  return el("p", { class: "title", dir: "auto" }, ...marked(stated.words));
}

// A box of one size whatever comes: the title's first letters, and the picture over them once it is there.
function pictureOf(stated) {
  const letters = stated.title.split(/\s+/).filter((word) => /^[\p{L}\p{N}]/u.test(word)).slice(0, 2).map((word) => [...word][0].toUpperCase()).join("");
  return el("span", { class: "picture", "aria-hidden": "true" }, letters,
    stated.picture ? el("img", { src: `/pictures/${encodeURIComponent(stated.offer_id)}`, alt: "", width: "72", height: "72", loading: "lazy", decoding: "async" }) : null);
}

// The offers of the product that are least like the one asked about: what should not be among them is seen here.
function othersOf(others) {
  if (!others?.length) return null;
  return el("div", { class: "others" }, el("h3", {}, others.length === 1 ? "Its most different offer" : `Its ${others.length} most different offers`),
    el("ul", { class: "beside" }, ...others.map((one) => el("li", {}, el("span", { dir: "auto" }, ...marked(one.words)), el("span", { class: "n", dir: "auto" }, [one.supplier, one.price].filter(Boolean).join(" · "))))));
}

function side(stated, kind, head, others) {
  const facts = [["Seller", stated.supplier], ["Price", stated.price], ["Brand", stated.brand], ["GTIN", stated.gtin], ["Part number", stated.mpn], ["Content", stated.quantity]];
  return el("div", { class: `side ${kind}` }, el("h2", {}, head), el("div", { class: "pictured" }, pictureOf(stated), titleOf(stated)),
    el("dl", {}, ...facts.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, value)))),
    stated.description ? el("p", { class: "description detail", dir: "auto" }, stated.description) : null,
    othersOf(others));
}

function fieldsOf(choice) {
  if (!choice.fields.length) return el("p", { class: "quiet" }, "No field is stated by both.");
  const together = { true: ["agrees", "same"], false: ["conflicts", "differs"], null: ["unknown", "cannot be compared"] };
  const rows = choice.fields.map((field) => el("tr", { class: together[field.same][0] },
    el("th", { scope: "row" }, field.name), el("td", { dir: "auto" }, field.offer), el("td", { dir: "auto" }, field.other),
    el("td", {}, el("span", { class: `badge ${together[field.same][0]}` }, together[field.same][1]))));
  return el("table", { class: "fields" },
    el("thead", {}, el("tr", {}, ...["Field", "This offer", "The product's", "Together"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...rows));
}

function choiceLine(choice, number, chosen) {
  return el("li", { class: chosen ? "chosen" : null },
    el("button", { type: "button", "data-choose": String(number) }, el("kbd", {}, String(number)), el("span", { class: "name", dir: "auto" }, choice.nearest?.title ?? choice.title),
      el("span", { class: "quiet words" }, `${choice.offers} ${choice.offers === 1 ? "offer" : "offers"} · ${choice.words}`)));
}

// A product beside the item: what is known of it, and its offers as their sellers sent them.
export function drawProduct(product) {
  const price = (one) => (one.price === null ? "–" : `${Number(one.price).toLocaleString("en", { minimumFractionDigits: 2 })} ${one.currency ?? ""}`);
  return [
    el("h2", { id: "panel-title", dir: "auto" }, product.title || product.product_id),
    el("p", { class: "quiet" }, `${product.offer_count} ${product.offer_count === 1 ? "offer" : "offers"} of ${product.supplier_count} ${product.supplier_count === 1 ? "seller" : "sellers"} · `,
      el("a", { href: `/p/${encodeURIComponent(product.product_id)}`, target: "_blank", rel: "noopener" }, "its page")),
    el("dl", { class: "pairs" }, ...product.values.filter(({ field }) => field !== "title").map(({ field, value, unit }) =>
      el("div", {}, el("dt", {}, field.replaceAll("_", " ")), el("dd", { dir: "auto" }, `${value} ${unit ?? ""}`)))),
    el("h3", {}, "As its sellers sent it"),
    el("ul", { class: "beside" }, ...product.offers.map((one) => el("li", {}, el("span", { dir: "auto" }, one.title), el("span", { class: "n" }, `${one.supplier} · ${price(one)}`)))),
    product.pages > 1 ? el("p", { class: "quiet" }, `${product.offers.length} of ${product.offer_count} are shown`) : null,
  ].filter(Boolean);
}

export function draw(item, shownKey, conflict) {
  const first = item.choices[0];
  const button = (verb, words, kind) => el("button", { type: "button", "data-verb": verb, class: kind }, words, el("kbd", {}, shownKey(verb)));
  return [
    conflict ? el("p", { class: "notice conflicts", role: "alert" }, `${conflict.actor} decided “${conflict.action}” meanwhile. `,
      button("keep", "Keep theirs "), " ",
      button("overrule", "Mine holds ")) : null,
    item.left ? el("p", { class: "notice" }, item.left) : null,
    el("p", { class: "why" }, ...item.risks.map((risk) => el("span", { class: "badge unknown" }, risk)), " ", item.reason),
    el("div", { class: "sides" }, side(item.offer, "asked", "Offer as sent"),
      first?.nearest ? side(first.nearest, "other", `Product with ${first.offers} ${first.offers === 1 ? "offer" : "offers"}`, item.others)
        : el("div", { class: "side other" }, el("h2", {}, first ? "Product" : "No product resembles it"), first ? el("p", { class: "title", dir: "auto" }, first.title) : null, othersOf(item.others))),
    first ? fieldsOf(first) : null,
    el("div", { class: "verbs" }, first ? button("same", "Same ", "yes") : null, first ? button("different", "Different ", "no") : null,
      button("new", "New product ", ""), button("skip", "Put off ", ""), button("escalate", "To a lead ", ""), button("reason", "Reason ", ""), button("undo", "Undo ", "")),
    item.choices.length > 1 ? el("div", { class: "choices" }, el("h2", {}, "Or one of these"),
      el("ol", {}, ...item.choices.map((choice, place) => choiceLine(choice, place + 1, place === 0)))) : null,
  ].filter(Boolean);
}

// Items that one answer decides, a few of them shown.
export function drawBatch(evidence, items, shownKey) {
  // The least sure come first: two of them, and five from over all others.
  const rest = items.slice(2);
  const samples = [...items.slice(0, 2), ...rest.filter((_, place) => place % Math.ceil(rest.length / 5) === 0)].slice(0, 7);
  const left = items.length - samples.length;
  const all = (action) => el("button", { type: "button", "data-batch": action }, `All ${items.length}: ${action} `, el("kbd", {}, shownKey(action)));
  return [
    el("h2", {}, `${items.length} items with the same evidence`), el("p", { class: "why" }, evidence),
    el("ul", { class: "samples" }, ...samples.map((item) => el("li", {}, el("span", { dir: "auto" }, item.offer.title), el("span", { class: "quiet", dir: "auto" }, item.choices[0]?.nearest?.title ?? "no product")))),
    left > 0 ? el("p", { class: "quiet" }, `and ${left} more like these`) : "",
    el("div", { class: "verbs" }, all("same"), all("different"), all("new"), el("button", { type: "button", "data-batch": "", "data-back": "" }, "Back ", el("kbd", {}, "Esc"))),
  ];
}

export const REASONS = {
  p: ["pack", "pack differs"], z: ["size", "size differs"], c: ["colour", "colour differs"], m: ["model", "model differs"], b: ["bundle", "bundle or part"],
  q: ["condition", "used or refurbished"], g: ["region", "another region"], d: ["brand", "brand differs"], k: ["category", "another kind of thing"],
  i: ["insufficient", "too little is said"], w: ["seller_data", "the seller's data is wrong"],
};

export function drawReasons(chosen) {
  return Object.entries(REASONS).map(([key, [code, words]]) =>
    el("label", {}, el("input", { type: "radio", name: "reason", value: code, checked: chosen === code }), ` ${words} `, el("kbd", {}, key)));
}
