// Pictures are blurred and videos muted until the reviewer chooses otherwise; the browser keeps the choice.
// A classic script in the head: it runs before the first paint.
(() => {
  "use strict";
  const root = document.documentElement;
  const defaults = { blur: "on", gray: "off", mute: "on" };
  const keys = { b: "blur", g: "gray", m: "mute" };

  const stored = (name) => {
    try {
      return localStorage.getItem(`wellness.${name}`) ?? defaults[name];
    } catch {
      return defaults[name]; // no storage allowed: the safe choice
    }
  };

  const show = (name, value) => {
    root.dataset[name] = value;
    for (const button of document.querySelectorAll(`[data-wellness="${name}"]`)) {
      button.setAttribute("aria-pressed", String(value === "on"));
    }
    if (name === "mute") {
      for (const video of document.querySelectorAll("video")) video.muted = value === "on";
    }
  };

  const toggle = (name) => {
    const value = root.dataset[name] === "on" ? "off" : "on";
    try {
      localStorage.setItem(`wellness.${name}`, value);
    } catch {
      // Then it holds for this page only.
    }
    show(name, value);
  };

  for (const name of Object.keys(defaults)) root.dataset[name] = stored(name);
  addEventListener("DOMContentLoaded", () => {
    for (const name of Object.keys(defaults)) show(name, stored(name));
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-wellness]");
      if (button) toggle(button.dataset.wellness);
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=range],[type=radio],[type=checkbox]), select, textarea")) return;
      if (keys[event.key]) toggle(keys[event.key]);
    });
  });
  // Follow a choice made in another tab.
  addEventListener("storage", (event) => {
    const name = event.key?.replace("wellness.", "");
    if (name in defaults) show(name, stored(name));
  });
})();
