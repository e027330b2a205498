/** Work for the queue that is recorded and not given to it yet. */

/** Dispatches of a piece of held work: at a quarter of a second each at most, some seconds. */
const SMALL_PIECE = 16;

/**
 * Pieces of held work that are encoded at once, so that the device can have them at once: whatever
 * they hold, each takes the host a megabyte where a model has thousands of buffers.
 */
const ENCODED_PIECES = 16;

/** Something for the queue that was recorded and is not given to it yet. */
export interface HeldWork {
  /** Gives it to the queue. */
  readonly give: () => void;
  /** Whether it overwrites what a run must keep; all that follows may as well. */
  readonly overwrites: boolean;
  /** Records it, where that was put off; see {@link KernelPass.later}. */
  readonly record?: () => void;
  /** Not work, but what whoever gives the work does at this place, and waits for. */
  readonly wait?: () => Promise<void>;
}

/** Keeps what is recorded, while it is asked to. */
export class Holding {
  #held: { readonly work: HeldWork[]; readonly piece: number } | undefined;

  /** The recording in progress, of no use but to tell it from others. */
  get recording(): object | undefined {
    return this.#held;
  }

  /** While it records: the dispatches of a piece. */
  get piece(): number | undefined {
    return this.#held?.piece;
  }

  /** While it records a long step: its commands are encoded when they are given. */
  get keepsCommands(): boolean {
    return this.#held !== undefined && this.#held.work.length >= ENCODED_PIECES;
  }

  /** Keeps work while it records; false if the caller must give it. */
  keep(work: HeldWork): boolean {
    this.#held?.work.push(work);
    return this.#held !== undefined;
  }

  /** What `record` gives, in order and in pieces of at most `piece` dispatches. */
  hold(record: () => void, piece: number = SMALL_PIECE): HeldWork[] {
    const work: HeldWork[] = [];
    this.#held = { work, piece };
    try {
      record();
    } finally {
      this.#held = undefined;
    }
    return work;
  }

  /** Held work, in order; what was put off is recorded when its turn comes, in pieces as well. */
  *inTurn(held: readonly HeldWork[], piece?: number): Generator<HeldWork> {
    for (const work of held) {
      if (work.record) yield* this.inTurn(this.hold(work.record, piece), piece);
      else yield work;
    }
  }
}
