// Formats numbers and times: in the browser's language, with 24 hours as everywhere in Airflow, and
// in the time zone chosen in Airflow, else the browser's.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const upToTenth = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const cents = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

let zone;
let exactly;
let zoned;
let shortly;
let day;

export function readTimeZone() {
  let chosen;
  try {
    chosen = JSON.parse(window.localStorage.getItem("timezone")) ?? undefined;
    new Intl.DateTimeFormat(undefined, { timeZone: chosen });
  } catch {
    chosen = undefined;
  }
  zone = chosen ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const minutes = { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone };
  shortly = new Intl.DateTimeFormat(undefined, minutes);
  zoned = new Intl.DateTimeFormat(undefined, { ...minutes, timeZoneName: "short" });
  exactly = new Intl.DateTimeFormat(undefined, { ...minutes, second: "2-digit", timeZoneName: "short" });
  day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
}

readTimeZone();

export const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
export const share = (value) => `${tenth.format(value)} %`;
export const amount = (text, currency) => `${cents.format(text)} ${currency ?? ""}`.trim();
// exactMoment is for tooltips, moment for a time that stands alone, shortMoment for lists.
export const exactMoment = (text) => exactly.format(new Date(text));
export const moment = (text) => zoned.format(new Date(text));
export const shortMoment = (text) => shortly.format(new Date(text));
// Returns a range of days, or one date when both are the same.
export const dates = (from, to) => day.formatRange(new Date(`${from}T00:00:00Z`), new Date(`${to}T00:00:00Z`));
export const month = (text) =>
  new Intl.DateTimeFormat(undefined, { month: "short", year: "2-digit", timeZone: "UTC" }).format(new Date(`${text}-01T00:00:00Z`));

export const seconds = (value) => tenth.format(value);

// For the scale of a chart, where every number is round.
export const roundSeconds = (value) => upToTenth.format(value);

const units = [[86400, "day"], [3600, "h"], [60, "min"], [1, "s"]];

// Returns a length of time with two units: 2 h 3 min.
export function length(value) {
  let left = Math.max(0, Math.round(value));
  const parts = [];
  for (const [size, name] of units) {
    if (left >= size || (size === 1 && parts.length === 0)) {
      const count = Math.floor(left / size);
      parts.push(`${whole.format(count)} ${name}${name === "day" && count !== 1 ? "s" : ""}`);
      left %= size;
    } else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

// Rounded to minutes above two minutes: seconds would only flicker.
const calmly = (value) => length(value < 120 ? value : Math.floor(value / 60) * 60);

export const ago = (value) => (value < 5 ? "just now" : `${calmly(value)} ago`);

export function until(text) {
  const left = (new Date(text) - Date.now()) / 1000;
  return left <= 0 ? "due now" : `in ${calmly(left)}`;
}

const ENGLISH_NUMBER = /(?<![\d.,])\d{1,3}(?:,\d{3})+(\.\d+)?(?![\d,])/g;
const UTC_TIME = /\b(\d{4}-\d\d-\d\d) (\d\d:\d\d(?::\d\d)?) UTC\b/g;

// Localises numbers and times within a stored sentence: Danes read "22,540" as 22 and a half.
export const localised = (text) =>
  text
    .replace(ENGLISH_NUMBER, (digits, decimals) => (decimals ? cents : whole).format(digits.replaceAll(",", "")))
    .replace(UTC_TIME, (_, on, at) => zoned.format(new Date(`${on}T${at}Z`)));

export const many = (count, one, more = `${one}s`) => `${number(count)} ${count === 1 ? one : more}`;
