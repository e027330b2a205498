/** What a run warns of: examples that were cut, or that nothing is evaluated. */
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { capital } from "./status.js";

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
      const rows = messages.map((message) => h("li", {}, message));
      fill(list, rows.slice(0, FIRST));
      rest.hidden = rows.length <= FIRST;
      fill(
        rest,
        h("summary", {}, `${rows.length - FIRST} more`),
        h("ul", { class: "findings" }, rows.slice(FIRST)),
      );
    },
  };
}
