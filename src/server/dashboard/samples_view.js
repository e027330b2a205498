/** Samples during training, latest first. */
import { fill, h } from "./dom.js";
import { whole } from "./format.js";

/** @param {import("./run_data.js").RunData} data */
export function createSamples(data) {
  const element = h("div", { class: "samples" });
  let drawn = -1;
  return {
    element,
    draw() {
      if (data.samples.length === drawn) return;
      drawn = data.samples.length;
      if (!drawn) {
        fill(
          element,
          h(
            "div",
            { class: "empty small" },
            h("h2", {}, "No samples yet"),
            h(
              "p",
              {},
              "Set “sample prompt” under “All options” to see the model's answer at each evaluation.",
            ),
          ),
        );
        return;
      }
      const steps = [...new Set(data.samples.map(({ step }) => step))].sort((a, b) => b - a);
      fill(
        element,
        steps.map((step) =>
          h(
            "section",
            { class: "sample-step" },
            h("h2", {}, `Step ${whole(step)}`),
            data.samples.filter((it) => it.step === step).map(({ prompt, text }) =>
              h(
                "div",
                { class: "card sample" },
                h("p", { class: "sample-prompt" }, prompt),
                h("p", { class: "sample-text" }, text || "(empty)"),
              )
            ),
          )
        ),
      );
    },
  };
}
