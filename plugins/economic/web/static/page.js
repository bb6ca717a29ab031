// The page: which view is shown, and when it is refreshed.

import { agreementView } from "./agreement.js";
import { el, fill } from "./elements.js";
import { readTimeZone } from "./format.js";
import { everyAgreement, overview } from "./overview.js";
import { RequestError } from "./server.js";
import { title } from "./words.js";

const HIDDEN = 60000;
const LONGEST_RETRY = 60000;
const FIRST_RETRY = 2000;
const FINAL = new Set([401, 403, 404]);

let view = null;
let names = new Map();
let timer = 0;
let failures = 0;
let turn = 0;

function showProblem(problem) {
  fill(document.getElementById("problem"), problem, () =>
    problem && el("div", { class: `finding ${problem.code === "no_tables" ? "quiet" : "bad"}` }, el("strong", {}, problem.text), problem.todo && el("span", {}, ` ${problem.todo}`)),
  );
}

function problemOf(error) {
  if (error instanceof RequestError) return error.problem;
  console.error(error);
  return { text: "The page failed because of an unexpected error.", todo: "Load it again." };
}

// Refreshes the view and plans the next time: soon while a sync runs, rarely in a hidden tab, and
// ever more rarely while requests fail.
async function poll() {
  window.clearTimeout(timer);
  const myTurn = ++turn;
  let wait;
  try {
    const { wait: wanted, problem } = await view.refresh();
    if (myTurn !== turn) return;
    showProblem(problem);
    failures = problem && problem.code !== "no_tables" ? failures + 1 : 0;
    wait = wanted;
  } catch (error) {
    if (myTurn !== turn) return;
    showProblem(problemOf(error));
    if (FINAL.has(error.status)) return;
    failures += 1;
    wait = 0;
  }
  if (failures) wait = Math.max(wait, Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** Math.min(failures, 10)));
  if (document.hidden) wait = Math.max(wait, HIDDEN);
  timer = window.setTimeout(poll, wait);
}

// Shows the agreement that the address names, or all of them. `fresh` is an answer that has just
// arrived.
function open(fresh = null) {
  const dagIds = [...names.keys()];
  const several = dagIds.length > 1;
  const dagId = several ? dagIds.find((one) => window.location.hash === `#${one}`) : dagIds[0];
  view?.end();
  view = dagId
    ? agreementView(dagId, { several, fresh: fresh?.agreements.find((one) => one.dag_id === dagId), name: names.get(dagId) })
    : overview(fresh);
  view.poll.soon = poll;
  document.getElementById("view").replaceChildren(view.element);
  // Not on loading: the focus is where the user has put it.
  if (!fresh) view.element.querySelector("h1").focus({ preventScroll: true });
  window.scrollTo(0, 0);
  failures = 0;
  poll();
}

// The time zone is chosen in Airflow's page around this one, which outlives it.
function followTimeZone() {
  const unloaded = new AbortController();
  window.addEventListener("pagehide", () => unloaded.abort());
  const reread = (event) => {
    if (event.key !== "timezone") return;
    readTimeZone();
    view.redraw();
  };
  for (const target of new Set([window, window.parent])) {
    for (const name of ["storage", "local-storage"]) target.addEventListener(name, reread, { signal: unloaded.signal });
  }
}

async function begin() {
  let answer;
  try {
    answer = await everyAgreement();
    names = new Map(answer.agreements.map((one) => [one.dag_id, title(one)]));
    showProblem(answer.problem);
  } catch (error) {
    showProblem(problemOf(error));
    document.getElementById("view").replaceChildren();
    if (!FINAL.has(error.status)) timer = window.setTimeout(begin, Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** failures++));
    return;
  }
  window.addEventListener("hashchange", () => open());
  window.setInterval(() => view.tick(), 1000);
  document.addEventListener("visibilitychange", () => document.hidden || poll());
  followTimeZone();
  open(answer);
}

begin();
