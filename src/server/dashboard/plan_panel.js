/** The memory that the job in the form would need, updated as the form changes. */
import { post } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { bytes, capital, eachOf } from "./format.js";
import { icon } from "./icons.js";
import { createPlanBar } from "./plan_bar.js";
import { batchTable, settingsText } from "./plan_batches.js";

/** Milliseconds after the last keystroke. */
const DEBOUNCE = 250;

/**
 * @param {object} options
 * @param {() => Record<string, any>} options.body of the request to create the job
 * @param {(change: Record<string, unknown>) => void} options.apply applies an alternative
 * @param {(error: import("./api.js").RequestError | undefined) => void} options.onError
 * @param {(fits: boolean, answer?: Record<string, any>) => void} options.onPlan
 */
export function createPlanPanel({ body, apply, onError, onPlan }) {
  const figure = h("p", { class: "plan-figure" });
  const verdict = h("p", { class: "plan-verdict", role: "status" });
  const bar = createPlanBar();
  const disk = h("p", { class: "plan-disk", hidden: true });
  const warnings = h("ul", { class: "plan-warnings", hidden: true });
  const fixes = h("div", { class: "plan-fixes", hidden: true });
  const batches = h("div", { class: "plan-batches", hidden: true });
  const element = h(
    "section",
    { class: "card plan-panel", "aria-label": "Memory plan" },
    h("div", { class: "card-head" }, h("h2", {}, "Memory plan"), verdict),
    figure,
    bar.element,
    disk,
    warnings,
    fixes,
    batches,
  );
  /** @type {AbortController | undefined} */
  let asking;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;

  /** @param {string} text */
  function rest(text) {
    element.dataset.state = "resting";
    setText(verdict, "");
    setText(figure, text);
    bar.element.hidden = true;
    disk.hidden = true;
    warnings.hidden = true;
    fixes.hidden = true;
    batches.hidden = true;
  }

  /** @param {Record<string, any>} answer */
  function show({ planned_peak_bytes, by_purpose, limit, fits, alternatives, ...rest }) {
    element.dataset.state = fits === false ? "over" : "fits";
    fill(
      figure,
      h("strong", {}, bytes(planned_peak_bytes)),
      limit ? h("span", {}, ` of ${bytes(limit)}`) : null,
      rest.allocated_bytes > planned_peak_bytes
        ? h("span", {}, `, ${bytes(rest.allocated_bytes)} in the driver's blocks`)
        : null,
      h("span", {}, ` ${eachOf(rest.hyperparameters ?? {})}`),
    );
    setText(verdict, fits === false ? "Does not fit" : limit ? "Fits" : "Limit unknown");
    bar.show({ planned_peak_bytes, by_purpose }, limit);
    disk.hidden = !rest.checkpoint_bytes;
    setText(
      disk,
      `On disk: ${bytes(rest.checkpoint_bytes)} a checkpoint, ${
        bytes(rest.result_bytes)
      } the result`,
    );
    fixes.hidden = fits !== false;
    if (fits === false) showFixes(alternatives);
    batches.hidden = !rest.largest_batches?.length;
    fill(batches, batches.hidden ? null : batchTable(rest.largest_batches, apply));
    warnings.hidden = !rest.warnings?.length;
    fill(
      warnings,
      (rest.warnings ?? []).map((/** @type {{ message: string }} */ { message }) =>
        h("li", {}, capital(message))
      ),
    );
    onPlan(fits !== false, { ...rest, by_purpose, limit, planned_peak_bytes });
  }

  /** @param {{ change: Record<string, unknown>, bytes: number }[] | null} alternatives */
  function showFixes(alternatives) {
    fill(
      fixes,
      h(
        "p",
        {},
        !alternatives
          ? "Lower the batch size or the sequence length, or choose a smaller model."
          : alternatives.length
          ? "These settings fit:"
          : "No smaller batch, rank or length fits. Choose a smaller model.",
      ),
      (alternatives ?? []).map(({ change, bytes: count }) => {
        const text = settingsText(change);
        return h(
          "button",
          { type: "button", class: "fix", on: { click: () => apply(change) } },
          icon("check"),
          h("span", {}, text),
          h("span", { class: "number" }, bytes(count)),
        );
      }),
    );
  }

  async function ask() {
    const job = body();
    asking?.abort();
    onError(undefined);
    if (!job.model) return rest("Choose a model to see how much memory the run needs.");
    asking = new AbortController();
    const { signal } = asking;
    element.setAttribute("aria-busy", "true");
    try {
      show(await post("/v1/fine_tuning/plan", job, signal));
    } catch (error) {
      if (signal.aborted) return;
      const { param, message } = /** @type {import("./api.js").RequestError} */ (error);
      onPlan(true);
      if (param === "training_file" && !job.training_file) {
        rest("Choose a training file to see how much memory the run needs.");
      } else {
        rest(param ? "Complete the form to see the plan." : message);
        onError(/** @type {import("./api.js").RequestError} */ (error));
      }
    } finally {
      if (!signal.aborted) element.removeAttribute("aria-busy");
    }
  }

  rest("Choose a model to see how much memory the run needs.");
  return {
    element,
    update() {
      clearTimeout(waiting);
      waiting = setTimeout(ask, DEBOUNCE);
    },
    destroy() {
      clearTimeout(waiting);
      asking?.abort();
    },
  };
}
