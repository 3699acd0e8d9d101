// Deciding by keyboard: 1 to 4 choose, Enter confirms. Two keys, so that no single one decides by mistake.
import { announce, csrf, typing } from "./live.js";

const form = document.getElementById("decide");
const outcomes = form ? [...form.querySelectorAll("[name=outcome]")] : [];

document.addEventListener("keydown", (event) => {
  const inForm = form?.contains(event.target);
  if (event.key === "Enter" && form && (event.ctrlKey || event.metaKey || (event.target.name === "outcome" && inForm) || event.target === document.body || event.target.id === "main")) {
    event.preventDefault();
    if (form.reportValidity()) form.requestSubmit(form.querySelector("[name=then]"));
    return;
  }
  if (event.key === "Escape" && inForm) return void event.target.blur();
  if (typing(event)) return;
  const outcome = outcomes[Number(event.key) - 1];
  if (outcome) {
    outcome.checked = true;
    outcome.focus();
    announce(`${outcome.parentElement.firstChild.nextSibling.textContent.trim()} chosen; Enter confirms`);
  } else if (event.key === "r" && form) {
    document.getElementById("reason").focus();
  } else {
    const action = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!action) return;
    action.requestSubmit();
  }
  event.preventDefault();
});

// Working on a video renews the lease; merely leaving the page open does not.
if (form?.dataset.claimed) {
  let active = false;
  for (const sign of ["keydown", "pointerdown", "pointermove", "wheel"]) {
    addEventListener(sign, () => (active = true), { passive: true });
  }
  setInterval(() => {
    if (!active) return;
    active = false;
    const headers = { "X-CSRF-Token": csrf() };
    fetch(`/v1/videos/${form.dataset.claimed}/claim`, { method: "POST", headers }).catch(() => {});
  }, (Number(form.dataset.minutes) * 60_000) / 3);
}

// One decision per press.
form?.addEventListener("submit", () => setTimeout(() => (form.querySelector("[name=then]").disabled = true)));
