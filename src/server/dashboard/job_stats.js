/** The key figures of a run. */
import { h, setText } from "./dom.js";
import { bytes, compact, loss, percent, perplexity, whole } from "./format.js";
import { isFinished } from "./jobs.js";
import { paceOf } from "./pace.js";

/**
 * @param {import("./run_data.js").RunData} data
 * @param {() => number | undefined} plannedBytes
 */
export function createStats(data, plannedBytes) {
  const element = h("dl", { class: "stats" });
  /** @param {string} label */
  const stat = (label) => {
    const value = h("dd", { class: "stat-value" }, "–");
    const note = h("dd", { class: "stat-note" });
    element.append(h("div", {}, h("dt", {}, label), value, note));
    return { value, note };
  };
  const train = stat("Training loss");
  const valid = stat("Validation loss");
  const speed = stat("Throughput");
  const memory = stat("GPU memory");
  return {
    element,
    /** @param {import("./jobs.js").Job | undefined} job */
    draw(job) {
      const { last, steps, evaluations } = data;
      const first = steps[0];
      // A single step is noisy: show the mean of the last few.
      const recent = steps.slice(-10);
      const mean = recent.reduce((sum, { train_loss }) => sum + train_loss, 0) / recent.length;
      setText(train.value, last ? loss(mean, 3) : "–");
      setText(train.note, last ? `${loss(first.train_loss, 3)} at the start` : "");
      const latest = evaluations.at(-1);
      setText(valid.value, loss(latest?.valid_loss, 3));
      setText(
        valid.note,
        latest
          ? noteOf(latest, job?.best)
          : job && isFinished(job)
          ? "never evaluated"
          : "not evaluated yet",
      );
      const { tokensPerSecond } = paceOf(data.timed);
      setText(speed.value, tokensPerSecond ? `${compact(tokensPerSecond)} tok/s` : "–");
      setText(speed.note, last ? `${compact(last.tokens)} tokens so far` : "");
      const plan = plannedBytes();
      setText(memory.value, bytes(last?.gpu_peak_bytes ?? plan));
      setText(
        memory.note,
        !plan
          ? ""
          : last
          ? `${percent(last.gpu_peak_bytes / plan)} of ${bytes(plan)} planned`
          : "planned",
      );
      element.title = last ? `Step ${whole(last.step)}` : "";
    },
  };
}

/**
 * @param {import("./run_data.js").Evaluation} latest
 * @param {{ step: number, valid_loss: number } | null | undefined} best
 */
function noteOf({ step, valid_perplexity }, best) {
  return best && best.step !== step
    ? `best ${loss(best.valid_loss, 3)} at step ${whole(best.step)}`
    : `perplexity ${perplexity(valid_perplexity)}`;
}
