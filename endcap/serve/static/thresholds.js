// The threshold as a line that is moved: counted from the bands at once, samples fetched when it rests.

import { $, ask, enters, send } from "./asking.js";

const LEFT = 44, RIGHT = 632, REST_MS = 250;
const slider = $("threshold");
const accept = Number(slider.dataset.accept);
const whole = (value) => Math.round(value * 10000);
let bands = [], resting = 0, asked = 0;

const counted = (kind, low, high) => bands.filter((band) => whole(band.low) >= low && whole(band.low) < high).reduce((sum, band) => sum + band[kind], 0);
const number = (value) => value.toLocaleString("en-US");

// What changes side between today's threshold and another, on the grid of the bands.
export function effect(at) {
  const [now, then] = [whole(accept), whole(at)];
  return then >= now ? { to_review: counted("linked", now, then), linked: 0 } : { to_review: 0, linked: counted("asked", then, now) };
}

function words(at) {
  const { to_review, linked } = effect(at);
  if (to_review) return `${number(to_review)} decisions change side: linked by machine today, left to a person then.`;
  if (linked) return `${number(linked)} decisions change side: left to a person today, linked by machine then.`;
  return "No decision changes side.";
}

function proved(at) {
  const above = bands.filter((band) => whole(band.low) >= whole(at));
  const [n, right] = ["audited", "right"].map((kind) => above.reduce((sum, band) => sum + band[kind], 0));
  return n ? ` Of ${number(n)} audited links above it ${number(right)} were right.` : " No link above it was audited.";
}

function move() {
  const at = Number(slider.value);
  const x = LEFT + (RIGHT - LEFT) * (at - 0.5) / 0.5;
  for (const end of ["x1", "x2"]) $("by-likeness-at").setAttribute(end, x);
  $("threshold-is").textContent = at.toFixed(3);
  $("effect").textContent = bands.length ? words(at) + proved(at) : "Counting the decisions.";
  $("propose").hidden = whole(at) === whole(accept);
  clearTimeout(resting);
  resting = setTimeout(() => sample(at), REST_MS);
}

async function sample(at) {
  const turn = ++asked;
  if (whole(at) === whole(accept)) return void ($("samples").hidden = true);
  const answer = await fetch(`/api/v1/thresholds/samples?low=${Math.min(at, accept)}&high=${Math.max(at, accept)}`).catch(() => null);
  if (!answer?.ok || turn !== asked) return;
  const { samples } = await answer.json();
  const wanted = at > accept ? "linked" : "to_review";
  const rows = samples.filter((one) => one.action === wanted).map((one) => {
    const row = document.createElement("tr");
    const cells = [document.createElement("th"), document.createElement("td"), document.createElement("td")];
    cells[0].scope = "row";
    for (const [place, id, title] of [[0, one.offer_id, one.title], [1, one.counterpart_offer_id, one.counterpart_title]]) {
      const link = document.createElement("a");
      link.href = `/o/${encodeURIComponent(id)}`;
      link.textContent = title;
      cells[place].className = "text";
      cells[place].append(link);
    }
    cells[2].className = "r";
    cells[2].textContent = one.likeness.toFixed(3);
    row.append(...cells);
    return row;
  });
  $("sampled").replaceChildren(...rows);
  $("samples").hidden = rows.length === 0;
}

$("propose").addEventListener("click", () => {
  const wish = () => send("/api/v1/thresholds/propose", { accept: Number(slider.value), reason: $("ask-reason").value });
  ask("ask", "ask-reason", "ask-mistake", wish, "/decisions");
});
enters("ask-reason", "#ask-do");

// A drag on the drawing moves the slider, which keys move too.
$("by-likeness").querySelector("svg").addEventListener("pointerdown", (down) => {
  const svg = down.currentTarget;
  const drag = (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * 640;
    slider.value = 0.5 + 0.5 * Math.min(1, Math.max(0, (x - LEFT) / (RIGHT - LEFT)));
    move();
  };
  svg.setPointerCapture(down.pointerId);
  svg.addEventListener("pointermove", drag);
  svg.addEventListener("pointerup", () => svg.removeEventListener("pointermove", drag), { once: true });
  drag(down);
});

slider.addEventListener("input", move);
fetch("/api/v1/thresholds").then((answer) => answer.json()).then((curve) => {
  bands = curve.bands;
  if (whole(slider.value) !== whole(accept)) move();
});
