/** What a run warns of: examples that were cut, or that nothing is evaluated. */
import { fill, h, setText } from "./dom.js";
import { fileName } from "./files.js";
import { capital, shownOf } from "./format.js";
import { icon } from "./icons.js";

/** Shown before the rest is asked for. */
const FIRST = 6;

export function createWarnings() {
  const list = h("ul", { class: "findings" });
  const rest = h("details", { class: "quiet-details warnings-rest" });
  const element = h(
    "section",
    { class: "card warnings", "aria-label": "Warnings", hidden: true },
    h("div", { class: "card-head" }, h("h2", {}, icon("warning"), "Warnings")),
    list,
    rest,
  );
  let drawn = "";
  return {
    element,
    /** @param {import("./jobs.js").Job} job */
    draw({ warnings = [] }) {
      const messages =
        /** @type {string[]} */ (warnings.map((/** @type {any} */ it) => capital(it.message)));
      const state = messages.join("\n");
      if (state === drawn) return;
      drawn = state;
      element.hidden = messages.length === 0;
      const rows = messages.map(rowOf);
      const first = shownOf(rows.length, FIRST);
      fill(list, rows.slice(0, first));
      rest.hidden = rows.length === first;
      fill(
        rest,
        h("summary", {}, `${rows.length - first} more`),
        h("ul", { class: "findings" }, rows.slice(first)),
      );
    },
  };
}

/** With the names of the files that it means. @param {string} message */
function rowOf(message) {
  const row = h("li", {}, message);
  const ids = new Set(message.match(/\bfile-\w+/g));
  Promise.all([...ids].map(async (id) => /** @type {const} */ ([id, await fileName(id)])))
    .then((names) => {
      const named = names.reduce((text, [id, name]) => text.replaceAll(id, name ?? id), message);
      setText(row, named);
    }).catch(() => {});
  return row;
}
