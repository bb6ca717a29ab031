// The page: which view is shown, and when it asks again.

import { agreementView } from "./agreement.js";
import { el, fill } from "./elements.js";
import { readTimeZone } from "./format.js";
import { everyAgreement, overview } from "./overview.js";
import { Refused } from "./server.js";
import { title } from "./words.js";

const HIDDEN = 60000;
const LONGEST = 60000;
const FIRST_AGAIN = 2000;
const FINAL = new Set([401, 403, 404]);

let view = null;
let names = new Map();
let timer = 0;
let failures = 0;
let turn = 0;

function tell(problem) {
  fill(document.getElementById("problem"), problem, () =>
    problem && el("div", { class: `finding ${problem.code === "no_tables" ? "quiet" : "bad"}` }, el("strong", {}, problem.text), problem.todo && el("span", {}, ` ${problem.todo}`)),
  );
}

// Asks once and plans the next time: soon while something runs, seldom in a hidden tab, ever more seldom while it fails.
async function ask() {
  window.clearTimeout(timer);
  const mine = ++turn;
  let wait;
  try {
    const { wait: wanted, problem } = await view.refresh();
    if (mine !== turn) return;
    tell(problem);
    failures = problem && problem.code !== "no_tables" ? failures + 1 : 0;
    wait = wanted;
  } catch (error) {
    if (mine !== turn) return;
    if (!(error instanceof Refused)) console.error(error);
    tell(error instanceof Refused ? error.problem : { text: "The page failed because of an unexpected error.", todo: "Load it again." });
    if (FINAL.has(error.status)) return;
    failures += 1;
    wait = 0;
  }
  if (failures) wait = Math.max(wait, Math.min(LONGEST, FIRST_AGAIN * 2 ** Math.min(failures, 10)));
  if (document.hidden) wait = Math.max(wait, HIDDEN);
  timer = window.setTimeout(ask, wait);
}

// Shows what the address asks for: an agreement, or all of them. An answer that has just come is used, an older one is not.
function open(fresh = null) {
  const dagIds = [...names.keys()];
  const several = dagIds.length > 1;
  const dagId = several ? dagIds.find((one) => window.location.hash === `#${one}`) : dagIds[0];
  view?.end();
  view = dagId
    ? agreementView(dagId, { several, fresh: fresh?.agreements.find((one) => one.dag_id === dagId), name: names.get(dagId) })
    : overview(fresh);
  view.poll.soon = ask;
  document.getElementById("view").replaceChildren(view.element);
  // Not at the first time: whoever has just loaded the page is somewhere already.
  if (!fresh) view.element.querySelector("h1").focus({ preventScroll: true });
  window.scrollTo(0, 0);
  failures = 0;
  ask();
}

// The time zone is chosen in the page around this one, which outlives it.
function followTimeZone() {
  const gone = new AbortController();
  window.addEventListener("pagehide", () => gone.abort());
  const reread = (event) => {
    if (event.key !== "timezone") return;
    readTimeZone();
    view.redraw();
  };
  for (const where of new Set([window, window.parent])) {
    for (const name of ["storage", "local-storage"]) where.addEventListener(name, reread, { signal: gone.signal });
  }
}

async function begin() {
  let answer;
  try {
    answer = await everyAgreement();
    names = new Map(answer.agreements.map((one) => [one.dag_id, title(one)]));
    tell(answer.problem);
  } catch (error) {
    tell(error instanceof Refused ? error.problem : { text: "The page failed because of an unexpected error.", todo: "Load it again." });
    document.getElementById("view").replaceChildren();
    if (!FINAL.has(error.status)) timer = window.setTimeout(begin, Math.min(LONGEST, FIRST_AGAIN * 2 ** failures++));
    return;
  }
  window.addEventListener("hashchange", () => open());
  window.setInterval(() => view.tick(), 1000);
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  followTimeZone();
  open(answer);
}

begin();
