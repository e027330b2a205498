/** The pace of a run, from its latest steps. */

/** @typedef {{ step: number, step_ms?: number, tokens_per_second?: number }} Timed */

/** Steps that count; fewer are noisy, more are late to notice a change. */
export const LATEST = 64;
/** A longer step counts as that many usual ones: a stall says nothing of the pace. */
const MOST_USUAL = 6;

/**
 * Means over the latest steps. The first step, which compiles shaders, counts only while there is
 * no other.
 *
 * @param {readonly Timed[]} steps without those that an evaluation or a checkpoint was part of
 * @returns {{ secondsPerStep?: number, tokensPerSecond?: number }}
 */
export function paceOf(steps) {
  const timed = steps.filter(({ step_ms }) => step_ms !== undefined).slice(-LATEST);
  const usual = timed.length > 1 ? timed.filter(({ step }) => step > 1) : timed;
  if (!usual.length) return {};
  const times = usual.map(({ step_ms }) => /** @type {number} */ (step_ms) / 1000);
  const most = MOST_USUAL * times.toSorted((a, b) => a - b)[times.length >> 1];
  const seconds = times.reduce((sum, time) => sum + Math.min(time, most), 0);
  const tokens = usual.reduce(
    (sum, { tokens_per_second = 0 }, i) => sum + tokens_per_second * times[i],
    0,
  );
  return {
    secondsPerStep: seconds / usual.length,
    tokensPerSecond: seconds > 0 && tokens > 0 ? tokens / seconds : undefined,
  };
}
