/** How much of a job's data is learned; what is not, its warnings say. */
import { h, setText } from "./dom.js";
import { whole } from "./format.js";

/** @param {import("./run_data.js").RunData} data */
export function createDataCard(data) {
  const text = h("p", { class: "data-summary" });
  const element = h(
    "section",
    { class: "card", "aria-label": "Examples", hidden: true },
    h("div", { class: "card-head" }, h("h2", {}, "Examples"), text),
  );
  return {
    element,
    draw() {
      const { examples } = data;
      element.hidden = !examples;
      if (examples) setText(text, summaryOf(examples));
    },
  };
}

/** @param {Record<string, number>} examples */
function summaryOf({ examples, records, held_out, trained_tokens }) {
  const held = held_out ? ` (${whole(held_out)} held out)` : "";
  return `${whole(examples)} of ${whole(records)}${held}, ${whole(trained_tokens)} trained tokens`;
}
