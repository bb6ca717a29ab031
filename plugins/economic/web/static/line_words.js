// The texts for the lines of an agreement's invoices.

import { amount, localised, many, number } from "./format.js";

const AGAIN = "The list below names each. It is read again daily for a week.";

// Returns what needs attention about the lines. Where they are switched off here, nothing does.
export function lineFindings(lines) {
  if (!lines?.dag_id) return [];
  const all = [];
  const add = (level, short, text, todo) => all.push({ level, short, text, todo });
  const reason = localised(lines.message || "");
  if (lines.status === "no_right") {
    add("quiet", "", "The page's database role may not read how the invoice lines stand.", "Let the owner of the tables run include/sql/grants/grant_page.sql again.");
  }
  if (lines.status === "failed") add("bad", "Lines failed", "The invoice lines could not be read.", `${reason} The invoices are not concerned.`);
  if (lines.status === "skipped") add("warn", "Lines not read", "The invoice lines were not read.", reason);
  if (lines.status === "stalled") add("warn", "Lines stalled", "The run that reads the invoice lines has stalled: its process is gone.", "The next run goes on where it stopped.");
  if (lines.late && lines.status !== "running") add("warn", "Lines late", "The invoice lines were not read for more than two days.", `Check that the DAG ${lines.dag_id} is on.`);
  if (lines.rejected) add("warn", "Lines rejected", `${many(lines.rejected, "invoice")} ${lines.rejected === 1 ? "has" : "have"} a line that cannot be stored.`, AGAIN);
  if (lines.differing) add("warn", "Lines differ", `The lines of ${many(lines.differing, "invoice")} do not add up to ${lines.differing === 1 ? "its" : "their"} net amount.`, AGAIN);
  if (countDiffers(lines)) add("warn", "Line count differs", `e-conomic counts ${many(lines.counted, "line")}, the copy holds ${number(lines.held)}.`, "The next comparison, within two days, reads the invoices again that differ.");
  return all;
}

const countDiffers = ({ counted, held }) => counted !== null && counted !== undefined && counted !== held;

// Returns how far the lines are proven: in one line, and with what is missing.
export function linesProven(lines) {
  if (lines.status === "no_right") return { level: "quiet", text: "Invoice lines: not known", more: [] };
  if (lines.status === "unread") return { level: "quiet", text: "Invoice lines: not read yet", more: ["the first run begins after the next sync with changes, or within a day"] };
  if (lines.status === "running" && lines.age_seconds === null) return { level: "quiet", text: "Reading all invoice lines for the first time", more: [] };
  const { proven, invoices, differing, rejected, unread, counted } = lines;
  const missing = [differing && `${number(differing)} differing`, rejected && `${number(rejected)} rejected`, unread && `${number(unread)} not read yet`];
  const count = counted === null ? "lines not counted yet" : countDiffers(lines) ? "e-conomic counts other lines" : `e-conomic counts ${number(counted)} lines too`;
  return {
    level: differing || rejected || countDiffers(lines) ? "warn" : unread ? "quiet" : "good",
    text: `Lines of ${number(proven)} of ${number(invoices)} invoices proven`,
    more: [...missing, count, !lines.dag_id && "switched off here"].filter(Boolean),
  };
}

// Returns the part of a run's invoices that are read, in percent; null while it is not known.
export const linesPercentage = ({ current, total }) => (total ? (100 * current) / total : null);

// Returns why an invoice's lines are not proven; with the amount only where the page shows amounts.
export function unproven({ status, message, reason, difference }) {
  if (status === "rejected") return message ?? reason;
  if (difference === null) return "The lines do not add up to the invoice's net amount.";
  const by = amount(difference.replace("-", ""));
  return difference.startsWith("-") ? `The lines are ${by} short of the invoice's net amount.` : `The lines exceed the invoice's net amount by ${by}.`;
}
