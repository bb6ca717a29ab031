// One agreement: its status, the running sync, what needs attention.

import { charts } from "./charts.js";
import { el, fill, pill, setText, show, announce } from "./elements.js";
import { ago, amount, moment, number, until } from "./format.js";
import { linesRow, unprovenTable } from "./lines.js";
import { progress } from "./progress.js";
import * as server from "./server.js";
import { starting } from "./starting.js";
import { rejectionTable, syncTable } from "./tables.js";
import { age, agreementWithSource, completeness, findings, nextDue, nextQuick, result, state, status, title as called } from "./words.js";

const QUICK = 2000;
const SLOW = 20000;
const AIRFLOW_EVERY = 20000;
const MOST_REQUESTS = 50000;

function fact(label) {
  const main = el("span", { class: "value" });
  const more = el("span", { class: "muted small" });
  return { element: el("div", { class: "fact" }, el("dt", {}, label), el("dd", {}, main, more)), main, more };
}

function finding({ level, text, todo, connection }) {
  return el(
    "div",
    { class: `finding ${level}` },
    el("strong", {}, text),
    todo && el("span", {}, ` ${todo}`),
    connection && [" ", el("a", { href: server.connectionAddress(connection), onclick: server.leave }, `Open the connection ${connection}`)],
  );
}

// `fresh` is the agreement's data if it has just arrived; `name` is its last known name.
export function agreementView(dagId, { several, fresh, name }) {
  const title = el("h1", { tabindex: "-1" });
  const badge = el("span");
  const under = el("p", { class: "muted" });
  const look = el("div", { class: "findings" });
  const facts = { synced: fact("Last synced"), next: fact("Next sync"), complete: fact("Complete"), source: fact("Agrees with e\u2011conomic"), full: fact("Last full sync"), requests: fact("Requests of syncs, 24 h") };
  const held = el("dl", { class: "held" });
  const ofLines = linesRow();
  const working = progress();
  const buttons = starting(dagId, (run) => {
    queued = run;
    // At once: a second run must not be started before the next answer arrives.
    draw();
    poll.soon();
  });
  const graphs = charts();
  const syncs = syncTable();
  const rejected = rejectionTable();
  const unproven = unprovenTable();
  const ready = el("div", { hidden: true }, el("section", { class: "card" }, el("dl", { class: "facts" }, Object.values(facts).map((one) => one.element)), held, ofLines.element), graphs.element, syncs.element, rejected.element, unproven.element);
  const element = el(
    "div",
    {},
    several && el("p", {}, el("a", { href: "#" }, "‹ All companies")),
    el("header", {}, el("div", {}, el("div", { class: "row" }, title, badge), under), buttons.element),
    look,
    working.element,
    ready,
  );

  let loaded = Boolean(fresh);
  let agreement = fresh ?? { dag_id: dagId, name: "", may_trigger: false };
  let ended = false;
  let dag;
  let quickDag;
  let dagRead = 0;
  let queued = null;
  let listedKey = "";
  let linesKey = "";
  let wasRunning = null;
  const poll = { soon: () => {} };

  function head(words) {
    setText(title, words);
    document.title = several ? `${words} – e-conomic sync` : "e-conomic sync";
  }

  async function askAirflow() {
    if (performance.now() - dagRead < AIRFLOW_EVERY && dag !== undefined) return;
    dagRead = performance.now();
    const quickId = agreement.quick_dag_id;
    [dag, quickDag] = await Promise.all([server.dag(dagId).catch(() => dag), quickId ? server.dag(quickId).catch(() => quickDag) : undefined]);
    draw();
  }

  async function followQueued(sync) {
    if (!queued) return;
    const begun = sync?.run_id === queued.dag_run_id;
    const run = begun ? null : await server.dagRun(queued.dag_id, queued.dag_run_id);
    if (begun || !run || ["success", "failed"].includes(run.state)) queued = null;
  }

  async function lists(standing) {
    const { sync, outcome } = standing;
    const key = JSON.stringify([sync?.sync_id, sync?.status, sync?.phase, outcome?.sync_id, standing.rejected, standing.degraded]);
    if (key === listedKey) return;
    const [latest, rejections] = await Promise.all([server.page(`agreements/${dagId}/syncs`), server.page(`agreements/${dagId}/rejections`)]);
    listedKey = key;
    syncs.update(latest.syncs);
    graphs.update(latest.syncs);
    rejected.update(rejections);
    const { requests, window_used: used, window_limit: limit } = latest.usage;
    setText(facts.requests.main, number(requests));
    setText(facts.requests.more, `of ${number(MOST_REQUESTS)} a day${limit ? `; at most ${number(used)} of ${number(limit)} in e\u2011conomic's window` : ""}`);
  }

  async function listLines({ lines }) {
    const any = lines?.differing || lines?.rejected;
    const key = any ? JSON.stringify([lines.finished, lines.differing, lines.rejected]) : "";
    if (key === linesKey) return;
    unproven.update(any ? await server.page(`agreements/${dagId}/lines`) : { lines: [], most: 0 });
    linesKey = key;
  }

  // Reads and shows. Resolves to the milliseconds until the next time and the problem, if any.
  async function refresh() {
    if (loaded) askAirflow();
    const answer = await server.page(`agreements/${dagId}`);
    // The last known status stays visible while the database cannot be read; the page shows why.
    if (!answer.agreement.standing && answer.problem?.code !== "no_tables") answer.agreement.standing = agreement.standing;
    agreement = answer.agreement;
    if (!loaded) askAirflow();
    loaded = true;
    const standing = agreement.standing;
    await followQueued(standing?.sync);
    draw();
    if (standing && !answer.problem) {
      await lists(standing);
      await listLines(standing);
    }
    const quick = queued || (standing?.sync?.running && !standing.sync.stalled) || standing?.lines?.status === "running";
    return { wait: quick ? QUICK : SLOW, problem: answer.problem };
  }

  function draw() {
    if (ended) return;
    const standing = agreement.standing;
    const sync = standing?.sync?.running ? standing.sync : null;
    // Airflow's answer may arrive before the page's own.
    if (loaded) head(called(agreement));
    const { level, text } = state(agreement);
    fill(badge, [level, text], () => pill(level, text));
    fill(under, [standing?.agreement, dagId], () => [
      standing?.agreement ? `Agreement ${standing.agreement} · ` : "",
      el("a", { href: server.dagAddress(dagId), onclick: server.leave }, dagId),
    ]);
    buttons.update({ agreement, dag, quickDag, waits: sync && !sync.stalled ? (sync.phase === "waiting" ? "A sync is waiting." : "A sync is running.") : queued ? "A sync is queued." : "" });
    working.update(sync, queued);
    show(ready, Boolean(standing));
    if (!standing) return;
    // Before the first sync there is nothing to list.
    for (const part of [graphs, rejected]) show(part.element, Boolean(standing.sync));
    const quickly = Boolean(agreement.quick_dag_id) || standing.last_full !== standing.last_synced;
    for (const one of [facts.full, facts.requests]) show(one.element, quickly);
    show(syncs.quiet, Boolean(standing.outcome?.quiet));
    announceEnd(standing, sync);
    const shown = findings(agreement);
    fill(look, shown, () => shown.map(finding));
    drawHeld(standing);
    ofLines.update(standing);
    if (standing.held?.months) graphs.updateMonths(standing.held.months);
    for (const [where, words] of [[facts.complete, completeness(standing)], [facts.source, agreementWithSource(standing)]]) {
      setText(where.main, words.text);
      where.main.className = `value ${words.level}-text`;
      setText(where.more, words.more);
    }
    tick();
  }

  function announceEnd(standing, sync) {
    if (wasRunning !== null && !sync && standing.outcome?.sync_id >= wasRunning) announce(`Sync ${standing.outcome.sync_id}: ${status(standing.outcome).text}. ${result(standing.outcome)}`);
    wasRunning = sync ? sync.sync_id : null;
  }

  function drawHeld(standing) {
    const { held: now, currency } = standing;
    fill(held, [now, currency], () => {
      if (!now) return [];
      const figures = [["Invoices held", now.invoices], ["Not due", now.not_due], ["Overdue", now.overdue], ["Credit", now.credit]];
      if (now.missing) figures.push(["Missing", now.missing]);
      const made = figures.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", { class: "figure" }, number(value))));
      for (const [label, value] of [["Net, all", now.net], ["Unpaid", now.unpaid], ["Of it overdue", now.overdue_unpaid]]) {
        if (value !== undefined && value !== null) made.push(el("div", {}, el("dt", {}, label), el("dd", { class: "figure" }, amount(value, currency))));
      }
      return made;
    });
  }

  // Updates what changes with the clock.
  function tick() {
    working.tick();
    ofLines.tick();
    const standing = agreement.standing;
    if (!standing) return;
    const { last_synced: synced } = standing;
    setText(facts.synced.main, synced ? ago(age(standing)) : "Never");
    setText(facts.synced.more, synced ? `read from ${moment(synced)}` : "no full sync has ended yet");
    setText(facts.full.main, standing.last_full ? ago(age(standing, standing.full_age_seconds)) : "Never");
    setText(facts.full.more, standing.last_full ? `read from ${moment(standing.last_full)}` : "");
    if (standing.outcome?.quiet) setText(syncs.quiet, `Looked ${ago(age(standing, standing.outcome.age_seconds))}: nothing had changed. Such quick syncs are not listed.`);
    const next = nextDue(agreement, dag);
    setText(facts.next.main, next.due ? until(next.due) : next.text);
    setText(facts.next.more, [next.due ? moment(next.due) : next.more, next.schedule, nextQuick(quickDag)].filter(Boolean).join(" · "));
  }

  function end() {
    ended = true;
    graphs.end();
  }

  head(name);
  if (agreement.standing) draw();
  return { element, refresh, tick, redraw: draw, end, poll };
}
