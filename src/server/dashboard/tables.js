/** Evaluations and checkpoints of a run. */
import { copyButton } from "./copy.js";
import { h } from "./dom.js";
import { loss, perplexity, whole } from "./format.js";
import { createTable } from "./table.js";
import { timeAgo } from "./time_ago.js";

/** @param {import("./run_data.js").RunData} data */
export function createEvaluations(data) {
  const table = createTable(
    "Evaluations",
    [
      { label: "Step", number: true },
      { label: "Validation loss", number: true },
      { label: "Perplexity", number: true },
      { label: "Change", number: true },
    ],
    "The model is evaluated on held-out examples before the first step and at the job's evaluation interval.",
  );
  let drawn = -1;
  return {
    element: table.element,
    /** @param {boolean} over whether none will follow */
    draw(over) {
      if (over) table.explain("Nothing was evaluated.");
      const { evaluations } = data;
      if (evaluations.length === drawn) return;
      drawn = evaluations.length;
      const best = Math.min(...evaluations.map((it) => it.valid_loss));
      const rows = evaluations.map(({ step, valid_loss, valid_perplexity }, i) => {
        const change = i ? valid_loss - evaluations[i - 1].valid_loss : undefined;
        const sign = change === undefined ? "" : change > 0 ? "+" : "−";
        return h(
          "tr",
          {},
          h("td", { class: "number" }, whole(step)),
          h(
            "td",
            { class: "number" },
            loss(valid_loss),
            valid_loss === best && i ? h("span", { class: "tag" }, "best") : null,
          ),
          h("td", { class: "number" }, perplexity(valid_perplexity)),
          h("td", {
            class: `number ${change === undefined ? "" : change > 0 ? "worse" : "better"}`,
          }, change === undefined ? "–" : sign + Math.abs(change).toFixed(4)),
        );
      }).reverse();
      table.show(rows);
    },
  };
}

export function createCheckpoints() {
  const table = createTable("Checkpoints", [
    { label: "Step", number: true },
    { label: "Training loss", number: true },
    { label: "Saved" },
    { label: "Model" },
  ], "A checkpoint is saved when the job is paused or stopped and at the job's save interval.");
  return {
    element: table.element,
    /** @param {Record<string, any>[]} checkpoints newest first */
    draw(checkpoints) {
      table.show(checkpoints.map(({ step_number, created_at, metrics, ...rest }) => {
        const model = rest.fine_tuned_model_checkpoint ?? rest.trained_model_checkpoint;
        return h(
          "tr",
          {},
          h("td", { class: "number" }, whole(step_number)),
          h("td", { class: "number" }, loss(metrics?.train_loss)),
          h("td", {}, timeAgo(created_at)),
          h(
            "td",
            { class: "cell-actions" },
            h("a", { href: `#/chat/${encodeURIComponent(model)}` }, "Chat"),
            copyButton(model, "the checkpoint's model name"),
          ),
        );
      }));
    },
  };
}
