/** Shows when the connection to the server is lost, and when it will be retried. */
import { fill, h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { connection, onConnectionChanged } from "./live.js";
import { retryNow } from "./event_source.js";

/** Brief interruptions are not shown. */
const PATIENCE = 1200;

/** @param {HTMLElement} banner */
export function createBanner(banner) {
  const text = h("span");
  const countdown = h("span", { class: "banner-countdown", "aria-hidden": "true" });
  const retry = h(
    "button",
    { type: "button", class: "button small", on: { click: retryNow } },
    "Retry now",
  );
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let showing;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let counting;

  function show() {
    if (banner.hidden) fill(banner, icon("warning"), text, countdown, retry);
    banner.hidden = false;
    setText(
      text,
      `${connection.message ?? "Connection lost."} This page may be out of date.`,
    );
  }

  onConnectionChanged(() => {
    clearTimeout(showing);
    clearInterval(counting);
    if (connection.state === "live") {
      banner.hidden = true;
      return;
    }
    if (banner.hidden) showing = setTimeout(show, PATIENCE);
    else show();
    const count = () => {
      const seconds = Math.ceil(((connection.retryAt ?? 0) - performance.now()) / 1000);
      setText(countdown, seconds > 0 ? `Retrying in ${seconds} s` : "Retrying…");
    };
    count();
    counting = setInterval(count, 1000);
  });
}
