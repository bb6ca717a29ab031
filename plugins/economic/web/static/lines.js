// The row about the lines of an agreement's invoices, and the list of those that are not proven.

import { announce, el, fill, pill, setText, show } from "./elements.js";
import { ago, length, localised, number, share } from "./format.js";
import { linesPercentage, linesProven, unproven } from "./line_words.js";
import * as server from "./server.js";
import { figure, head, nothing, table, when } from "./tables.js";
import { age, timeLeft } from "./words.js";

export function linesRow() {
  const main = el("span", { class: "value" });
  const more = el("span", { class: "muted small" });
  const link = el("span", { class: "small" });
  const bar = el("progress", { max: "100", "aria-label": "Progress of the lines" });
  const percent = el("strong", { class: "figure" });
  const counted = el("span", { class: "figure muted" });
  const message = el("span", { class: "small" });
  const times = el("span", { class: "muted small end" });
  const working = el("div", { hidden: true }, el("div", { class: "row bar" }, bar, counted, percent), el("div", { class: "row" }, message, times));
  const element = el("div", { class: "lines", hidden: true }, el("div", { class: "row" }, main, more, link), working);
  let shown = null;
  let running = false;

  function update(standing) {
    const { lines } = standing;
    show(element, Boolean(lines));
    shown = lines && standing;
    if (!lines) return;
    const { level, text } = linesProven(lines);
    setText(main, text);
    main.className = `value ${level}-text`;
    fill(link, lines.dag_id, () => lines.dag_id && el("a", { href: server.dagAddress(lines.dag_id), onclick: server.leave }, lines.dag_id));
    const atWork = lines.status === "running";
    show(working, atWork);
    const percentage = atWork ? linesPercentage(lines) : null;
    if (percentage === null) bar.removeAttribute("value");
    else bar.value = percentage;
    setText(percent, percentage === null ? "" : share(percentage));
    setText(counted, percentage === null ? "" : `${number(lines.current)} / ${number(lines.total)}`);
    setText(message, localised(lines.message || "Reading lines"));
    if (running && !atWork) announce(text);
    running = atWork;
    tick();
  }

  // Updates what changes with the clock.
  function tick() {
    const lines = shown?.lines;
    if (!lines) return;
    const done = lines.age_seconds ?? null;
    setText(more, [...linesProven(lines).more, done !== null && `read ${ago(age(shown, done))}`].filter(Boolean).join(" · "));
    if (lines.status !== "running") return;
    const elapsed = age(shown, lines.seconds);
    setText(times, [`${length(elapsed)} elapsed`, timeLeft({ percentage: linesPercentage(lines) ?? 0 }, elapsed)].filter(Boolean).join(" · "));
  }

  return { element, update, tick };
}

// The invoices whose lines are not proven.
export function unprovenTable() {
  const title = "Invoices with unproven lines";
  const inside = el("div");
  const element = el("section", { class: "card", hidden: true }, el("h2", {}, title), inside);

  function row(item) {
    const differs = item.status === "differing";
    return el(
      "tr",
      {},
      figure(String(item.invoice)),
      el("td", {}, item.field ? el("code", {}, item.field) : "–"),
      el("td", { class: "wide" }, unproven(item)),
      el("td", {}, when(item.first_read)),
      el("td", {}, when(item.last_read)),
      figure(number(item.tries)),
      el("td", {}, pill("warn", differs ? "Differs" : "Rejected")),
    );
  }

  function update({ lines, most }) {
    show(element, lines === null || lines.length > 0);
    fill(inside, lines, () => {
      if (lines === null) return nothing("The page's database role may not read them. Let the owner of the tables run include/sql/grants/grant_page.sql again.");
      const heads = el("tr", {}, head("Invoice", { class: "figure edge" }), head("Field"), head("Reason"), head("First read"), head("Last read"), head("Times", { class: "figure" }), head("Now", { class: "edge" }));
      return [table(title, heads, lines.map(row)), lines.length >= most && el("p", { class: "muted small" }, `The first ${number(most)} are shown.`)];
    });
  }

  return { element, update };
}
