/** Downloads through `fetch`, since a link cannot carry the API key. */
import { send } from "./api.js";
import { h } from "./dom.js";

/** @param {string} path @param {string} name of the saved file */
export async function download(path, name) {
  const url = URL.createObjectURL(await (await send(path)).blob());
  h("a", { href: url, download: name }).click();
  // Chromium reads it after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
