// The card of the running sync: progress, elapsed time, time left.

import { el, fill, pill, setText, show, announce } from "./elements.js";
import { length, localised, many, number, share } from "./format.js";
import { PHASES, range, timeLeft, trigger } from "./words.js";

const ANNOUNCED_EVERY = 25; // percent

export function progress() {
  const title = el("h2");
  const badge = el("span");
  const by = el("span", { class: "muted" });
  const bar = el("progress", { max: "100", value: "0", "aria-label": "Progress of the sync" });
  const percent = el("strong", { class: "figure" });
  const message = el("span");
  const others = el("span", { class: "muted" });
  const counted = el("span", { class: "figure muted" });
  const times = el("span", { class: "muted end" });
  const phases = el("ol", { class: "phases", "aria-label": "Phases" });
  const element = el(
    "section",
    { class: "card progress", hidden: true, "aria-label": "Sync at work" },
    el("div", { class: "row" }, title, badge, by, phases),
    el("div", { class: "row bar" }, bar, counted, percent),
    el("div", { class: "row" }, message, others, times),
  );
  let shown = null;
  let updatedAt = 0;
  let announced = "";

  // Announces every quarter, not every step.
  function announceProgress(sync) {
    const step = `${sync.sync_id} ${sync.phase} ${sync.stalled} ${Math.floor(sync.percentage / ANNOUNCED_EVERY)}`;
    if (step !== announced) announce(sync.stalled ? "The sync has stalled." : `${share(sync.percentage)}: ${activity(sync)}`);
    announced = step;
  }

  // The sync's message; only its phase where another Airflow runs it, whose messages are not shown.
  function activity(sync) {
    const { phase, message } = sync;
    if (phase === "waiting") return `Waits for its turn: one sync of a company runs at a time.${sync.waiting > 1 ? ` ${many(sync.waiting, "sync")} wait.` : ""}`;
    if (message !== null) return localised(message);
    return PHASES.find(([name]) => name === phase)?.[1] ?? "Starting";
  }

  function tick() {
    if (!shown?.sync_id || shown.stalled) return;
    const elapsed = shown.seconds + (performance.now() - updatedAt) / 1000;
    setText(times, [`${length(elapsed)} elapsed`, timeLeft(shown, elapsed)].filter(Boolean).join(" · "));
  }

  // Shows the running sync, else the run that Airflow has queued, else nothing.
  function update(sync, queued) {
    show(element, Boolean(sync || queued));
    shown = sync;
    updatedAt = performance.now();
    if (!sync && queued) {
      setText(title, "Waiting to start");
      fill(badge, "queued", () => pill("quiet", "Queued"));
      setText(by, "Airflow has made the run; it starts in a moment, or when the run before it has ended.");
      bar.removeAttribute("value");
      for (const part of [percent, message, others, counted, times]) setText(part, "");
      fill(phases, null, () => []);
    }
    if (!sync) return;
    const waiting = sync.phase === "waiting";
    setText(title, `Sync ${sync.sync_id}`);
    fill(badge, [sync.stalled, waiting], () =>
      sync.stalled ? pill("warn", "Stalled") : waiting ? pill("quiet", "Waiting") : pill("info", "Running"),
    );
    setText(by, [trigger(sync), range(sync)].filter(Boolean).join(", "));
    bar.value = sync.percentage;
    setText(percent, share(sync.percentage));
    setText(message, activity(sync));
    setText(others, !waiting && sync.waiting ? `${many(sync.waiting, "more sync")} ${sync.waiting === 1 ? "waits" : "wait"}` : "");
    setText(counted, sync.total && !waiting ? `${number(sync.current)} / ${number(sync.total)}` : "");
    fill(phases, [sync.phase, sync.stalled], () => {
      const at = PHASES.findIndex(([name]) => name === sync.phase);
      return PHASES.map(([, words], place) =>
        el("li", { class: place < at ? "done" : place === at ? "now" : "", "aria-current": place === at ? "step" : null }, words),
      );
    });
    if (sync.stalled) setText(times, "No progress since its lease expired");
    tick();
    announceProgress(sync);
  }

  return { element, update, tick };
}
