/** Times relative to now, which stay true while they are shown. */
import { h, setText } from "./dom.js";
import { ago, dateTime } from "./format.js";

const EVERY = 20_000;

/** @param {number} unix seconds */
export function timeAgo(unix) {
  return h("time", { "data-unix": unix, title: dateTime(unix) }, ago(unix));
}

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-unix]")) {
    setText(time, ago(Number(/** @type {HTMLElement} */ (time).dataset.unix)));
  }
}, EVERY);
