/** What of a job's examples is learned, and what is not. */
import { fill, h, setText } from "./dom.js";
import { whole } from "./format.js";

/** @param {import("./run_data.js").RunData} data */
export function createDataCard(data) {
  const note = h("p", { class: "card-note" });
  const list = h("ul", { class: "findings" });
  const element = h(
    "section",
    { class: "card", "aria-label": "Examples", hidden: true },
    h("div", { class: "card-head" }, h("h2", {}, "Examples"), note),
    list,
  );
  return {
    element,
    draw() {
      const { examples } = data;
      element.hidden = !examples;
      if (!examples) return;
      setText(note, summaryOf(examples));
      const rows = [
        ...examples.findings.map((/** @type {{ effect: string, message: string }} */ each) =>
          h("li", { "data-effect": each.effect }, LEADS[each.effect] ?? "", each.message)
        ),
        ...(examples.truncated
          ? [h("li", {}, `${whole(examples.truncated)} truncated to a sequence`)]
          : []),
        ...examples.notes.map((/** @type {string} */ note) => h("li", {}, note)),
      ];
      list.hidden = rows.length === 0;
      fill(list, rows);
    },
  };
}

/** @type {Record<string, string>} */
const LEADS = { unusable: "Left out: ", skipped: "Skipped: " };

/** @param {Record<string, number>} examples */
function summaryOf({ examples, records, held_out, trained_tokens }) {
  const held = held_out ? ` (${whole(held_out)} held out)` : "";
  return `${whole(examples)} of ${whole(records)}${held}, ${whole(trained_tokens)} trained tokens`;
}
