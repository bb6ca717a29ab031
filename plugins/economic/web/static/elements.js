// Elements from words and numbers. Text only ever becomes text: nothing here, or anywhere on this page, parses HTML.

export function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, shown) {
  element.hidden = !shown;
}

// Replaces what is inside, unless it was made from the same data: a screen reader or a selection is not disturbed for nothing.
export function fill(element, data, make) {
  const key = JSON.stringify(data);
  if (element.filledWith === key) return;
  element.filledWith = key;
  element.replaceChildren(...[make()].flat().filter(Boolean));
}

export function pill(level, text) {
  return el("span", { class: `pill ${level}` }, text);
}

// For those who hear the page: what changed, in one sentence.
export function speak(text) {
  say(document.getElementById("spoken"), text);
}
