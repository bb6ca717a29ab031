// The buttons that start a sync: through Airflow's own REST API, with the rights of the user.

import { el, setText, show, announce } from "./elements.js";
import * as server from "./server.js";

// Creates the buttons for one agreement. `started` is called with the run that Airflow has created.
export function starting(dagId, started) {
  const now = el("button", { type: "button", class: "first", "aria-disabled": "true", onclick: () => may(now) && start({}) }, "Sync now");
  const force = el("button", { type: "button", "aria-haspopup": "dialog", "aria-disabled": "true", onclick: () => may(force) && dialog.showModal() }, "Force sync…");
  const quick = el("button", { type: "button", hidden: true, "aria-disabled": "true", "aria-describedby": "why-not", onclick: () => may(quick) && start({}, state.agreement.quick_dag_id) }, "Quick sync");
  const why = el("p", { class: "muted small", id: "why-not" });
  const failed = el("p", { class: "small bad-text", role: "alert" });
  const dialog = confirmation(() => start({ force: true }));
  let busy = false;

  async function start(conf, startedId = dagId) {
    if (busy) return;
    busy = true;
    update(state);
    setText(failed, "");
    try {
      const run = await server.trigger(startedId, conf);
      announce(conf.force ? "A forced sync was requested." : "A sync was requested.");
      started(run);
    } catch (error) {
      setText(failed, `${error.message} ${error.problem?.todo ?? ""}`.trim());
    } finally {
      busy = false;
      update(state);
    }
  }

  let state = { agreement: { may_trigger: false }, dag: undefined, waits: "" };

  function update(next) {
    state = next;
    const { agreement, dag, quickDag } = next;
    const never = reason(agreement.may_trigger, dag);
    const neverQuick = reason(agreement.may_trigger_quick, quickDag) || (agreement.standing?.last_full ? "" : "A quick sync needs a full one to build on.");
    show(quick, Boolean(agreement.quick_dag_id));
    allow(quick, !busy && !neverQuick && !next.waits);
    allow(now, !busy && !never && !next.waits);
    allow(force, !busy && !never);
    for (const button of [now, force]) button.setAttribute("aria-describedby", "why-not");
    const words = never || next.waits || (agreement.quick_dag_id && neverQuick && `Quick sync: ${neverQuick}`) || "";
    setText(why, words);
    show(why, Boolean(words));
  }

  return { element: el("div", { class: "starting" }, el("div", { class: "buttons" }, now, quick, force), why, failed, dialog), update };
}

// The attribute, not the property: a disabled button stays reachable, keeps the focus and gives its
// reason.
function allow(button, allowed) {
  button.setAttribute("aria-disabled", String(!allowed));
}

const may = (button) => button.getAttribute("aria-disabled") === "false";

function reason(mayTrigger, dag) {
  if (!mayTrigger) return "Your Airflow role may not trigger syncs.";
  if (dag === null) return "Airflow does not show this DAG: it is not parsed yet, or has an import error.";
  if (dag?.is_paused) return "The DAG is switched off in Airflow: a run would wait until it is on.";
  return "";
}

function confirmation(confirmed) {
  const dialog = el(
    "dialog",
    { "aria-labelledby": "force-title" },
    el("h2", { id: "force-title" }, "Force a sync?"),
    el(
      "ul",
      {},
      el("li", {}, "It takes over at once from a sync that a backfill, another Airflow or a crash left running. That sync stops and writes nothing more."),
      el("li", {}, "It reads every invoice and all employees' names again, also where the copy seems to hold the same."),
      el("li", {}, "It does not jump Airflow's queue: it waits until an earlier run of this DAG has ended."),
    ),
    el("p", {}, "Nothing is lost either way. If in doubt, use Sync now."),
    el(
      "div",
      { class: "buttons end" },
      el("button", { type: "button", onclick: () => dialog.close(), autofocus: true }, "Cancel"),
      el(
        "button",
        {
          type: "button",
          class: "first",
          onclick: () => {
            dialog.close();
            confirmed();
          },
        },
        "Force sync",
      ),
    ),
  );
  return dialog;
}
