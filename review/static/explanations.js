// Flagged faces as tabs, with a choice of LIME map and the opacity of the overlays.
import { typing } from "./live.js";

const tabs = () => [...document.querySelectorAll("#findings [role=tab]")];

function choose(tab, { jump = true } = {}) {
  for (const other of tabs()) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (jump) document.dispatchEvent(new CustomEvent("face-chosen", { detail: { time: Number(tab.dataset.time) } }));
}

function show(button) {
  const map = button.closest(".map");
  for (const other of map.querySelectorAll("[data-map]")) other.setAttribute("aria-pressed", String(other === button));
  map.querySelector(".overlay").src = button.dataset.map;
}

function fade() {
  const slider = document.getElementById("opacity");
  if (!slider) return;
  for (const overlay of document.querySelectorAll("#findings .overlay")) overlay.style.opacity = slider.value / 100;
  document.getElementById("opacity-value").textContent = `${slider.value}%`;
}

// The findings may be swapped for newer ones, so listen on the document.
document.addEventListener("click", (event) => {
  const tab = event.target.closest("#findings [role=tab]");
  if (tab) choose(tab);
  const button = event.target.closest("#findings [data-map]");
  if (button) show(button);
});
document.addEventListener("input", (event) => event.target.id === "opacity" && fade());
document.addEventListener("htmx:afterSettle", fade);
document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.("#findings [role=tab]");
  if (tab && ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
    const all = tabs();
    const here = all.indexOf(tab);
    const there = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: all.length - 1 }[event.key];
    const chosen = all[(there + all.length) % all.length];
    choose(chosen);
    chosen.focus();
    event.preventDefault();
  } else if (event.key === "l" && !typing(event)) {
    const shown = [...document.querySelectorAll("#findings .maps:not([hidden]) [data-map]")];
    const next = shown[(shown.findIndex((one) => one.getAttribute("aria-pressed") === "true") + 1) % shown.length];
    if (next) show(next);
  }
});
fade();
