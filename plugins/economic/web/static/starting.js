// The buttons that start a sync: through Airflow's own REST API, with the rights of whoever presses them.

import { el, say, show, speak } from "./elements.js";
import * as server from "./server.js";

// Makes the buttons for one DAG. `started` is called with the run that Airflow has made.
export function starting(dagId, started) {
  const now = el("button", { type: "button", class: "first", "aria-disabled": "true", onclick: () => may(now) && start({}) }, "Sync now");
  const force = el("button", { type: "button", "aria-haspopup": "dialog", "aria-disabled": "true", onclick: () => may(force) && dialog.showModal() }, "Force sync…");
  const why = el("p", { class: "muted small", id: "why-not" });
  const failed = el("p", { class: "small bad-text", role: "alert" });
  const dialog = confirmation(() => start({ force: true }));
  let busy = false;

  async function start(conf) {
    if (busy) return;
    busy = true;
    update(state);
    say(failed, "");
    try {
      const run = await server.trigger(dagId, conf);
      speak(conf.force ? "A forced sync was asked for." : "A sync was asked for.");
      started(run);
    } catch (error) {
      say(failed, `${error.message} ${error.problem?.todo ?? ""}`.trim());
    } finally {
      busy = false;
      update(state);
    }
  }

  let state = { told: { may_trigger: false }, dag: undefined, waits: "" };

  function update(next) {
    state = next;
    const never = reason(next);
    allow(now, !busy && !never && !next.waits);
    allow(force, !busy && !never);
    for (const button of [now, force]) button.setAttribute("aria-describedby", "why-not");
    say(why, never || next.waits);
    show(why, Boolean(never || next.waits));
  }

  return { element: el("div", { class: "starting" }, el("div", { class: "buttons" }, now, force), why, failed, dialog), update };
}

// By the attribute, not by the property: a button that has been pressed keeps the focus, and one that cannot be pressed is reached and says why.
function allow(button, allowed) {
  button.setAttribute("aria-disabled", String(!allowed));
}

const may = (button) => button.getAttribute("aria-disabled") === "false";

function reason({ told, dag }) {
  if (!told.may_trigger) return "Your Airflow role may not trigger syncs.";
  if (dag === null) return "Airflow does not show this DAG: it is not read yet, or has an import error.";
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
