// All agreements that the user may see, one a row.

import { el, fill, pill, setText, show, time } from "./elements.js";
import { ago, exactMoment, many, moment, number, share, until } from "./format.js";
import * as server from "./server.js";
import { age, nextDue, nextQuick, state } from "./words.js";

// Less often than for one company: many leave this view open, and it reads all of them.
const QUICK = 5000;
const SLOW = 30000;
const AIRFLOW_EVERY = 60000;
const ENOUGH_TO_SEARCH = 8;
const ORDER = { bad: 0, warn: 1, quiet: 2, good: 3 };

// `fresh` is an answer that has just arrived, if there is one.
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
  let dagsRead = 0;
  const rows = new Map();
  document.title = "e-conomic sync";

  async function askAirflow() {
    if (dags && performance.now() - dagsRead < AIRFLOW_EVERY) return;
    dagsRead = performance.now();
    dags = await server.dags("economic_invoice_").catch(() => dags);
    draw();
  }

  async function refresh() {
    askAirflow();
    const answer = unused ?? (await everyAgreement());
    unused = null;
    const known = new Map(all.map((one) => [one.dag_id, one.standing]));
    // The last known status stays visible while the database cannot be read; the page shows why.
    if (answer.problem && answer.problem.code !== "no_tables") answer.agreements.forEach((one) => (one.standing ??= known.get(one.dag_id)));
    all = answer.agreements;
    draw();
    const working = all.some(({ standing }) => standing?.sync?.running && !standing.sync.stalled);
    return { wait: working ? QUICK : SLOW, problem: answer.problem };
  }

  function draw() {
    const wanted = search.value.trim().toLowerCase();
    const named = all.map((agreement) => ({ agreement, name: agreement.standing?.company ?? agreement.name, state: state(agreement) }));
    const found = named.filter(({ agreement, name }) => !wanted || `${name} ${agreement.standing?.agreement ?? ""} ${agreement.dag_id}`.toLowerCase().includes(wanted));
    found.sort((a, b) => ORDER[a.state.level] - ORDER[b.state.level] || a.name.localeCompare(b.name));
    const attention = named.filter((one) => one.state.level === "bad" || one.state.level === "warn").length;
    setText(counts, [many(all.length, "company", "companies"), attention ? `${number(attention)} need${attention === 1 ? "s" : ""} attention` : "", wanted ? `${number(found.length)} shown` : ""].filter(Boolean).join(" · "));
    show(searching, all.length > ENOUGH_TO_SEARCH);
    show(none, found.length === 0);
    for (const one of found) rowOf(one.agreement.dag_id).update(one);
    arrange(found.map((one) => rowOf(one.agreement.dag_id).element));
    tick();
  }

  function rowOf(dagId) {
    if (!rows.has(dagId)) rows.set(dagId, companyRow(dagId));
    return rows.get(dagId);
  }

  // Moving a row takes the focus away from its link.
  function arrange(wanted) {
    if (wanted.length === body.children.length && wanted.every((one, place) => body.children[place] === one)) return;
    const focused = document.activeElement;
    body.replaceChildren(...wanted);
    if (body.contains(focused)) focused.focus({ preventScroll: true });
  }

  // Updates what changes with the clock.
  function tick() {
    for (const agreement of all) rowOf(agreement.dag_id).tick(agreement, dags ? (dags.get(agreement.dag_id) ?? null) : undefined, dags?.get(agreement.quick_dag_id));
  }

  return { element, refresh, tick, redraw: draw, end: () => {}, poll: { soon: () => {} } };
}

const below = (text) => text && el("span", { class: "muted small block" }, text);

// One row. Its element stays the same when its data changes, so that its link keeps the focus.
function companyRow(dagId) {
  const link = el("a", { href: `#${dagId}` });
  const under = el("span", { class: "muted small block" });
  const [how, synced, next] = [0, 1, 2].map(() => el("td"));
  const figures = [0, 1, 2].map(() => el("td", { class: "figure" }));
  const element = el("tr", {}, el("td", {}, link, under), how, synced, next, figures);

  function update({ agreement, name, state: { level, text } }) {
    const standing = agreement.standing;
    const sync = standing?.sync?.running && !standing.sync.stalled ? standing.sync : null;
    setText(link, name || "e-conomic");
    setText(under, standing?.agreement ? `Agreement ${standing.agreement}` : dagId);
    const progress = sync && (sync.phase === "waiting" ? pill("quiet", "Waiting") : pill("info", `Syncing ${share(sync.percentage)}`));
    fill(how, [level, text, progress?.textContent], () => [pill(level, text), progress && " ", progress]);
    [standing?.held?.invoices, standing?.held?.overdue, standing?.rejected].forEach((count, place) => setText(figures[place], number(count)));
  }

  function tick({ standing, scheduled }, dag, quickDag) {
    const at = standing?.last_synced;
    const since = at ? [at, exactMoment(at), ago(age(standing))] : null;
    const full = at && at !== standing.last_full ? `full: ${ago(age(standing, standing.full_age_seconds))}` : "";
    fill(synced, [since, full], () => (since ? [time(...since), below(full)] : el("span", { class: "muted" }, "never")));
    const { due, text, schedule } = nextDue({ scheduled }, dag);
    const planned = due ? [due, [moment(due), schedule].filter(Boolean).join(" · "), until(due)] : null;
    const quick = nextQuick(quickDag);
    fill(next, [planned ?? [text, schedule], quick], () => [...(planned ? [time(...planned)] : [text, below(schedule)]), below(quick)]);
  }

  return { element, update, tick };
}

// Returns all agreements, also when there are more than fit into one answer.
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
