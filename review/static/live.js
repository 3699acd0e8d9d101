// Server-sent events, and helpers for pages with keyboard shortcuts.

const AGAIN = 30_000; // milliseconds before retrying a stream that was refused (too many tabs)

// Calls `handlers[event](data)` for the events of `address`; the browser reconnects by itself.
export function follow(address, handlers) {
  let source = null;
  const open = () => {
    if (source) return;
    source = new EventSource(address);
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handler(JSON.parse(event.data)));
    }
    source.addEventListener("error", () => {
      if (source?.readyState !== EventSource.CLOSED) return; // the browser retries by itself
      source = null;
      announce("Live updates are paused because too many tabs are open. Reload the page to see what is new.");
      setTimeout(() => document.hidden || open(), AGAIN);
    });
  };
  const close = () => {
    source?.close();
    source = null;
  };
  // A hidden tab needs no updates, and browsers allow few connections per host.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  if (!document.hidden) open();
  return close;
}

// Whether a key press was meant for a field, a menu or the browser rather than the page.
export function typing(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return true;
  return Boolean(event.target.closest("input:not([type=range], [type=radio], [type=checkbox]), select, textarea, [contenteditable]"));
}

export const csrf = () => document.querySelector("meta[name=csrf-token]")?.content ?? "";

export function announce(text) {
  document.getElementById("announce").textContent = text;
}
