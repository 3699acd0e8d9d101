// The queue: j and k move, Enter opens, / searches, n takes the next video; the counts stay up to date.
import { follow, typing } from "./live.js";

const list = () => document.getElementById("list");
const rows = () => [...list().querySelectorAll("[data-row]")];
const nextPage = () => list().querySelector("a[rel=next]");
const address = (row) => row.querySelector("a.name").href;
let chosen = -1;
let chosenAddress = "";

function choose(index) {
  const all = rows();
  if (!all.length) return;
  chosen = Math.max(0, Math.min(index, all.length - 1));
  all.forEach((row, number) => row.setAttribute("aria-selected", String(number === chosen)));
  chosenAddress = address(all[chosen]);
  all[chosen].querySelector("a.name").focus({ preventScroll: true });
  all[chosen].scrollIntoView({ block: "nearest" });
}

const actions = {
  j: () => (chosen === rows().length - 1 && nextPage() ? nextPage().focus() : choose(chosen + 1)),
  k: () => choose(chosen - 1),
  "/": () => document.getElementById("q").focus(),
  n: () => document.querySelector("[data-next]")?.requestSubmit(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.id === "q") {
    event.preventDefault(); // browsers would clear the search
    event.target.blur();
  }
  if (typing(event)) return;
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// Clicking anywhere in a row opens it, like its link.
document.addEventListener("click", (event) => {
  const row = event.target.closest("[data-row]");
  if (row && !event.target.closest("a, button")) row.querySelector("a.name").click();
});

document.addEventListener("htmx:afterSwap", () => {
  // The list may be unchanged: keep the chosen row, but do not take the focus from somebody who is typing.
  const kept = rows().findIndex((row) => address(row) === chosenAddress);
  chosen = -1;
  if (kept >= 0 && document.activeElement === document.body) choose(kept);
  const query = list().dataset.query;
  document.querySelector("[data-next]")?.setAttribute("action", `/queue/next?${query}`);
  const found = rows().length;
  document.getElementById("announce").textContent = found ? `${found} videos shown` : "Nothing matches";
});

// Leave empty filters out of the address.
document.addEventListener("htmx:configRequest", (event) => {
  const { parameters } = event.detail;
  for (const [name, value] of Object.entries(parameters)) if (value === "") delete parameters[name];
});

const fresh = document.getElementById("fresh");
fresh.addEventListener("click", () => location.reload());
follow("/events", {
  counts(counts) {
    const tab = new URLSearchParams(location.search).get("tab") ?? "review";
    for (const place of document.querySelectorAll("[data-count]")) {
      const value = counts[place.dataset.count];
      if (value === undefined || place.textContent === value) continue;
      place.textContent = value;
      if (place.dataset.count === tab) fresh.hidden = false;
    }
  },
});
