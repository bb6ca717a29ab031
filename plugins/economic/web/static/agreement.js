// One agreement: how its copy stands, what runs, what went wrong.

import { charts } from "./charts.js";
import { el, fill, pill, say, show, speak } from "./elements.js";
import { ago, amount, moment, number, until } from "./format.js";
import { progress } from "./progress.js";
import * as server from "./server.js";
import { starting } from "./starting.js";
import { rejectionTable, syncTable } from "./tables.js";
import { age, agreementWithSource, completeness, findings, nextDue, result, state, status, title as called } from "./words.js";

const QUICK = 2000;
const SLOW = 20000;
const AIRFLOW_EVERY = 20000;

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

// `fresh` is what has just been told of it, if anything has: it is shown before more is asked. `name` is what it was called last.
export function agreementView(dagId, { several, fresh, name }) {
  const title = el("h1", { tabindex: "-1" });
  const badge = el("span");
  const under = el("p", { class: "muted" });
  const look = el("div", { class: "findings" });
  const facts = { synced: fact("Last synced"), next: fact("Next sync"), complete: fact("Complete"), source: fact("Agrees with e\u2011conomic") };
  const held = el("dl", { class: "held" });
  const working = progress();
  const buttons = starting(dagId, (run) => {
    queued = run;
    // At once, for the buttons: the next answer may be long in coming, and a second run is not to be started meanwhile.
    draw();
    poll.soon();
  });
  const drawn = charts();
  const syncs = syncTable(dagId);
  const rejected = rejectionTable();
  const ready = el("div", { hidden: true }, el("section", { class: "card" }, el("dl", { class: "facts" }, Object.values(facts).map((one) => one.element)), held), drawn.element, syncs.element, rejected.element);
  const element = el(
    "div",
    {},
    several && el("p", {}, el("a", { href: "#" }, "‹ All companies")),
    el("header", {}, el("div", {}, el("div", { class: "row" }, title, badge), under), buttons.element),
    look,
    working.element,
    ready,
  );

  let asked = Boolean(fresh);
  let told = fresh ?? { dag_id: dagId, name: "", may_trigger: false };
  let over = false;
  let dag;
  let dagAsked = 0;
  let queued = null;
  let listed = "";
  let wasRunning = null;
  const poll = { soon: () => {} };

  function head(words) {
    say(title, words);
    document.title = several ? `${words} – e-conomic sync` : "e-conomic sync";
  }

  async function askAirflow() {
    if (performance.now() - dagAsked < AIRFLOW_EVERY && dag !== undefined) return;
    dagAsked = performance.now();
    dag = await server.dag(dagId).catch(() => dag);
    draw();
  }

  async function followQueued(sync) {
    if (!queued) return;
    const begun = sync?.run_id === queued.dag_run_id;
    const run = begun ? null : await server.dagRun(dagId, queued.dag_run_id);
    if (begun || !run || ["success", "failed"].includes(run.state)) queued = null;
  }

  async function lists(standing) {
    const { sync, outcome } = standing;
    const key = JSON.stringify([sync?.sync_id, sync?.status, sync?.phase, outcome?.sync_id, standing.rejected, standing.degraded]);
    if (key === listed) return;
    const [latest, aside] = await Promise.all([server.page(`agreements/${dagId}/syncs`), server.page(`agreements/${dagId}/rejections`)]);
    listed = key;
    syncs.update(latest.syncs);
    drawn.update(latest.syncs);
    rejected.update(aside);
  }

  // Asks and shows; resolves to the milliseconds until it should be asked again, and what is wrong if something is.
  async function refresh() {
    askAirflow();
    const answer = await server.page(`agreements/${dagId}`);
    // What was known stays in sight while the database cannot be asked; the page says above that it is old.
    if (!answer.agreement.standing && answer.problem?.code !== "no_tables") answer.agreement.standing = told.standing;
    told = answer.agreement;
    asked = true;
    const standing = told.standing;
    await followQueued(standing?.sync);
    draw();
    if (standing && !answer.problem) await lists(standing);
    const quick = queued || (standing?.sync?.running && !standing.sync.stalled);
    return { wait: quick ? QUICK : SLOW, problem: answer.problem };
  }

  function draw() {
    if (over) return;
    const standing = told.standing;
    const sync = standing?.sync?.running ? standing.sync : null;
    // Airflow's answer may come before the first one of the page.
    if (asked) head(called(told));
    const { level, text } = state(told);
    fill(badge, [level, text], () => pill(level, text));
    fill(under, [standing?.agreement, dagId], () => [
      standing?.agreement ? `Agreement ${standing.agreement} · ` : "",
      el("a", { href: server.dagAddress(dagId), onclick: server.leave }, dagId),
    ]);
    buttons.update({ told, dag, waits: sync && !sync.stalled ? (sync.phase === "waiting" ? "A sync is waiting." : "A sync is running.") : queued ? "A sync is queued." : "" });
    working.update(sync, queued);
    show(ready, Boolean(standing));
    if (!standing) return;
    // Before the first sync there is nothing to draw or to list.
    for (const part of [drawn, rejected]) show(part.element, Boolean(standing.sync));
    announceEnd(standing, sync);
    const shown = findings(told);
    fill(look, shown, () => shown.map(finding));
    drawHeld(standing);
    if (standing.held?.months) drawn.updateMonths(standing.held.months);
    for (const [where, words] of [[facts.complete, completeness(standing)], [facts.source, agreementWithSource(standing)]]) {
      say(where.main, words.text);
      where.main.className = `value ${words.level}-text`;
      say(where.more, words.more);
    }
    tick();
  }

  function announceEnd(standing, sync) {
    if (wasRunning !== null && !sync && standing.outcome?.sync_id >= wasRunning) speak(`Sync ${standing.outcome.sync_id}: ${status(standing.outcome).text}. ${result(standing.outcome)}`);
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

  // What moves with the clock alone.
  function tick() {
    working.tick();
    const standing = told.standing;
    if (!standing) return;
    const { last_synced: synced } = standing;
    say(facts.synced.main, synced ? ago(age(standing)) : "Never");
    say(facts.synced.more, synced ? `read from ${moment(synced)}` : "no full sync has ended yet");
    const next = nextDue(told, dag);
    say(facts.next.main, next.due ? until(next.due) : next.text);
    say(facts.next.more, [next.due ? moment(next.due) : next.more, next.schedule].filter(Boolean).join(" · "));
  }

  function end() {
    over = true;
    drawn.end();
  }

  head(name);
  if (told.standing) draw();
  return { element, refresh, tick, redraw: draw, end, poll };
}
