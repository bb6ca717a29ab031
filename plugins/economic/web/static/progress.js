// The sync that is at work: how far it is, for how long, and how long still.

import { el, fill, pill, say, show, speak } from "./elements.js";
import { length, localised, many, number, share } from "./format.js";
import { PHASES, range, timeLeft, trigger } from "./words.js";

const SPOKEN_EVERY = 25;

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
  let seen = 0;
  let spoken = "";

  function tell(sync) {
    const step = `${sync.sync_id} ${sync.phase} ${sync.stalled} ${Math.floor(sync.percentage / SPOKEN_EVERY)}`;
    if (step !== spoken) speak(sync.stalled ? "The sync has stalled." : `${share(sync.percentage)}: ${words(sync)}`);
    spoken = step;
  }

  // What it does, in the words it left; a sync of another Airflow is known by its phase only.
  function words(sync) {
    const { phase, message: told } = sync;
    if (phase === "waiting") return `Waits for its turn: one sync of a company runs at a time.${sync.waiting > 1 ? ` ${many(sync.waiting, "sync")} wait.` : ""}`;
    if (told !== null) return localised(told);
    return PHASES.find(([name]) => name === phase)?.[1] ?? "Starting";
  }

  function tick() {
    if (!shown?.sync_id || shown.stalled) return;
    const elapsed = shown.seconds + (performance.now() - seen) / 1000;
    say(times, [`${length(elapsed)} elapsed`, timeLeft(shown, elapsed)].filter(Boolean).join(" · "));
  }

  // A run that Airflow has made and that has not begun yet, or the sync that is at work; null when there is neither.
  function update(sync, queued) {
    show(element, Boolean(sync || queued));
    shown = sync;
    seen = performance.now();
    if (!sync && queued) {
      say(title, "Waiting to start");
      fill(badge, "queued", () => pill("quiet", "Queued"));
      say(by, "Airflow has made the run; it starts in a moment, or when the run before it has ended.");
      bar.removeAttribute("value");
      for (const part of [percent, message, others, counted, times]) say(part, "");
      fill(phases, null, () => []);
    }
    if (!sync) return;
    const waiting = sync.phase === "waiting";
    say(title, `Sync ${sync.sync_id}`);
    fill(badge, [sync.stalled, waiting], () =>
      sync.stalled ? pill("warn", "Stalled") : waiting ? pill("quiet", "Waiting") : pill("info", "Running"),
    );
    say(by, [trigger(sync), range(sync)].filter(Boolean).join(", "));
    bar.value = sync.percentage;
    say(percent, share(sync.percentage));
    say(message, words(sync));
    say(others, !waiting && sync.waiting ? `${many(sync.waiting, "more sync")} ${sync.waiting === 1 ? "waits" : "wait"}` : "");
    say(counted, sync.total && !waiting ? `${number(sync.current)} / ${number(sync.total)}` : "");
    fill(phases, [sync.phase, sync.stalled], () => {
      const at = PHASES.findIndex(([name]) => name === sync.phase);
      return PHASES.map(([, words], place) =>
        el("li", { class: place < at ? "done" : place === at ? "now" : "", "aria-current": place === at ? "step" : null }, words),
      );
    });
    if (sync.stalled) say(times, "No sign of life since its lease ran out");
    tick();
    tell(sync);
  }

  return { element, update, tick };
}
