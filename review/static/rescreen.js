// Requests a new screening; the page then follows it.
import { csrf } from "./live.js";

const button = document.getElementById("rescreen");

button?.addEventListener("click", async () => {
  button.disabled = true;
  const said = document.getElementById("rescreened");
  try {
    const answer = await fetch(`/v1/videos/${button.dataset.video}/screenings`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf() },
      body: JSON.stringify({ urgent: document.getElementById("urgent").checked }),
    });
    if (answer.ok) {
      said.textContent = "Queued. This page will show the result when it is ready.";
      return;
    }
    const problem = await answer.json().catch(() => ({}));
    said.textContent = problem.detail ?? `The server answered ${answer.status}.`;
  } catch {
    said.textContent = "The service does not answer. Try again.";
  }
  button.disabled = false;
});
