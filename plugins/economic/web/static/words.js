// The texts for an agreement's facts.

import { amount, dates, length, localised, many, moment, number, until } from "./format.js";
import { lineFindings } from "./line_words.js";

const WORST_FIRST = ["bad", "warn", "quiet"];
const UNKNOWN = { level: "quiet", text: "Not known" };

// Returns an agreement's name: its company as soon as a sync has read that.
export const title = (agreement) => agreement.standing?.company ?? (agreement.name ? `e-conomic: ${agreement.name}` : "e-conomic");

// Returns an agreement's state in two or three words: its worst finding.
export function state(agreement) {
  const standing = agreement.standing;
  if (!standing) return UNKNOWN;
  const worst = findings(agreement).find(({ level }) => level !== "quiet");
  if (worst) return { level: worst.level, text: worst.short };
  if (!standing.last_synced) return { level: "quiet", text: "Not synced yet" };
  return { level: "good", text: "Fresh and complete" };
}

// Returns everything that needs attention, the worst first.
export function findings(agreement) {
  const standing = agreement.standing;
  const all = [];
  const add = (level, short, text, todo) => all.push({ level, short, text, todo });
  const { sync, outcome } = standing;
  if (outcome?.status === "failed") {
    add("bad", "Last sync failed", `Sync ${outcome.sync_id} failed.`, reason(outcome));
    all.at(-1).connection = outcome.connection;
  }
  if (sync?.stalled) {
    add("warn", "Stalled", `Sync ${sync.sync_id} has stalled: its process is gone.`, "The next sync takes over; a forced one at once.");
  }
  if (outcome?.status === "abandoned") add("warn", "Cut off", `Sync ${outcome.sync_id} was cut off.`, `${reason(outcome)} The next sync reads everything again.`);
  if (standing.missed_due) {
    add("warn", "Late", `A sync was due ${moment(standing.missed_due)} and the copy has not been synced since.`, "Check that Airflow's scheduler runs and that the DAG is on.");
  } else if (standing.missed_full) {
    add("warn", "Full sync late", `A full sync was due ${moment(standing.missed_full)} and none has ended since.`, "Quick syncs still prove the copy; what they cannot see waits for a full one. Check that its DAG is on.");
  }
  if (standing.last_synced && !standing.complete) {
    add("warn", "Not proven complete", "The last sync could not prove that it saw every invoice.", "The next sync reads again.");
  }
  if (standing.rejected) {
    const differs = standing.reconciled === false ? ` ${difference(standing)}`.trimEnd() : "";
    add("warn", `${number(standing.rejected)} rejected`, `${many(standing.rejected, "invoice")} ${standing.rejected === 1 ? "was" : "were"} rejected.`, `The list below has the reasons. An invoice is stored as soon as e-conomic delivers it correctly.${differs}`);
  }
  if (standing.reconciled === false && !explained(standing)) add("warn", "Differs from e-conomic", difference(standing));
  if (standing.warning) add("warn", "Needs attention", `${localised(standing.warning)}.`);
  if (outcome?.unproven) add("warn", "Not proven", `The last quick sync is ${outcome.warning ? localised(outcome.warning) : "not proven"}.`, "The next one looks again. The facts below are those of the last proven sync.");
  if (standing.degraded) add("quiet", "", `${many(standing.degraded, "invoice")} ${standing.degraded === 1 ? "is" : "are"} stored with a field left out.`, "e-conomic sent a value that it does not document. The list below has the reasons.");
  return [...all, ...lineFindings(standing.lines)].sort((one, other) => WORST_FIRST.indexOf(one.level) - WORST_FIRST.indexOf(other.level));
}

// Returns whether the rejected invoices explain a difference from e-conomic's totals.
function explained(standing) {
  return standing.rejected > 0 && Math.abs((standing.booked ?? 0) - (standing.held?.invoices ?? 0)) <= standing.rejected;
}

// Returns how the copy's totals differ from e-conomic's; sums only where the page shows amounts.
function difference({ booked, booked_net: net, held, currency, rejected }) {
  const parts = [];
  const here = held?.invoices;
  const counts = booked !== null && here !== undefined && booked !== here;
  if (counts) parts.push(`e-conomic counts ${many(booked, "invoice")}, the copy holds ${number(here)}.`);
  const sums = net !== null && held?.net !== undefined && Number(net) !== Number(held.net);
  if (sums) parts.push(`The net sum is ${amount(net, currency)} in e-conomic, ${amount(held.net, currency)} in the copy.`);
  if (!counts && !sums && !rejected) parts.push("The net sums differ; the counts agree.");
  return parts.join(" ");
}

// Returns a sync's own message. Those of another Airflow are not shown.
export function reason(sync) {
  if (sync.message === null) return "The Airflow that ran it has the reason in its log.";
  return localised(sync.message);
}

// Returns a sync's result from its counts, or the reason why there is none.
export function result(sync) {
  if (sync.status !== "completed" && sync.status !== "completed_with_errors") return reason(sync);
  if (sync.quiet) return "Nothing had changed.";
  const { fetched, rejected } = sync.counts ?? sync;
  const parts = [`Synced ${many(fetched ?? 0, "invoice")}`];
  if (rejected) parts.push(`${number(rejected)} rejected`);
  if (sync.warning) parts.push(localised(sync.warning));
  return `${parts.join("; ")}.`;
}

export function completeness(standing) {
  if (!standing.last_synced) return { level: "quiet", text: "–", more: "no full sync has ended yet" };
  return standing.complete
    ? { level: "good", text: "Proven", more: standing.last_synced === standing.last_full ? "every invoice was seen" : "by count and sums" }
    : { level: "warn", text: "Not proven", more: "the next sync reads again" };
}

export function agreementWithSource(standing) {
  if (!standing.last_synced) return { level: "quiet", text: "–", more: "nothing to compare yet" };
  if (standing.reconciled === null) return { level: "quiet", text: "Not compared", more: "e-conomic's totals could not be read" };
  if (standing.reconciled) return { level: "good", text: "Yes", more: "count and net sum are equal" };
  return { level: "warn", text: "No", more: explained(standing) ? "because of rejected invoices" : `${number(standing.booked)} in e-conomic` };
}

const TRIGGERS = { scheduled: "Scheduled", manual: "Manual", backfill: "Backfill", asset_triggered: "Asset" };

export function trigger(sync) {
  const words = TRIGGERS[sync.trigger] ?? sync.trigger;
  return [words, sync.quick && "quick", sync.forced && "forced"].filter(Boolean).join(", ");
}

export function range(sync) {
  if (!sync.range) return "";
  const [from, to] = sync.range;
  return from && to ? dates(from, to) : `${from ? dates(from, from) : "start"} – ${to ? dates(to, to) : "today"}`;
}

const STATUSES = {
  running: ["info", "Running"],
  waiting: ["quiet", "Waiting"],
  completed: ["good", "Completed"],
  completed_with_errors: ["warn", "With errors"],
  failed: ["bad", "Failed"],
  skipped: ["quiet", "Skipped"],
  superseded: ["quiet", "Superseded"],
  abandoned: ["warn", "Abandoned"],
};

// A sync that waits for another one has the status running, but is not at work.
export function status({ status: name, phase, unproven }) {
  if (unproven) return { level: "warn", text: "Not proven" };
  const [level, text] = STATUSES[name === "running" && phase === "waiting" ? "waiting" : name] ?? ["quiet", name];
  return { level, text };
}

export const PHASES = [["fetch", "Fetch"], ["upsert", "Store"], ["names", "Names"]];

// Returns the seconds of a successful sync that belong to no phase. A failed sync is left out: its
// phases did not report all of their time.
export function waited(sync) {
  if (!["completed", "completed_with_errors"].includes(sync.status)) return 0;
  return Math.max(0, sync.seconds - PHASES.reduce((sum, [name]) => sum + sync.phases[name], 0));
}

// Estimates the time left from the progress so far; empty while there is too little of it.
export function timeLeft(sync, elapsed) {
  if (sync.percentage < 3 || elapsed < 3 || sync.percentage >= 100) return "";
  return `about ${length(Math.max(1, (elapsed * (100 - sync.percentage)) / sync.percentage))} left`;
}

// Returns an age in seconds, the copy's or another one, by the server's clock: the user's may be
// wrong.
export const age = (standing, seconds = standing.age_seconds) => seconds + (performance.now() - standing.arrived) / 1000;

// Returns when the next quick sync is due, in the words that follow the next full one's; empty where
// there are no quick syncs, or Airflow does not show their DAG.
export function nextQuick(dag) {
  if (!dag) return "";
  return dag.is_paused ? "quick: paused" : dag.next_dagrun_run_after ? `quick: ${until(dag.next_dagrun_run_after)}` : "";
}

// Returns when the next sync is due, or why none is, and the schedule if there is one.
export function nextDue(agreement, dag) {
  if (dag === undefined) return { text: "…", more: "", schedule: "" };
  if (dag === null) return { text: "Not known", more: "Airflow does not show this DAG", schedule: "" };
  const schedule = agreement.scheduled ? dag.timetable_description || dag.timetable_summary : "";
  if (dag.is_paused) return { text: "Paused", more: "the DAG is switched off in Airflow", schedule };
  if (dag.next_dagrun_run_after) return { due: dag.next_dagrun_run_after, schedule };
  return agreement.scheduled ? { text: "Not planned", more: "Airflow has planned no run yet", schedule } : { text: "Off", more: "no schedule: manual syncs only", schedule };
}
