// Questions to this page's own routes, and to Airflow's REST API with the rights of whoever looks at it.

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.text);
    this.status = status;
    this.problem = problem;
  }
}

const WORDS = {
  0: { text: "Airflow cannot be reached.", todo: "The page asks again by itself." },
  401: { text: "You are not logged in to Airflow any more.", todo: "Log in, then load this page again." },
  403: {
    text: "Your Airflow role may not read the runs of the e-conomic sync.",
    todo: "Ask an administrator for the right to read its DAG runs.",
  },
  404: { text: "There is no such agreement, or your Airflow role may not read its runs.", todo: "" },
};
const OTHER = { text: "The page failed because of an unexpected error.", todo: "It asks again by itself. The log of Airflow's API server says where it happened." };
const PATIENCE = 20000;

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, signal: AbortSignal.timeout(PATIENCE), headers: { Accept: "application/json", ...options.headers } });
  } catch {
    throw new Refused(0, WORDS[0]);
  }
  let body = null;
  try {
    body = await answer.json();
  } catch {
    // an answer of something else on the way: its status says enough
  }
  return { status: answer.status, body };
}

// An answer of this page's own routes. One that could not be read still says who asks and what may be done.
export async function page(path) {
  const { status, body } = await ask(`api/${path}`);
  for (const { standing } of body?.agreements ?? [body?.agreement ?? {}]) {
    if (standing) standing.arrived = performance.now();
  }
  if (status === 200 && body) return body;
  if (body?.problem && (body.agreement || body.agreements)) return body;
  throw new Refused(status, body?.problem ?? WORDS[status] ?? OTHER);
}

const dagPath = (dagId) => `../api/v2/dags/${encodeURIComponent(dagId)}`;

// What Airflow knows of a DAG; null when it does not know it, or does not tell this user.
export async function dag(dagId) {
  const { status, body } = await ask(dagPath(dagId));
  return status === 200 ? body : null;
}

// The same for all that begin with a name, by id.
export async function dags(prefix) {
  const found = new Map();
  for (let offset = 0; ; ) {
    const { status, body } = await ask(`../api/v2/dags?dag_id_pattern=${encodeURIComponent(prefix)}&limit=100&offset=${offset}`);
    if (status !== 200 || !body.dags.length) return found;
    for (const one of body.dags) found.set(one.dag_id, one);
    offset += body.dags.length;
    if (offset >= body.total_entries) return found;
  }
}

export async function trigger(dagId, conf) {
  const { status, body } = await ask(`${dagPath(dagId)}/dagRuns`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ logical_date: null, conf }),
  });
  if (status === 200 || status === 201) return body;
  if (status === 403) throw new Refused(status, { text: "Your Airflow role may not trigger this DAG.", todo: "" });
  if (status === 404) throw new Refused(status, { text: "Airflow does not know this DAG.", todo: "Look at its list of import errors." });
  const said = typeof body?.detail === "string" ? body.detail : "";
  throw new Refused(status, WORDS[status] ?? { text: `Airflow did not start a run (${status}). ${said}`.trim(), todo: "" });
}

export async function dagRun(dagId, runId) {
  const { status, body } = await ask(`${dagPath(dagId)}/dagRuns/${encodeURIComponent(runId)}`);
  return status === 200 ? body : null;
}

export const dagAddress = (dagId) => new URL(`../dags/${encodeURIComponent(dagId)}`, document.baseURI).href;
export const runAddress = (dagId, runId) =>
  new URL(`../dags/${encodeURIComponent(dagId)}/runs/${encodeURIComponent(runId)}`, document.baseURI).href;

export const connectionAddress = (connId) => new URL(`../connections?name_pattern=${encodeURIComponent(connId)}`, document.baseURI).href;

// Follows a link out of Airflow's frame: its sandbox lets nothing inside lead the page around it elsewhere, but that page's own links may.
export function leave(event) {
  if (window.parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const link = window.parent.document.createElement("a");
  link.href = event.currentTarget.href;
  window.parent.document.body.append(link);
  link.click();
  link.remove();
}
