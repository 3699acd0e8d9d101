// The page of a live stream: asks again for its parts as they change.
import { announce, follow } from "./live.js";

const live = document.getElementById("live");
const alerts = document.getElementById("alerts");
let known = null; // the alerts at the last event
let shown = null; // how often it was reported then

follow(`/events?stream=${live.dataset.stream}`, {
  stream: (state) => {
    const told = `${state.alerts}/${state.open_alerts}/${state.clips}`;
    if (shown !== null && state.seen_at !== shown) htmx.trigger(live, "changed");
    if (known !== null && told !== known) {
      htmx.trigger(alerts, "changed");
      if (state.open_alerts) announce("A face looks fake: there is a new alert.");
    }
    shown = state.seen_at;
    known = told;
  },
});
