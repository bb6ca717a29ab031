// All agreements that the viewer may see, one a row.

import { el, fill, pill, say, show } from "./elements.js";
import { ago, exactMoment, many, moment, number, share, until } from "./format.js";
import * as server from "./server.js";
import { age, nextDue, state } from "./words.js";

// Seldomer than one company alone: this is what everybody leaves open, and it reads all of them.
const QUICK = 5000;
const SLOW = 30000;
const AIRFLOW_EVERY = 60000;
const ENOUGH_TO_SEARCH = 8;
const ORDER = { bad: 0, warn: 1, quiet: 2, good: 3 };

// `fresh` is an answer that has just come, if one has.
export function overview(fresh) {
  const counts = el("p", { class: "muted" });
  const search = el("input", { type: "search", id: "search", placeholder: "Company, agreement or DAG", oninput: () => draw() });
  const searching = el("div", { class: "searching" }, el("label", { for: "search", class: "unseen" }, "Find a company"), search);
  const body = el("tbody");
  const none = el("p", { class: "muted" }, "No company matches.");
  const columns = ["Company", "State", "Last synced", "Next sync"].map((words) => el("th", { scope: "col", class: "edge" }, words));
  const figures = ["Invoices", "Overdue", "Rejected"].map((words) => el("th", { scope: "col", class: "figure edge" }, words));
  const element = el(
    "div",
    {},
    el("header", {}, el("div", {}, el("h1", { tabindex: "-1" }, "e-conomic sync"), counts), searching),
    el(
      "section",
      { class: "card" },
      el(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": "Companies" },
        el("table", {}, el("caption", { class: "unseen" }, "Companies"), el("thead", {}, el("tr", {}, columns, figures)), body),
      ),
      none,
    ),
  );
  let unused = fresh;
  let all = fresh?.agreements ?? [];
  let dags;
  let dagsAsked = 0;
  const rows = new Map();
  document.title = "e-conomic sync";

  async function askAirflow() {
    if (dags && performance.now() - dagsAsked < AIRFLOW_EVERY) return;
    dagsAsked = performance.now();
    dags = await server.dags("economic_invoice_sync").catch(() => dags);
    draw();
  }

  async function refresh() {
    askAirflow();
    const answer = unused ?? (await everyAgreement());
    unused = null;
    const known = new Map(all.map((one) => [one.dag_id, one.standing]));
    // What was known stays in sight while the database cannot be asked; the page says above that it is old.
    if (answer.problem && answer.problem.code !== "no_tables") answer.agreements.forEach((one) => (one.standing ??= known.get(one.dag_id)));
    all = answer.agreements;
    draw();
    const working = all.some(({ standing }) => standing?.sync?.running && !standing.sync.stalled);
    return { wait: working ? QUICK : SLOW, problem: answer.problem };
  }

  function draw() {
    const wanted = search.value.trim().toLowerCase();
    const named = all.map((told) => ({ told, name: told.standing?.company ?? told.name, state: state(told) }));
    const found = named.filter(({ told, name }) => !wanted || `${name} ${told.standing?.agreement ?? ""} ${told.dag_id}`.toLowerCase().includes(wanted));
    found.sort((a, b) => ORDER[a.state.level] - ORDER[b.state.level] || a.name.localeCompare(b.name));
    const amiss = named.filter((one) => one.state.level === "bad" || one.state.level === "warn").length;
    say(counts, [many(all.length, "company", "companies"), amiss ? `${number(amiss)} need${amiss === 1 ? "s" : ""} attention` : "", wanted ? `${number(found.length)} shown` : ""].filter(Boolean).join(" · "));
    show(searching, all.length > ENOUGH_TO_SEARCH);
    show(none, found.length === 0);
    for (const one of found) rowOf(one.told.dag_id).update(one);
    arrange(found.map((one) => rowOf(one.told.dag_id).element));
    tick();
  }

  function rowOf(dagId) {
    if (!rows.has(dagId)) rows.set(dagId, companyRow(dagId));
    return rows.get(dagId);
  }

  // A row that moves loses the focus that was in it.
  function arrange(wanted) {
    if (wanted.length === body.children.length && wanted.every((one, place) => body.children[place] === one)) return;
    const focused = document.activeElement;
    body.replaceChildren(...wanted);
    if (body.contains(focused)) focused.focus({ preventScroll: true });
  }

  // What moves with the clock alone.
  function tick() {
    for (const told of all) rowOf(told.dag_id).tick(told, dags ? (dags.get(told.dag_id) ?? null) : undefined);
  }

  return { element, refresh, tick, redraw: draw, end: () => {}, poll: { soon: () => {} } };
}

// One row, which stays the same while what it says changes: whoever has come to its link keeps it.
function companyRow(dagId) {
  const link = el("a", { href: `#${dagId}` });
  const under = el("span", { class: "muted small block" });
  const [how, synced, next] = [0, 1, 2].map(() => el("td"));
  const figures = [0, 1, 2].map(() => el("td", { class: "figure" }));
  const element = el("tr", {}, el("td", {}, link, under), how, synced, next, figures);

  function update({ told, name, state: { level, text } }) {
    const standing = told.standing;
    const sync = standing?.sync?.running && !standing.sync.stalled ? standing.sync : null;
    say(link, name || "e-conomic");
    say(under, standing?.agreement ? `Agreement ${standing.agreement}` : dagId);
    fill(how, [level, text, sync?.percentage], () => [pill(level, text), sync && " ", sync && pill("info", `Syncing ${share(sync.percentage)}`)]);
    [standing?.held?.invoices, standing?.held?.overdue, standing?.rejected].forEach((count, place) => say(figures[place], number(count)));
  }

  function tick({ standing, scheduled }, dag) {
    const at = standing?.last_synced;
    const since = at ? [at, exactMoment(at), ago(age(standing))] : null;
    fill(synced, since, () => (since ? time(...since) : el("span", { class: "muted" }, "never")));
    const { due, text, schedule } = nextDue({ scheduled }, dag);
    const planned = due ? [due, [moment(due), schedule].filter(Boolean).join(" · "), until(due)] : null;
    fill(next, planned ?? [text, schedule], () => (planned ? time(...planned) : [text, schedule && el("span", { class: "muted small block" }, schedule)]));
  }

  return { element, update, tick };
}

const time = (datetime, title, words) => el("time", { datetime, title }, words);

// The agreements, also when there are more than one answer holds.
export async function everyAgreement() {
  const answer = await server.page("agreements");
  for (let after = answer.next; after; ) {
    const more = await server.page(`agreements?after=${encodeURIComponent(after)}`);
    answer.agreements.push(...more.agreements);
    answer.problem ??= more.problem;
    after = more.next;
  }
  return answer;
}
