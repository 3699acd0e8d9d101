// The page of a live stream: asks again for its parts as they change.
import { announce, follow } from "./live.js";

const live = document.getElementById("live");
const alerts = document.getElementById("alerts");
let known = JSON.parse(document.getElementById("stream-state").textContent);

// A clip that plays must not be torn away: the list waits until it is paused or over.
const plays = () => [...alerts.querySelectorAll("video")].some((clip) => !clip.paused && !clip.ended);
let late = false;

function renew() {
  late = plays();
  if (!late) htmx.trigger(alerts, "changed");
}

for (const event of ["pause", "ended"]) alerts.addEventListener(event, () => late && renew(), true);

follow(`/events?stream=${live.dataset.stream}`, {
  stream(state) {
    const before = known;
    known = state;
    if (before.seen_at !== state.seen_at) htmx.trigger(live, "changed");
    if (["alerts", "open_alerts", "clips"].some((name) => before[name] !== state[name])) {
      renew();
      if (state.open_alerts) announce("A face looks fake: there is a new alert.");
    }
  },
});
