// The page of a live stream: asks again for its parts as they change.
import { announce, follow } from "./live.js";

const live = document.getElementById("live");
const alerts = document.getElementById("alerts");
let known = null; // the alerts at the last event
let shown = null; // how often it was reported then

// A clip that plays must not be torn away: the list waits until it is paused or over.
const plays = () => [...alerts.querySelectorAll("video")].some((clip) => !clip.paused && !clip.ended);
let late = false;

function renew() {
  late = plays();
  if (!late) htmx.trigger(alerts, "changed");
}

for (const event of ["pause", "ended"]) alerts.addEventListener(event, () => late && renew(), true);

follow(`/events?stream=${live.dataset.stream}`, {
  stream: (state) => {
    const told = `${state.alerts}/${state.open_alerts}/${state.clips}`;
    if (shown !== null && state.seen_at !== shown) htmx.trigger(live, "changed");
    if (known !== null && told !== known) {
      renew();
      if (state.open_alerts) announce("A face looks fake: there is a new alert.");
    }
    shown = state.seen_at;
    known = told;
  },
});
