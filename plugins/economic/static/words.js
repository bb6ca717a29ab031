// What the facts of an agreement mean, in words.

import { length, many, moment, number } from "./format.js";

const NO_WORD = { level: "quiet", text: "Not known" };

// What an agreement is called: by its company as soon as a sync has learned that.
export const title = (told) => told.standing?.company ?? (told.name ? `e-conomic: ${told.name}` : "e-conomic");

// How an agreement stands, in two or three words: the worst of what there is to say.
export function state(told) {
  const standing = told.standing;
  if (!standing) return NO_WORD;
  const worst = findings(told)[0];
  if (worst) return { level: worst.level, text: worst.short };
  if (!standing.last_synced) return { level: "quiet", text: "Not synced yet" };
  return { level: "good", text: "Fresh and complete" };
}

// Everything that somebody should look at, the worst first.
export function findings(told) {
  const standing = told.standing;
  const found = [];
  const add = (level, short, text, todo) => found.push({ level, short, text, todo });
  const { sync, outcome } = standing;
  if (outcome?.status === "failed") add("bad", "Last sync failed", `Sync ${outcome.sync_id} failed.`, outcome.message);
  if (sync?.stalled) {
    add("warn", "Stalled", `Sync ${sync.sync_id} has stalled: its process is gone.`, "The next sync takes over by itself; a forced one at once.");
  }
  if (outcome?.status === "abandoned") add("warn", "Cut off", `Sync ${outcome.sync_id} was cut off.`, `${outcome.message} The next sync reads everything again.`);
  if (standing.missed_due) {
    add("warn", "Late", `A sync was due ${moment(standing.missed_due)} and the copy has not been synced since.`, "Look whether Airflow's scheduler runs and the DAG is on.");
  }
  if (standing.last_synced && !standing.complete) {
    add("warn", "Not proven complete", "The last sync could not prove that it saw every invoice.", "The next sync reads again.");
  }
  if (standing.refused) {
    add("warn", `${number(standing.refused)} refused`, `${many(standing.refused, "invoice")} could not be stored and ${standing.refused === 1 ? "is" : "are"} kept aside.`, `See below; each heals by itself when e-conomic delivers it right.${standing.verdict && standing.reconciled === false ? ` ${standing.verdict}` : ""}`);
  }
  if (standing.reconciled === false && !explained(standing)) add("warn", "Differs from e-conomic", difference(standing));
  if (standing.warning) add("warn", "Look at it", `${standing.warning}.`);
  return found;
}

// Whether refused invoices are reason enough for other totals than e-conomic's.
function explained(standing) {
  return standing.refused > 0 && Math.abs((standing.booked ?? 0) - (standing.held?.invoices ?? 0)) <= standing.refused;
}

function difference(standing) {
  if (standing.verdict) return standing.verdict;
  const here = standing.held?.invoices;
  return standing.booked === null || here === undefined || standing.booked === here
    ? "The net sums differ; the counts agree."
    : `e-conomic counts ${many(standing.booked, "invoice")}, the copy holds ${number(here)}.`;
}

export function completeness(standing) {
  if (!standing.last_synced) return { level: "quiet", text: "–", more: "no full sync has ended yet" };
  return standing.complete
    ? { level: "good", text: "Proven", more: "every invoice was seen" }
    : { level: "warn", text: "Not proven", more: "the next sync reads again" };
}

export function agreementWithSource(standing) {
  if (!standing.last_synced) return { level: "quiet", text: "–", more: "nothing to compare yet" };
  if (standing.reconciled === null) return { level: "quiet", text: "Not compared", more: "e-conomic's totals could not be read" };
  if (standing.reconciled) return { level: "good", text: "Yes", more: "count and net sum are equal" };
  return { level: "warn", text: "No", more: explained(standing) ? "not with what was refused" : `${number(standing.booked)} in e-conomic` };
}

const TRIGGERS = { scheduled: "Scheduled", manual: "Manual", backfill: "Backfill", asset_triggered: "Asset" };

export function trigger(sync) {
  const words = TRIGGERS[sync.trigger] ?? sync.trigger;
  return sync.forced ? `${words}, forced` : words;
}

export function range(sync, date) {
  if (!sync.range) return "";
  const [from, to] = sync.range;
  return `${from ? date(from) : "start"} – ${to ? date(to) : "today"}`;
}

const STATUSES = {
  running: ["info", "Running"],
  completed: ["good", "Completed"],
  completed_with_errors: ["warn", "With errors"],
  failed: ["bad", "Failed"],
  skipped: ["quiet", "Skipped"],
  superseded: ["quiet", "Superseded"],
  abandoned: ["warn", "Abandoned"],
};

export function status(name) {
  const [level, text] = STATUSES[name] ?? ["quiet", name];
  return { level, text };
}

export const PHASES = [["fetch", "Fetch"], ["upsert", "Store"], ["names", "Names"]];

// How long a sync still takes: as long again for what is left as for what is done. Nothing is said before there is something to judge by.
export function timeLeft(sync, elapsed) {
  if (sync.percentage < 3 || elapsed < 3 || sync.percentage >= 100) return "";
  return `about ${length(Math.max(1, (elapsed * (100 - sync.percentage)) / sync.percentage))} left`;
}

// For how many seconds the copy has stood as it is: by the server's clock, for the viewer's may be wrong.
export const age = (standing) => standing.age_seconds + (performance.now() - standing.arrived) / 1000;

// When the next sync is due, why none is, and what the schedule is where there is one.
export function nextDue(told, dag) {
  if (dag === undefined) return { text: "…", more: "", schedule: "" };
  if (dag === null) return { text: "Not known", more: "Airflow does not show this DAG", schedule: "" };
  const schedule = told.scheduled ? dag.timetable_description || dag.timetable_summary : "";
  if (dag.is_paused) return { text: "Paused", more: "the DAG is switched off in Airflow", schedule };
  if (dag.next_dagrun_run_after) return { due: dag.next_dagrun_run_after, schedule };
  return told.scheduled ? { text: "Not planned", more: "Airflow has planned no run yet", schedule } : { text: "Off", more: "no schedule: manual syncs only", schedule };
}
