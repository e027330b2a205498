/**
 * Notices a run that diverges: one whose loss stays above where it began. A loss that is not finite
 * ends a run, but most runs with too high a rate stay finite and only get worse.
 */

/** Steps averaged, so that a single hard batch is no alarm. */
const WINDOW = 20;

/** How much of the first loss the mean must exceed it by. */
const MARGIN = 0.1;

export class LossWatch {
  readonly #recent: number[] = [];
  #first: number | undefined;
  #atLeast = -Infinity;
  #told = false;

  /** `first` is the loss of the first step, for a run that is resumed. */
  constructor(first?: number) {
    this.#first = first;
  }

  /** The loss of the first step. */
  get first(): number | undefined {
    return this.#first;
  }

  /** Where the loss began. */
  get start(): number | undefined {
    return this.#first === undefined ? undefined : Math.max(this.#first, this.#atLeast);
  }

  /** Another measurement of the start: a single batch may be an easy one. */
  startAtLeast(loss: number | undefined): void {
    this.#atLeast = Math.max(this.#atLeast, loss ?? -Infinity);
  }

  /** Records a step's loss; returns whether the loss is above its start, the first time it is. */
  add(loss: number): boolean {
    this.#first ??= loss;
    this.#recent.push(loss);
    if (this.#recent.length > WINDOW) this.#recent.shift();
    if (this.#told || this.#recent.length < WINDOW || !this.isAbove) return false;
    return this.#told = true;
  }

  /** The mean loss of the latest steps. */
  get mean(): number {
    return this.#recent.reduce((sum, loss) => sum + loss, 0) / this.#recent.length;
  }

  /**
   * Whether the latest steps are above the start, by a margin and by twice their own spread: losses
   * of batches differ, and the start is that of one.
   */
  get isAbove(): boolean {
    const { start, mean } = this;
    if (start === undefined || this.#recent.length === 0) return false;
    const variance = this.#recent.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) /
      this.#recent.length;
    return mean - start > Math.max(MARGIN * Math.abs(start), 2 * Math.sqrt(variance));
  }
}
