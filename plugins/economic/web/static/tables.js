// The latest syncs, and the rejected invoices.

import { el, fill, pill, show, time } from "./elements.js";
import { exactMoment, number, seconds, shortMoment } from "./format.js";
import { leave, runAddress } from "./server.js";
import { PHASES, range, result, status, trigger, waited } from "./words.js";

const FEW = 12;
const COUNTS = [
  ["fetched", "Fetched"], ["created", "Created"], ["updated", "Updated"], ["unchanged", "Unchanged"], ["rejected", "Rejected"], ["missing", "Missing"],
];

export function table(name, head, body) {
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": name },
    el("table", {}, el("caption", { class: "unseen" }, name), el("thead", {}, head), el("tbody", {}, body)),
  );
}

export const head = (text, attributes = {}) => el("th", { scope: "col", ...attributes }, text);
const group = (text, columns) => el("th", { colspan: columns, scope: "colgroup", class: "group" }, el("span", {}, text));
export const figure = (value, attributes = {}) => el("td", { class: "figure", ...attributes }, value);
export const when = (text) => time(text, exactMoment(text), shortMoment(text));
export const nothing = (text) => el("p", { class: "muted" }, text);

// `quiet` is where the latest sync is named that is in no list, because it changed nothing.
export function syncTable() {
  const quiet = el("p", { class: "muted" });
  const inside = el("div");
  const element = el("section", { class: "card" }, el("h2", {}, "Latest syncs"), quiet, inside);
  let all = false;
  let last = null;

  function row(sync) {
    const { level, text } = status(sync);
    const began = when(sync.started);
    const shown = (count) => (count ? number(count) : el("span", { class: "muted" }, number(0)));
    const parts = [...PHASES.map(([name]) => sync.phases[name]), waited(sync)];
    const cells = [
      figure(String(sync.sync_id)),
      el("td", {}, sync.run_id ? el("a", { href: runAddress(sync.dag_id, sync.run_id), onclick: leave, title: `Airflow run ${sync.run_id}` }, began) : began),
      el("td", {}, pill(level, text)),
      el("td", {}, trigger(sync), sync.range && el("span", { class: "muted" }, ` ${range(sync)}`)),
      ...parts.map((value) => figure(value ? seconds(value) : "–", { class: "figure muted" })),
      figure(seconds(sync.seconds)),
      ...COUNTS.map(([name]) => figure(shown(sync.counts[name]), name === "rejected" && sync.counts[name] ? { class: "figure warn-text" } : {})),
    ];
    const plain = sync.status === "completed" || sync.status === "running";
    const rows = [el("tr", { class: plain ? null : "explained" }, cells)];
    if (!plain) rows.push(el("tr", { class: "explanation" }, el("td", { colspan: cells.length }, el("span", {}, result(sync)))));
    return rows;
  }

  function update(syncs) {
    last = syncs;
    fill(inside, [syncs, all], () => {
      if (!syncs.length) return nothing("None yet. The first one reads every booked invoice. It needs the two tokens in Airflow's connection to e-conomic, and takes a minute or two.");
      const shown = all ? syncs : syncs.slice(0, FEW);
      const made = [
        table(
          "Latest syncs",
          [
            el("tr", {}, head("Sync", { rowspan: 2, class: "figure edge" }), head("Started", { rowspan: 2 }), head("Status", { rowspan: 2 }), head("Trigger", { rowspan: 2 }), group("Seconds", PHASES.length + 2), group("Invoices", COUNTS.length)),
            el("tr", {}, PHASES.map(([, words]) => head(words, { class: "figure" })), head("Waiting", { class: "figure", title: "Until another sync ended, Airflow started the next task, or a failed attempt was retried" }), head("Total", { class: "figure" }), COUNTS.map(([, words], place) => head(words, { class: place === COUNTS.length - 1 ? "figure edge" : "figure" }))),
          ],
          shown.flatMap(row),
        ),
      ];
      if (syncs.length > FEW) {
        const toggle = () => {
          all = !all;
          update(last);
          element.querySelector("button").focus();
        };
        made.push(el("button", { type: "button", class: "plain", "aria-expanded": String(all), onclick: toggle }, all ? `Show the latest ${number(FEW)}` : `Show all ${number(syncs.length)}`));
      }
      return made;
    });
  }

  return { element, update, quiet };
}

// The rejected invoices, and below them the fields that stored invoices lack, if there are any.
export function rejectionTable() {
  const rejected = itemTable("Rejected invoices", "Open", "warn", true);
  const leftOut = itemTable("Stored with a field left out", "Left out", "quiet", false);
  const element = el("div", {}, rejected.element, leftOut.element);

  function update({ rejections, most }) {
    const cut = rejections.length >= most ? `The first ${number(most)} of both lists are shown.` : "";
    rejected.update(rejections.filter((item) => !item.degraded), "None: every invoice that e-conomic delivered could be stored.", cut);
    const degraded = rejections.filter((item) => item.degraded);
    leftOut.update(degraded, "", "");
    show(leftOut.element, degraded.length > 0);
  }

  return { element, update };
}

function itemTable(title, openWord, openLevel, counted) {
  const inside = el("div");
  const element = el("section", { class: "card" }, el("h2", {}, title), inside);

  function row(item) {
    return el(
      "tr",
      {},
      figure(item.invoice === null ? el("span", { class: "muted" }, "no number") : String(item.invoice)),
      el("td", {}, el("code", {}, item.field)),
      el("td", { class: "wide" }, item.message ?? item.reason),
      el("td", {}, when(item.first_seen)),
      el("td", {}, when(item.last_seen)),
      counted && figure(number(item.seen)),
      el("td", {}, item.resolved ? pill("good", "Resolved") : pill(openLevel, openWord)),
    );
  }

  function update(items, none, cut) {
    fill(inside, [items, cut], () => {
      if (!items.length) return nothing(none);
      const times = counted && head("Times", { class: "figure" });
      const heads = el("tr", {}, head("Invoice", { class: "figure edge" }), head("Field"), head("Reason"), head("First seen"), head("Last seen"), times, head("Now", { class: "edge" }));
      return [table(title, heads, items.map(row)), cut && el("p", { class: "muted small" }, cut)];
    });
  }

  return { element, update };
}
