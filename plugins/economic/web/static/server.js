// Requests to this page's own routes, and to Airflow's REST API with the rights of the user.

export class RequestError extends Error {
  constructor(status, problem) {
    super(problem.text);
    this.status = status;
    this.problem = problem;
  }
}

const ERRORS = {
  0: { text: "Airflow cannot be reached.", todo: "The page retries automatically." },
  401: { text: "You are not logged in to Airflow any more.", todo: "Log in, then load this page again." },
  403: {
    text: "Your Airflow role may not read the runs of the e-conomic sync.",
    todo: "Ask an administrator for the right to read its DAG runs.",
  },
  404: { text: "There is no such agreement, or your Airflow role may not read its runs.", todo: "" },
};
const UNEXPECTED = { text: "The page failed because of an unexpected error.", todo: "It retries automatically. The log of Airflow's API server shows where it happened." };
const TIMEOUT = 20000;

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(TIMEOUT), headers: { Accept: "application/json", ...options.headers } });
  } catch {
    throw new RequestError(0, ERRORS[0]);
  }
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Not JSON, so a proxy's answer: its status is enough.
  }
  return { status: response.status, body };
}

// Returns an answer of the page's own routes. One without a status, because the database cannot be
// read, still has the agreements and what the user may do.
export async function page(path) {
  const { status, body } = await request(`api/${path}`);
  for (const { standing } of body?.agreements ?? [body?.agreement ?? {}]) {
    if (standing) standing.arrived = performance.now();
  }
  if (status === 200 && body) return body;
  if (body?.problem && (body.agreement || body.agreements)) return body;
  throw new RequestError(status, body?.problem ?? ERRORS[status] ?? UNEXPECTED);
}

const dagPath = (dagId) => `../api/v2/dags/${encodeURIComponent(dagId)}`;

// Returns Airflow's DAG; null when there is none, or this user may not read it.
export async function dag(dagId) {
  const { status, body } = await request(dagPath(dagId));
  return status === 200 ? body : null;
}

// Returns all DAGs whose ids begin with the prefix, by id.
export async function dags(prefix) {
  const byId = new Map();
  for (let offset = 0; ; ) {
    const { status, body } = await request(`../api/v2/dags?dag_id_pattern=${encodeURIComponent(prefix)}&limit=100&offset=${offset}`);
    if (status !== 200 || !body.dags.length) return byId;
    for (const one of body.dags) byId.set(one.dag_id, one);
    offset += body.dags.length;
    if (offset >= body.total_entries) return byId;
  }
}

export async function trigger(dagId, conf) {
  const { status, body } = await request(`${dagPath(dagId)}/dagRuns`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ logical_date: null, conf }),
  });
  if (status === 200 || status === 201) return body;
  if (status === 403) throw new RequestError(status, { text: "Your Airflow role may not trigger this DAG.", todo: "" });
  if (status === 404) throw new RequestError(status, { text: "Airflow does not know this DAG.", todo: "Look at its list of import errors." });
  const detail = typeof body?.detail === "string" ? body.detail : "";
  throw new RequestError(status, ERRORS[status] ?? { text: `Airflow did not start a run (${status}). ${detail}`.trim(), todo: "" });
}

export async function dagRun(dagId, runId) {
  const { status, body } = await request(`${dagPath(dagId)}/dagRuns/${encodeURIComponent(runId)}`);
  return status === 200 ? body : null;
}

export const dagAddress = (dagId) => new URL(`../dags/${encodeURIComponent(dagId)}`, document.baseURI).href;
export const runAddress = (dagId, runId) =>
  new URL(`../dags/${encodeURIComponent(dagId)}/runs/${encodeURIComponent(runId)}`, document.baseURI).href;

export const connectionAddress = (connId) => new URL(`../connections?name_pattern=${encodeURIComponent(connId)}`, document.baseURI).href;

// Follows a link out of Airflow's frame. The frame's sandbox may not navigate the page around it,
// but a link inside that page may.
export function leave(event) {
  if (window.parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const link = window.parent.document.createElement("a");
  link.href = event.currentTarget.href;
  window.parent.document.body.append(link);
  link.click();
  link.remove();
}
