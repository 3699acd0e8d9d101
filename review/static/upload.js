// Uploads dropped files one after another; each row then follows its video until the verdict.
import { announce, csrf, follow } from "./live.js";

const drop = document.getElementById("drop");
const rows = new Map(); // video id -> row
const waiting = [];
let busy = false;
let close = () => {};

const named = { queued: "Waiting for a worker", screening: "Screening", fake: "Fake", suspect: "Suspect", clear: "Clear", unjudged: "Not judged", no_face: "No face", too_short: "Too short" };

function addRow(file) {
  const row = document.getElementById("upload-row").content.firstElementChild.cloneNode(true);
  row.querySelector(".name").textContent = file.name;
  row.querySelector(".name").title = file.name;
  document.getElementById("uploads-card").hidden = false;
  document.getElementById("uploads").prepend(row);
  say(row, "Waiting");
  return row;
}

function say(row, text) {
  row.querySelector(".said").textContent = text;
}

function finish(row, text, kind, href) {
  row.querySelector("progress").hidden = true;
  row.querySelector(".outcome").replaceChildren();
  const chip = document.createElement(href ? "a" : "span");
  chip.className = `chip ${kind}`;
  chip.textContent = text;
  if (href) chip.href = href;
  row.querySelector(".outcome").append(chip);
}

function take(files) {
  for (const file of files) waiting.push([file, addRow(file)]);
  next();
}

async function next() {
  if (busy || !waiting.length) return;
  busy = true;
  const [file, row] = waiting.shift();
  try {
    await send(file, row);
  } finally {
    busy = false;
    next();
  }
}

function send(file, row) {
  if (file.size > Number(drop.dataset.limit)) {
    finish(row, "Too large", "failed");
    say(row, "The file is larger than the limit.");
    return Promise.resolve();
  }
  return new Promise((done) => {
    const request = new XMLHttpRequest(); // fetch does not report upload progress
    const bar = row.querySelector("progress");
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      bar.value = (100 * event.loaded) / event.total;
      say(row, `Uploading, ${Math.round(bar.value)}%`);
    });
    request.addEventListener("load", () => answered(request, row));
    request.addEventListener("error", () => {
      finish(row, "Failed", "failed");
      say(row, "The connection was lost. Drop the file again.");
    });
    request.addEventListener("loadend", done);
    request.open("POST", `/v1/uploads?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("X-CSRF-Token", csrf());
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(file);
  });
}

function answered(request, row) {
  let answer = {};
  try {
    answer = JSON.parse(request.responseText);
  } catch {
    // A proxy's own error page.
  }
  if (request.status >= 300 || !answer.video_id) {
    finish(row, "Refused", "failed");
    say(row, answer.detail ?? `The server answered ${request.status}.`);
    return;
  }
  row.querySelector("progress").removeAttribute("value"); // in progress, for an unknown time
  say(row, answer.intake === "known" ? "Already known" : named.queued);
  rows.set(answer.video_id, row);
  listen();
}

function listen() {
  close();
  if (!rows.size) return;
  const asked = [...rows.keys()].slice(0, 50).map((id) => `video=${id}`);
  close = follow(`/events?${asked.join("&")}`, { video: show });
}

function show(state) {
  const row = rows.get(state.video_id);
  if (!row) return;
  const href = `/videos/${state.video_id}`;
  if (state.status === "failed") {
    finish(row, "Failed", "failed", href);
    say(row, state.error_message ?? "");
  } else if (state.status === "done") {
    const verdict = drop.dataset.blind === "yes" ? null : state.verdict;
    finish(row, verdict ? named[verdict] ?? verdict : "Screened", verdict ?? "", href);
    say(row, state.score == null ? "Screened" : `Score ${Math.round(100 * state.score)}%`);
    announce(`${row.querySelector(".name").textContent}: ${verdict ? named[verdict] : "screened"}`);
  } else {
    say(row, named[state.status] ?? state.status);
    return;
  }
  rows.delete(state.video_id);
  listen();
}

document.getElementById("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = ""; // so that the same file can be chosen again
});

// The whole page accepts drops: a file that misses the frame must not replace the page.
let depth = 0;
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
  if (!carriesFiles(event)) return;
  depth += 1;
  drop.classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (carriesFiles(event) && --depth <= 0) drop.classList.remove("over");
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  drop.classList.remove("over");
  take(event.dataTransfer.files);
});
