// Creates and changes elements. Text stays text: no script of this page parses HTML.

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, shown) {
  element.hidden = !shown;
}

// Replaces the contents, but not when the data is the same: that would disturb a screen reader.
export function fill(element, data, create) {
  const key = JSON.stringify(data);
  if (element.filledWith === key) return;
  element.filledWith = key;
  element.replaceChildren(...[create()].flat().filter(Boolean));
}

export function pill(level, text) {
  return el("span", { class: `pill ${level}` }, text);
}

// Tells screen readers what has changed, in one sentence.
export function announce(text) {
  setText(document.getElementById("spoken"), text);
}

export const time = (datetime, title, text) => el("time", { datetime, title }, text);
