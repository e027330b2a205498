/** What a step of a run takes, where some refresh subspaces and take longer than the others. */

/** Weight of a step's time in the mean. */
const SMOOTHING = 0.1;

export class StepTimes {
  #plain: number | undefined;
  #refreshing: number | undefined;
  #steps = 0;
  #refreshes = 0;

  add({ step_ms, refreshed }: { readonly step_ms: number; readonly refreshed?: unknown }): void {
    this.#steps++;
    if (refreshed === undefined) {
      this.#plain = smoothed(this.#plain, step_ms);
    } else {
      // The first refresh, from random vectors, takes longer than those that follow.
      this.#refreshing = this.#refreshes > 1 ? smoothed(this.#refreshing, step_ms) : step_ms;
      this.#refreshes++;
    }
  }

  /**
   * Milliseconds of a step to come: refreshes are taken to be as frequent as they were after the
   * first. Undefined before the first step.
   */
  get mean(): number | undefined {
    const plain = this.#plain ?? this.#refreshing, refreshing = this.#refreshing ?? plain;
    if (plain === undefined) return undefined;
    const share = Math.max(0, this.#refreshes - 1) / Math.max(1, this.#steps - 1);
    return plain + share * (refreshing! - plain);
  }
}

function smoothed(mean: number | undefined, next: number): number {
  return mean === undefined ? next : mean + SMOOTHING * (next - mean);
}
