// Follows Airflow's theme: within Airflow the class and the colours of the page around this one,
// else the browser's preference. Loaded before the first paint: a dark page must not flash white.
(() => {
  "use strict";
  const names = ["bg", "bg-muted", "bg-emphasized", "fg", "fg-muted", "border", "border-emphasized"];
  const own = document.documentElement;
  const around = window.parent !== window ? window.parent.document.documentElement : null;
  const preference = window.matchMedia("(prefers-color-scheme: dark)");

  function dark() {
    if (around?.classList.contains("dark")) return true;
    if (around?.classList.contains("light")) return false;
    const chosen = window.localStorage.getItem("theme");
    return chosen === "dark" || (chosen !== "light" && preference.matches);
  }

  function apply() {
    const theme = dark() ? "dark" : "light";
    const colours = around ? window.parent.getComputedStyle(around) : null;
    for (const name of names) {
      const value = colours?.getPropertyValue(`--chakra-colors-${name}`).trim();
      if (value) own.style.setProperty(`--${name}`, value);
      else own.style.removeProperty(`--${name}`);
    }
    own.className = theme;
    window.dispatchEvent(new CustomEvent("themechange"));
  }

  apply();
  if (around) new MutationObserver(apply).observe(around, { attributes: true, attributeFilter: ["class", "style"] });
  preference.addEventListener("change", apply);
  window.addEventListener("storage", apply);
})();
