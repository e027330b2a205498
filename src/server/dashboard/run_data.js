/** Measurements of one run, of bounded size however long it is. */
import { LATEST } from "./pace.js";

/**
 * @typedef {object} Step
 * @property {number} step
 * @property {number} [total_steps]
 * @property {number} train_loss
 * @property {number} [grad_norm] where gradients are clipped
 * @property {number} lr
 * @property {number} tokens
 * @property {number} tokens_per_second
 * @property {number} step_ms
 * @property {number} gpu_bytes
 * @property {number} gpu_peak_bytes
 * @property {number} subspace_refreshes
 *
 * @typedef {{ step: number, valid_loss: number, valid_perplexity: number }} Evaluation
 * @typedef {{ step: number, parameters: string[] }} Refresh
 * @typedef {{ step: number, prompt: string, text: string }} Sample
 */

/** Charts do not show more points than this. */
const MOST_POINTS = 4000;

export class RunData {
  /** @type {Step[]} thinned in long runs */
  steps = [];
  /** @type {Evaluation[]} */
  evaluations = [];
  /** @type {Refresh[]} */
  refreshes = [];
  /** @type {Sample[]} */
  samples = [];
  /** @type {Record<string, any> | undefined} */
  plan;
  /** @type {Record<string, any> | undefined} what of the data is learned */
  examples;
  /**
   * Steps that an evaluation or a checkpoint was part of: their time says nothing of the pace.
   *
   * @type {Set<number>}
   */
  #interrupted = new Set();
  /** Incremented by every change, so that views know when to redraw. */
  version = 0;
  /** Steps between older points. */
  #distance = 1;

  /** Loads the response of `/metrics`. @param {Record<string, any>} metrics */
  load({ steps, evaluations, refreshes, samples, plan, data }) {
    this.steps = steps ?? [];
    this.evaluations = evaluations ?? [];
    this.refreshes = refreshes ?? [];
    this.samples = samples ?? [];
    this.plan = plan ?? undefined;
    this.examples = data ?? undefined;
    for (const { step } of this.evaluations) this.#interrupted.add(step);
    this.#thin();
    this.version++;
  }

  /** Adds an event; duplicates change nothing. @param {import("./jobs.js").JobEvent} event */
  add({ type, data }) {
    if (type === "metrics") this.#addMetrics(data);
    else if (data?.kind === "plan") this.plan = data;
    else if (data?.kind === "data") this.examples = data;
    else if (data?.kind === "sample") this.#addSample(data);
    else if (data?.kind === "checkpoint") this.#interrupted.add(data.step);
    else return;
    this.version++;
  }

  get last() {
    return this.steps.at(-1);
  }

  /** Tokens per second, where the time was a step's alone. @param {Step} step */
  speedOf({ step, tokens_per_second }) {
    return this.#interrupted.has(step) ? null : tokens_per_second ?? null;
  }

  /** The latest steps whose time was theirs alone. */
  get timed() {
    return this.steps.slice(-2 * LATEST).filter(({ step }) => !this.#interrupted.has(step));
  }

  /** @param {Record<string, any>} data */
  #addMetrics(data) {
    const { step } = data;
    if (data.train_loss !== undefined && step > (this.last?.step ?? 0)) {
      this.steps.push(/** @type {Step} */ (data));
      this.#thin();
      if (data.refreshed?.length) this.refreshes.push({ step, parameters: data.refreshed });
    }
    if (data.valid_loss !== undefined && step > (this.evaluations.at(-1)?.step ?? -1)) {
      const { valid_loss, valid_perplexity } = data;
      this.#interrupted.add(step);
      this.evaluations.push({ step, valid_loss, valid_perplexity });
    }
  }

  /** @param {Record<string, any>} data */
  #addSample({ step, prompt, text }) {
    const known = this.samples.some((it) => it.step === step && it.prompt === prompt);
    if (!known) this.samples.push({ step, prompt, text });
  }

  /**
   * Keeps every n-th of the older points, as the server does, and all of the newest. Averages would
   * be smoother than single steps and make the newest part of the curve look noisier.
   */
  #thin() {
    if (this.steps.length <= MOST_POINTS) return;
    const newest = this.steps.slice(-MOST_POINTS / 4);
    const older = this.steps.slice(0, -MOST_POINTS / 4);
    for (;;) {
      const place = (/** @type {Step} */ { step }) => Math.floor((step - 1) / this.#distance);
      const kept = older.filter((it, i) => i === 0 || place(it) !== place(older[i - 1]));
      // Leaves headroom before the next thinning.
      if (kept.length <= MOST_POINTS / 2) {
        this.steps = [...kept, ...newest];
        return;
      }
      this.#distance *= 2;
    }
  }
}

/**
 * Exponential moving average, forwards and then backwards, so that the curve does not lag behind
 * its points. The window grows with the number of points: what looks smooth at a hundred is noise
 * at four thousand.
 *
 * @param {readonly (number | null)[]} values
 * @returns {(number | null)[]}
 */
export function smooth(values) {
  const memory = 1 - 1 / Math.max(2, Math.min(25, values.length / 80));
  return pass(pass(values, memory).reverse(), memory).reverse();
}

/**
 * With bias correction (as in Adam).
 *
 * @param {readonly (number | null)[]} values
 * @param {number} memory
 */
function pass(values, memory) {
  let mean = 0;
  let weight = 0;
  return values.map((value) => {
    if (value === null) return null;
    mean = memory * mean + (1 - memory) * value;
    weight = memory * weight + (1 - memory);
    return mean / weight;
  });
}

/**
 * Training and evaluation loss over common steps, as chart columns.
 *
 * @param {readonly Step[]} steps
 * @param {readonly Evaluation[]} evaluations
 */
export function lossColumns(steps, evaluations) {
  /** @type {number[]} */
  const at = [];
  /** @type {(number | null)[]} */
  const train = [];
  /** @type {(number | null)[]} */
  const valid = [];
  let next = 0;
  /** @param {number} step @param {number | null} value */
  const push = (step, value) => {
    while (next < evaluations.length && evaluations[next].step < step) {
      at.push(evaluations[next].step);
      train.push(null);
      valid.push(evaluations[next++].valid_loss);
    }
    if (value === null) return;
    at.push(step);
    train.push(value);
    valid.push(evaluations[next]?.step === step ? evaluations[next++].valid_loss : null);
  };
  for (const { step, train_loss } of steps) push(step, train_loss);
  push(Infinity, null);
  return { at, train, valid };
}
