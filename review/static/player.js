// The player: face boxes over the picture, a clickable timeline, and a flipbook if the browser lacks the codec.
import { announce, follow, typing } from "./live.js";

const SVG = "http://www.w3.org/2000/svg";
const data = JSON.parse(document.getElementById("video-data").textContent);
const stage = document.getElementById("stage"); // null if the file could not be read at all
const video = document.getElementById("player");
const boxes = document.getElementById("boxes");
const lanes = document.querySelector(".lanes");
const duration = Number(lanes?.dataset.duration ?? 0);
const byId = (id) => document.getElementById(id);
let flipbookTime = null; // set once the browser has failed to play

const clock = (seconds) => {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(tenths / 36000), Math.floor((tenths % 36000) / 600)];
  const rest = `${two(Math.floor((tenths % 600) / 10))}.${tenths % 10}`;
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
};

const now = () => flipbookTime ?? video?.currentTime ?? 0;

// Boxes move smoothly between two samples, and stay for half the usual distance around a single one.
const distance = (faces) => {
  const gaps = faces.slice(1).map((face, i) => face[0] - faces[i][0]).sort((a, b) => a - b);
  return gaps.length ? gaps[Math.floor(gaps.length / 2)] : 0.5;
};
const tracks = data.tracks.map((track) => ({ ...track, step: distance(track.faces), drawn: null }));

function boxAt(track, time) {
  const { faces, step } = track;
  let after = faces.findIndex((face) => face[0] >= time);
  if (after === -1) after = faces.length;
  const [before, next] = [faces[after - 1], faces[after]];
  if (before && next && next[0] - before[0] <= 2.5 * step) {
    const part = (time - before[0]) / (next[0] - before[0]);
    const nearest = part < 0.5 ? before : next;
    return [...[1, 2, 3, 4].map((i) => before[i] + part * (next[i] - before[i])), nearest[5]];
  }
  const [near] = [before, next].filter((face) => face && (stage.dataset.still === "yes" || Math.abs(face[0] - time) <= Math.max(step / 2, 0.15)));
  return near ? near.slice(1) : null;
}

function elements(track) {
  if (track.drawn) return track.drawn;
  const group = document.createElementNS(SVG, "g");
  const make = (name, kind) => {
    const made = document.createElementNS(SVG, name);
    made.setAttribute("class", kind);
    group.append(made);
    return made;
  };
  track.drawn = { group, shade: make("rect", "box-shade"), box: make("rect", `box t${track.colour}`), label: make("text", "box-label") };
  boxes.append(group);
  return track.drawn;
}

function drawBoxes() {
  if (!boxes) return;
  const shown = byId("show-boxes")?.checked ?? true;
  const scale = data.width / Math.max(1, boxes.clientWidth); // video pixels per screen pixel
  for (const track of tracks) {
    const found = shown ? boxAt(track, now()) : null;
    if (!found && !track.drawn) continue;
    const { group, shade, box, label } = elements(track);
    group.setAttribute("visibility", found ? "visible" : "hidden");
    if (!found) continue;
    const [x0, y0, x1, y1, score] = found;
    for (const rect of [shade, box]) {
      rect.setAttribute("x", x0);
      rect.setAttribute("y", y0);
      rect.setAttribute("width", Math.max(0, x1 - x0));
      rect.setAttribute("height", Math.max(0, y1 - y0));
      rect.setAttribute("rx", 3 * scale);
    }
    label.setAttribute("font-size", 13 * scale);
    label.setAttribute("x", Math.max(2 * scale, x0));
    label.setAttribute("y", y0 > 20 * scale ? y0 - 6 * scale : y1 + 16 * scale);
    label.textContent = `${track.letter}${score === null ? "" : ` ${Math.round(score * 100)}%`}`;
  }
}

// Timeline
function showTime() {
  const time = now();
  const at = `${duration ? Math.min(100, (100 * time) / duration) : 0}%`;
  for (const head of document.querySelectorAll(".playhead")) {
    head.setAttribute("x1", at);
    head.setAttribute("x2", at);
  }
  if (byId("time")) byId("time").textContent = `${clock(time)} / ${clock(duration)}`;
  lanes?.setAttribute("aria-valuenow", time.toFixed(2));
  lanes?.setAttribute("aria-valuetext", clock(time));
  drawBoxes();
}

export function seek(time) {
  const there = Math.min(Math.max(0, time), duration);
  if (flipbookTime !== null) {
    flipbookTime = there;
    turnPage();
  } else if (video) {
    // At the very end browsers show no frame.
    video.currentTime = Math.min(there, Math.max(0, (video.duration || duration) - 0.01));
  }
  showTime();
}

function timeAt(event) {
  const lane = lanes.querySelector("[data-lane]").getBoundingClientRect();
  return ((event.clientX - lane.left) / lane.width) * duration;
}

let dragging = false;
lanes?.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || event.target.closest("summary")) return;
  dragging = true;
  lanes.setPointerCapture(event.pointerId);
  const flagged = event.target.closest("[data-flagged]");
  seek(flagged ? Number(flagged.dataset.flagged) : timeAt(event));
});
lanes?.addEventListener("pointermove", (event) => dragging && seek(timeAt(event)));
for (const over of ["pointerup", "pointercancel"]) lanes?.addEventListener(over, () => (dragging = false));

const steps = { ArrowLeft: -0.2, ArrowRight: 0.2, ArrowDown: -0.2, ArrowUp: 0.2, PageDown: -2, PageUp: 2 };
lanes?.addEventListener("keydown", (event) => {
  if (event.key in steps) seek(now() + steps[event.key]);
  else if (event.key === "Home") seek(0);
  else if (event.key === "End") seek(duration);
  else return;
  event.preventDefault();
});

function toFlagged(direction) {
  const times = data.flagged.map((one) => one.time);
  const found = direction > 0 ? times.find((time) => time > now() + 0.02) : times.findLast((time) => time < now() - 0.02);
  const time = found ?? (direction > 0 ? times[0] : times.at(-1));
  if (time === undefined) return;
  video?.pause();
  seek(time);
  announce(`Flagged frame at ${clock(time)}`);
}
byId("previous-flagged")?.addEventListener("click", () => toFlagged(-1));
byId("next-flagged")?.addEventListener("click", () => toFlagged(1));

// Playback
function playOrPause() {
  if (!video || flipbookTime !== null) return;
  if (video.paused) video.play().catch(() => {});
  else video.pause();
}
function showPlaying() {
  byId("play").textContent = video.paused ? "Play" : "Pause";
}
function everyFrame() {
  showTime();
  if (!video.paused && !video.ended) requestAnimationFrame(everyFrame);
}

if (video) {
  video.muted = document.documentElement.dataset.mute !== "off";
  byId("play").addEventListener("click", playOrPause);
  stage.addEventListener("click", playOrPause);
  byId("speed").addEventListener("change", (event) => (video.playbackRate = Number(event.target.value)));
  byId("show-boxes").addEventListener("change", drawBoxes);
  video.addEventListener("play", () => (showPlaying(), everyFrame()));
  video.addEventListener("pause", showPlaying);
  for (const name of ["seeked", "timeupdate", "loadeddata"]) video.addEventListener(name, showTime);
  video.addEventListener("error", cannotPlay);
  // Sound but no picture: the browser lacks the video codec.
  video.addEventListener("loadedmetadata", () => video.videoWidth === 0 && cannotPlay());
  if (video.error) cannotPlay();
}

function tell(text) {
  const message = byId("cannot");
  message.parentElement.hidden = false;
  message.textContent = text;
}

// Pictures that the browser cannot show (usually HEIC, TIFF, JPEG 2000): show the frame that was judged.
const still = byId("still");
function cannotShow() {
  still.removeEventListener("error", cannotShow);
  const [kept] = data.flagged;
  if (kept) {
    still.src = kept.image;
    still.alt = "The picture under review, as it was judged";
  } else {
    still.hidden = true;
    boxes.setAttribute("hidden", ""); // a box without a picture is useless
  }
  tell(
    kept
      ? "This browser cannot show this kind of picture. You see the picture as it was judged, saved as a JPEG."
      : "This browser cannot show this kind of picture, and nothing in it was flagged that could be shown instead.",
  );
}
if (still) {
  still.addEventListener("error", cannotShow);
  if (still.complete && still.naturalWidth === 0) cannotShow();
}

// Flipbook: the flagged frames, which the server keeps as JPEG.
function cannotPlay() {
  if (flipbookTime !== null) return;
  flipbookTime = data.flagged[0]?.time ?? 0;
  video.hidden = true;
  boxes.toggleAttribute("hidden", !data.flagged.length);
  for (const id of ["play", "speed"]) byId(id).disabled = true;
  tell(
    data.flagged.length
      ? "This browser cannot play this video. You see its flagged frames instead; go through them with ‹ and ›."
      : "This browser cannot play this video, and nothing in it was flagged that could be shown instead.",
  );
  turnPage();
  showTime();
}

function turnPage() {
  const book = byId("flipbook");
  const nearest = data.flagged.reduce((best, one) => (!best || Math.abs(one.time - flipbookTime) < Math.abs(best.time - flipbookTime) ? one : best), null);
  if (!nearest) return;
  book.hidden = false;
  book.src = nearest.image;
  book.alt = `Flagged frame at ${clock(nearest.time)}`;
  flipbookTime = nearest.time;
}

document.addEventListener("face-chosen", (event) => {
  video?.pause();
  seek(event.detail.time);
});

const keys = { " ": playOrPause, "[": () => toFlagged(-1), "]": () => toFlagged(1), ",": () => seek(now() - 0.04), ".": () => seek(now() + 0.04) };
document.addEventListener("keydown", (event) => {
  if (typing(event) || !(event.key in keys)) return;
  if (event.key === " " && event.target.closest("button, a, summary, [type=radio], [type=checkbox]")) return;
  event.preventDefault();
  keys[event.key]();
});

addEventListener("resize", drawBoxes);
if (boxes) new ResizeObserver(drawBoxes).observe(boxes);
showTime();

// Explanations and verdicts that arrive while the page is open, or did while it was on its way.
let known = JSON.parse(byId("video-state").textContent);
follow(`/events?video=${location.pathname.split("/")[2]}`, {
  video(state) {
    const before = known;
    known = state;
    if (before?.status !== state.status || before.attempt !== state.attempt) location.reload();
    else if (before.explained !== state.explained) {
      window.htmx?.trigger("#findings", "refresh");
      announce("New explanations");
    } else if (before.decisions !== state.decisions) announce("Another reviewer has decided on this video");
  },
});
