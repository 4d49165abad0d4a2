// The page of one picture: move it, ask what a part is, open a fold, step through the backward pass.
"use strict";

const $ = (id) => document.getElementById(id);
const make = (tag, text = "", inside = []) => { // text is never markup
  const made = Object.assign(document.createElement(tag), {textContent: text});
  made.append(...inside);
  return made;
};
const stage = $("stage"), tip = $("tip");
const views = JSON.parse($("data").textContent).views.map(prepare);
const trail = []; // of views, and the parts in them that were opened
let view = views[0], timer = 0;

function prepare(one, number) {
  const svg = $(`v${number}-picture`), ids = Object.keys(one.marks), back = ids.filter((id) => "when" in one.marks[id]);
  return {...one, svg, ids, back, order: back.length ? one.order : [], world: svg.querySelector(".world"),
    box: svg.viewBox.baseVal, x: 0, y: 0, k: 1, at: -1,
    known: new Map(one.graph.nodes.map((node) => [node.id, node])), timed: one.graph.rows.some((row) => row.steps > 1)};
}
// -- words ------------------------------------------------------------------------------------------------------------
function short(x) { // in two digits, as the picture has it
  if (typeof x === "string") return x; // NaN, inf
  const [digits, power] = x.toExponential(1).split("e").map(Number);
  const far = power < -4 || power > 1;
  return far ? `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}` : String(+x.toPrecision(2));
}
const norm = (x) => (x == null ? "" : short(x));
const touched = matchMedia("(pointer: coarse)").matches; // fingers and no keys
const dims = (shape) => (shape ? `(${shape.join(", ")}${shape.length === 1 ? "," : ""})` : "");
const lower = (n) => String(n).replace(/\d/g, (c) => "₀₁₂₃₄₅₆₇₈₉"[c]);

function called(node) {
  const what = [node.symbol || node.op, node.detail].filter(Boolean).join(" "), step = view.timed && node.step != null;
  if (what) return what + (node.name ? ` (${node.name})` : "") + (step ? `, step ${node.step}` : "");
  return node.name ? node.name + (step ? lower(node.step) : "") : node.kind;
}
const given = (edge) => `d${view.known.get(edge.source).name || edge.argument}${edge.formula ? ` = ${edge.formula}` : ""}`;

function stepText(edge, at) {
  const [source, target] = [edge.source, edge.target].map((id) => view.known.get(id));
  const way = target.kind === "value" ? `from ${called(target)} into ${called(source)}` : `through ${called(target)}`;
  return `${at + 1} of ${view.order.length}: ${way}: ${given(edge)}  |d${source.name || edge.argument}| ${norm(edge.gradient)}`;
}
function aboutNode(node) {
  const values = node.summary || {}, range = ["min", "mean", "max"].filter((key) => key in values), fold = foldOf(node);
  const op = node.symbol && node.symbol !== node.op ? `${node.symbol} ${node.op}` : node.op;
  const span = ([of, least]) => [`|${of}|`, `${short(least)} … ${short(fold.greatest[of])}`];
  return [called(node), ["made by", [op || node.kind, node.detail].filter(Boolean).join(" ")],
    ["shape", dims(node.shape)], ["dtype", node.dtype],
    ["values", (node.values || []).map(short).join(" ")], ["norm", norm(values.norm)], ["", range.map((key) => `${key} ${short(values[key])}`).join("   ")],
    ["|gradient|", norm(node.gradient)], ...Object.entries(fold?.least || {}).map(span), ["step", view.timed && node.step != null ? String(node.step) : ""],
    ["scope", node.scope], ["operations", node.operations > 1 ? String(node.operations) : ""],
    ["", fold || view.opens[node.id] ? (touched ? "tap to open" : "click or Enter to open") : ""]];
}
function aboutEdge(edge) {
  const [source, target] = [edge.source, edge.target].map((id) => view.known.get(id));
  return [`${called(source)} → ${called(target)}${edge.argument ? ` as ${edge.argument}` : ""}`, ["shape", dims(edge.shape)],
    ["back", edge.gradient == null ? "" : given(edge)], ["|gradient|", norm(edge.gradient)],
    ["cut", edge.cut ? "detached: no gradient comes back" : ""]];
}
function about(mark) { // for each thing a head, and rows of two texts
  const edges = (mark.edges || []).map((k) => aboutEdge(view.graph.edges[k]));
  const all = edges.length ? edges : mark.of.map((id) => aboutNode(view.known.get(id)));
  const told = (rows) => rows.filter(([key, text]) => text && ["shape", "back", "|gradient|"].includes(key));
  return all.length < 2 ? all.map(([head, ...rows]) => [head, ...rows.filter(([, text]) => text)]) // else a row for each
    : [[`${all.length} ${edges.length ? "edges" : "values"}`,
      ...all.map(([head, ...rows]) => [head, told(rows).map(([, text]) => text).join("  ")])]];
}
// -- move and zoom ----------------------------------------------------------------------------------------------------
const fitting = () => Math.min(view.svg.clientWidth / view.box.width, view.svg.clientHeight / view.box.height);

function place(x, y, k) {
  Object.assign(view, {x, y, k});
  view.world.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${k.toFixed(4)})`);
  tell(null);
}
const pan = (dx, dy) => place(view.x + dx / fitting(), view.y + dy / fitting(), view.k); // in pixels
function zoom(by, x, y) { // about a point of the window
  const box = stage.getBoundingClientRect(), k = Math.min(Math.max(view.k * by, 0.5), 8 / fitting()), grown = k / view.k;
  const middle = new DOMPoint(x ?? box.x + box.width / 2, y ?? box.y + box.height / 2);
  const at = middle.matrixTransform(view.svg.getScreenCTM().inverse());
  place(at.x - (at.x - view.x) * grown, at.y - (at.y - view.y) * grown, k);
}
function reveal(part) { // bring it to the middle if it is not in sight
  const a = part.getBoundingClientRect(), b = stage.getBoundingClientRect();
  const off = (low, high, least, most) => (low < least || high > most ? (least + most - low - high) / 2 : 0);
  pan(off(a.left, a.right, b.left, b.right), off(a.top, a.bottom, b.top, b.bottom));
}
// -- what a part is ---------------------------------------------------------------------------------------------------
const partAt = (target) => target.closest?.(".picture g[id]");

function tell(part, x, y) {
  const mark = part && view.marks[part.id];
  tip.hidden = !mark;
  if (!mark) return;
  tip.replaceChildren(...about(mark).flatMap(([head, ...rows]) =>
    [make("strong", head), make("dl", "", rows.flatMap(([key, text]) => [make("dt", key), make("dd", text)]))]));
  const box = stage.getBoundingClientRect(), wide = tip.offsetWidth + 16;
  tip.style.left = `${Math.max((x + wide > box.right ? x - wide : x + 16) - box.left, 4)}px`;
  tip.style.top = `${Math.max(Math.min(y + 16 - box.top, box.height - tip.offsetHeight - 4), 4)}px`;
}
// -- folds ------------------------------------------------------------------------------------------------------------
const foldOf = (node) => view.graph.folds.find((fold) => fold.id === node.id);
const insideOf = (mark) => (mark && !mark.ends ? (mark.of || []).map((id) => view.opens[id]).find((k) => k) : undefined);
const foldIn = (mark) => (mark && !mark.ends && view.graph.folds.find((fold) => mark.of?.includes(fold.id)));

function show(next) {
  pause();
  view.svg.setAttribute("hidden", "");
  view = next;
  view.svg.removeAttribute("hidden");
  $("leave").disabled = !trail.length;
  place(view.x, view.y, view.k);
  go(view.at);
}
function enter(part, next) { // and `leave` returns
  trail.push([view, part]);
  show(next);
}
function open(part) {
  const fold = part && foldIn(view.marks[part.id]), inside = part && insideOf(view.marks[part.id]);
  if (inside) return enter(part, views[inside]);
  if (!fold) return;
  const same = (one) => one.row === fold.row && one.first === fold.first && one.last === fold.last;
  if (view !== views[0] || !views[1]?.timed || views[1].graph.folds.some(same)) return list(fold);
  enter(part, views[1]);
  start();
  const first = view.graph.nodes.find((node) => node.row === fold.row && node.step === fold.first);
  const id = view.ids.find((one) => first && view.marks[one].of?.[0] === first.id);
  if (id) reveal($(id));
}
function leave() {
  tell(null);
  if (!trail.length) return;
  const [before, part] = trail.pop();
  show(before);
  part.focus();
}
function list(fold) { // norms by step, of not more than 200 steps
  const row = view.graph.rows[fold.row], every = Math.ceil(fold.count / 200);
  const columns = Object.entries({...row.gradients, ...row.weights});
  const line = (tag, texts) => make("tr", "", texts.map((text) => make(tag, text)));
  const steps = Array.from({length: Math.ceil(fold.count / every)}, (_, k) => fold.first + k * every);
  $("norms").querySelector("h2").textContent = `${called(view.known.get(fold.id))}: norms of the gradients`
    + (every > 1 ? `, one step in ${every}` : "");
  $("norms").querySelector("table").replaceChildren(line("th", ["step", ...columns.map(([name]) => name)]),
    ...steps.map((t) => line("td", [String(t), ...columns.map(([, norms]) => norm(norms[t]))])));
  $("norms").showModal();
}
// -- the backward pass ------------------------------------------------------------------------------------------------
function linesOf(edge) { // the lines back, if there are any
  const lines = view.ids.filter((id) => view.marks[id].ends && view.marks[id].edges.includes(edge));
  const back = lines.filter((id) => "when" in view.marks[id]);
  return back.length ? back : lines;
}
function go(to) {
  const count = view.order.length, at = Math.min(Math.max(to, -1), count - 1), edge = view.order[at];
  view.at = at;
  view.svg.classList.toggle("stepping", at >= 0);
  for (const old of view.svg.querySelectorAll(".now, .near")) old.classList.remove("now", "near");
  for (const id of view.back) $(id).classList.toggle("done", view.marks[id].when <= at);
  $("status").textContent = at >= 0 ? stepText(view.graph.edges[edge], at)
    : count ? `The backward pass goes through ${count} edges. ${touched ? "Tap step ▶" : "Press n"} to follow it.`
      + (touched ? " Pinch to enlarge the picture." : "") : "";
  if (at < 0) return;
  const lines = linesOf(edge), prefix = view.svg.id.replace("picture", ""), {source, target} = view.graph.edges[edge];
  const bare = view.ids.filter((id) => !view.marks[id].ends && view.marks[id].of.some((of) => of === source || of === target));
  const ends = lines.length ? lines.flatMap((id) => view.marks[id].ends.map((end) => prefix + end)) : bare;
  for (const id of lines) $(id).classList.add("now");
  for (const id of ends) $(id)?.classList.add("near");
  if (lines.length || ends.length) reveal($(lines[0] || ends[0]));
}
function pause() {
  clearInterval(timer);
  timer = 0;
  $("play").textContent = "▶▶ play";
}
function play() {
  if (timer) return pause();
  if (view.at === view.order.length - 1) go(-1);
  timer = setInterval(() => (view.at < view.order.length - 1 ? go(view.at + 1) : pause()), 700);
  $("play").textContent = "❚❚ pause";
}
const to = (where) => () => (pause(), go(where()));
// -- buttons, keys, pointer -------------------------------------------------------------------------------------------
const root = document.documentElement, isDark = () => getComputedStyle(root).colorScheme === "dark";
const ACTIONS = [ // id and text of the button, what it does, by which keys, and how
  ["leave", "◀ back", "back to the picture before", ["Escape"], leave],
  ["fit", "fit", "show all of it, also by double click", ["0"], () => place(0, 0, 1)],
  ["smaller", "−", "smaller, also by the wheel", ["-"], () => zoom(1 / 1.25)],
  ["larger", "+", "larger, also by the wheel", ["+", "="], () => zoom(1.25)],
  ["reset", "|◀", "backward pass: before its first step", ["Home"], to(() => -1)],
  ["previous", "◀ step", "backward pass: back by a step", ["p", "Shift ArrowLeft"], to(() => view.at - 1)],
  ["next", "step ▶", "backward pass: on by a step", ["n", "Shift ArrowRight"], to(() => view.at + 1)],
  ["play", "▶▶ play", "backward pass: all of its steps, or stop", ["b"], play],
  ["recolour", "◐", "light or dark", ["t"], () => (root.dataset.theme = isDark() ? "light" : "dark")],
  ["help", "?", "these keys", ["?"], () => $("keys").showModal()],
];
const ARROWS = {ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60]};
const OTHERS = [["arrows, dragging", "move the picture"], ["Tab, pointing", "what a node or an arrow is"],
  ["Enter, click", "open a step, a function or a fold, or list the norms of its steps"]];
const TOUCHES = [["pinch", "larger, smaller"], ["one finger", "move the picture"], ["tap", "what a node or an arrow is"],
  ["tap a step or a fold", "open it, or list the norms of its steps"], ["two taps", "show all of it"]];

function start() { // of an opened fold: where all of it would be too small to read, begin at its left
  if (view.k !== 1 || fitting() > 0.45) return;
  zoom(0.9 / fitting(), view.svg.getBoundingClientRect().x);
  pan(0, Math.max(stage.getBoundingClientRect().top + 10 - view.world.getBoundingClientRect().top, 0));
}
for (const [id, text, told, , act] of ACTIONS) {
  const button = Object.assign(make("button", text), {id, title: told, type: "button", onclick: act});
  button.setAttribute("aria-label", told);
  $("bar").append(...(id === "reset" && view.back.length ? [make("span", "backward pass:")] : []), button);
}
const KEYS = [...ACTIONS.map(([, , told, keys]) => [keys.join(", ").replace("Arrow", ""), told]), ...OTHERS];
const BUTTONS = ACTIONS.map(([, text, told]) => [text, told]);
for (const [keys, told] of touched ? [...TOUCHES, ...BUTTONS] : KEYS) {
  $("keys").querySelector("table").append(make("tr", "", [make("th", keys), make("td", told)]));
}
for (const one of views) {
  view = one; // names are told as in the view of a part
  for (const [id, mark] of Object.entries(one.marks)) {
    const part = $(id), line = mark.ends && part.matches(".edge") && part.querySelector("path");
    if (line) part.append(line.cloneNode());
    if (line) part.lastChild.setAttribute("class", "wide"); // and not seen: for the pointer
    if (mark.ends && "when" in mark) continue; // to the keyboard, the line forward tells both
    part.setAttribute("tabindex", "0");
    part.setAttribute("role", foldIn(mark) || insideOf(mark) ? "button" : "img");
    part.setAttribute("aria-label", about(mark).map((rows) => rows.flat().join(" ")).join("; "));
  }
}
view = views[0];
for (const id of ["reset", "previous", "next", "play"]) $(id).hidden = !view.back.length;
$("leave").hidden = views.length === 1;
$("leave").disabled = true;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("dialog, details")) return;
  const key = (event.shiftKey && event.key.startsWith("Arrow") ? "Shift " : "") + event.key;
  const act = ACTIONS.find(([, , , keys]) => keys.includes(key))?.[4] || (ARROWS[key] && (() => pan(...ARROWS[key])))
    || (key === "Enter" && partAt(event.target) && (() => open(partAt(event.target))));
  if (!act) return;
  event.preventDefault();
  act();
});
stage.addEventListener("focusin", ({target}) => {
  if (!target.matches(":focus-visible") || !partAt(target)) return;
  reveal(target);
  tell(target, target.getBoundingClientRect().right, target.getBoundingClientRect().bottom);
});
stage.addEventListener("focusout", () => tell(null));

const fingers = new Map();
let moved = 0; // pixels, since the pointer went down
stage.addEventListener("pointerdown", (event) => {
  fingers.set(event.pointerId, event);
  moved = 0;
});
stage.addEventListener("pointermove", (event) => {
  const [old, other] = [fingers.get(event.pointerId), [...fingers.values()].find((one) => one.pointerId !== event.pointerId)];
  if (!old) return tell(partAt(event.target), event.clientX, event.clientY);
  const [dx, dy] = [event.clientX - old.clientX, event.clientY - old.clientY];
  const far = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
  moved += Math.hypot(dx, dy);
  if (moved > 4) stage.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event);
  return other ? zoom(far(event) / far(old), other.clientX, other.clientY) : pan(dx, dy);
});
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, (event) => fingers.delete(event.pointerId));
stage.addEventListener("pointerleave", () => tell(null));
stage.addEventListener("click", (event) => {
  const part = moved < 5 && partAt(event.target);
  tell(part, event.clientX, event.clientY); // for a finger, which does not hover
  open(part);
});
stage.addEventListener("dblclick", () => place(0, 0, 1));
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.03 : 0.0015)), event.clientX, event.clientY);
}, {passive: false});
new ResizeObserver(() => { // sizes in pixels: with shares of the page, each new text would lay out the picture anew
  const size = {width: `${stage.clientWidth - 28}px`, height: `${stage.clientHeight - 20}px`};
  for (const {svg} of views) Object.assign(svg.style, size);
}).observe(stage);
go(-1);
