// The charts. The library is fetched when the first one is drawn, so it does not delay the page.

import { el, setText, show } from "./elements.js";
import { month, number, roundSeconds, seconds, shortMoment } from "./format.js";
import { PHASES } from "./words.js";

let library = null;

function chartLibrary() {
  library ??= new Promise((resolve, reject) => {
    document.head.append(el("script", { src: "static/chart.js", onload: () => resolve(window.Chart), onerror: reject }));
  });
  return library;
}

const TOO_TALL = 10;
const STEPS = 4;

// Returns a scale that ends with a step. A bar that dwarfs all others, as the first sync's does,
// goes beyond the scale and is named in `beyond`.
function scale(series, least) {
  const heights = (series[0]?.[2] ?? []).map((_, place) => series.reduce((sum, [, , values]) => sum + values[place], 0));
  const tallest = heights.indexOf(Math.max(...heights));
  const next = Math.max(0, ...heights.filter((_, place) => place !== tallest));
  const beyond = next > 0 && heights[tallest] > TOO_TALL * next;
  const top = (beyond ? next : heights[tallest]) || least;
  const power = 10 ** Math.floor(Math.log10(top / STEPS));
  const step = Math.max(least, [1, 2, 5, 10].find((each) => each * power * STEPS >= top) * power);
  return { step, max: Math.ceil(top / step) * step, beyond: beyond ? { place: tallest, height: heights[tallest] } : null };
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function card(title, empty) {
  const canvas = el("canvas", { role: "img" });
  const none = el("p", { class: "muted" }, empty);
  const frame = el("div", { class: "chart", hidden: true }, canvas);
  const beyond = el("p", { class: "muted small", hidden: true });
  const element = el("section", { class: "card" }, el("h2", {}, title), frame, beyond, none);
  let drawn = null;
  let last = null;

  async function draw(data) {
    last = data;
    show(frame, data.labels.length > 0);
    show(none, data.labels.length === 0);
    if (!data.labels.length) return;
    const { beyond: tall, ...axis } = scale(data.series, data.least);
    show(beyond, Boolean(tall));
    if (tall) setText(beyond, `${data.names[tall.place]} goes beyond the scale: ${data.format(tall.height)}`);
    canvas.setAttribute("aria-label", `${title}. ${data.summary}`);
    const Chart = await chartLibrary();
    if (data !== last) return;
    const described = config(data, axis);
    if (drawn) {
      drawn.data = described.data;
      drawn.options = described.options;
      drawn.update("none");
    } else drawn = new Chart(canvas, described);
  }

  return { element, draw, redraw: () => last && draw(last), end: () => drawn?.destroy() };
}

function config({ labels, series, titles, legend, format, tick = format, axis }, { max, step }) {
  const text = colour("fg-muted");
  const font = { family: getComputedStyle(document.body).fontFamily, size: 11 };
  return {
    type: "bar",
    data: {
      labels,
      datasets: series.map(([label, shade, values]) => ({
        label, data: values, backgroundColor: colour(shade), stack: "one", maxBarThickness: 26, categoryPercentage: 0.85, barPercentage: 0.95,
      })),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { stacked: true, grid: { display: false }, border: { color: colour("border") }, ticks: { color: text, font, maxRotation: 0, autoSkipPadding: 14 }, title: { display: Boolean(axis), text: axis, color: text, font, padding: 0 } },
        y: { stacked: true, beginAtZero: true, max, border: { display: false }, grid: { color: colour("border") }, ticks: { color: text, font, stepSize: step, callback: tick } },
      },
      plugins: {
        legend: { display: legend, align: "start", labels: { color: text, font, boxWidth: 10, boxHeight: 10, padding: 12 } },
        tooltip: {
          backgroundColor: colour("fg"), titleColor: colour("bg"), bodyColor: colour("bg"), titleFont: { ...font, weight: "600" }, bodyFont: font, padding: 8, boxPadding: 4,
          callbacks: { title: ([item]) => titles[item.dataIndex], label: (item) => `${item.dataset.label}: ${format(item.parsed.y)}` },
        },
      },
    },
  };
}

export function charts() {
  const durations = card("Working time by phase", "Nothing to show yet.");
  const changes = card("Created and updated", "Nothing to show yet.");
  const months = card("Invoices by month", "Nothing to show yet.");
  const cards = [durations, changes, months];
  const redraw = () => cards.forEach((one) => one.redraw());
  window.addEventListener("themechange", redraw);

  function update(syncs) {
    const ended = syncs.filter((sync) => sync.finished && sync.counts.fetched).reverse();
    const titles = ended.map((sync) => `Sync ${sync.sync_id} · ${shortMoment(sync.started)}`);
    const names = ended.map((sync) => `Sync ${sync.sync_id}`);
    const labels = ended.map((sync) => String(sync.sync_id));
    durations.draw({
      labels, names, titles, legend: true, axis: "Sync", least: 0.1, format: (value) => `${seconds(value)} s`, tick: (value) => `${roundSeconds(value)} s`,
      summary: `Seconds of each of the last ${number(ended.length)} syncs; the table below has the numbers.`,
      series: PHASES.map(([name, words], place) => [words, `chart-${place + 1}`, ended.map((sync) => sync.phases[name])]),
    });
    changes.draw({
      labels, names, titles, legend: true, axis: "Sync", least: 1, format: number,
      summary: `Invoices written by each of the last ${number(ended.length)} syncs; the table below has the numbers.`,
      series: [["Created", "chart-1", ended.map((sync) => sync.counts.created)], ["Updated", "chart-4", ended.map((sync) => sync.counts.updated)]],
    });
  }

  function updateMonths(found) {
    const labels = found.map(([name]) => month(name));
    months.draw({
      labels, names: labels, titles: labels, legend: false, least: 1, format: number,
      summary: found.map(([name, count]) => `${month(name)}: ${number(count)}`).join(", "),
      series: [["Invoices", "chart-1", found.map(([, count]) => count)]],
    });
  }

  return {
    element: el("div", { class: "charts" }, cards.map((one) => one.element)),
    update,
    updateMonths,
    end() {
      window.removeEventListener("themechange", redraw);
      cards.forEach((one) => one.end());
    },
  };
}
