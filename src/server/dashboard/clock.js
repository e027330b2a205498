/** The server's clock, as its responses report it: the browser's may differ by hours. */

/** Differences of less are within what a date in whole seconds and a request's time can say. */
const TOLERANCE = 2;

/** Seconds that the server's clock is ahead. */
let ahead = 0;

/** @param {string | null} date the header of a response that has just arrived */
export function noteDate(date) {
  const reported = Date.parse(date ?? "") / 1000 - Date.now() / 1000;
  if (Number.isFinite(reported) && Math.abs(reported - ahead) > TOLERANCE) ahead = reported;
}

/** Unix seconds, as the server counts them. */
export function serverNow() {
  return Date.now() / 1000 + ahead;
}
