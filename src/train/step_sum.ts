/**
 * The sums of a step's gradients over the ranks, which begin within the backward pass of its last
 * micro-batch: once some megabytes are complete, the recorded work has a place where they are read from
 * the card, which then goes on with the gradients below while they travel. Each rank records the same
 * places, so all sum the same pieces in the same order.
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { KernelPass } from "../gpu/pass.ts";
import type { Watch } from "../gpu/watch.ts";
import type { ParameterState } from "../optim/parameter_state.ts";
import type { Training } from "./build.ts";
import type { Exchange } from "./exchange.ts";
import { bytesOf, type Part } from "./pieces.ts";
import { gradientPart } from "./share_exchange.ts";

export class StepSum {
  #isOpen = false;
  readonly #added = new Set<ParameterState>();
  /** Complete gradients that are in no piece yet. */
  #complete: readonly Part[] = [];
  /** Pieces that have no place yet. */
  readonly #waiting: Part[][] = [];
  /** What is to be told once the card has done all that it was given. */
  readonly #passed: ReturnType<Watch>[] = [];

  constructor(
    private readonly pass: KernelPass,
    private readonly training: Training,
    private readonly exchange: Exchange,
    private readonly lossIndex: number,
  ) {}

  /** Records the last micro-batch, whose gradients are those of the step. */
  within(record: () => void): void {
    const all = this.training.optimizer.states.map(gradientPart);
    this.#isOpen = bytesOf(all) >= this.exchange.leastBytes;
    try {
      record();
    } finally {
      this.#isOpen = false;
    }
  }

  /** A gradient of the micro-batch that is being recorded is complete. */
  add(state: ParameterState): void {
    if (!this.#isOpen) return;
    this.#added.add(state);
    this.#complete = [...this.#complete, gradientPart(state)];
    if (bytesOf(this.#complete) >= this.exchange.leastBytes) {
      const { pieces, left } = this.exchange.pieces(this.#complete);
      this.#waiting.push(...pieces);
      this.#complete = left;
    }
    // One at a place: what the card computes until the next place is there to hide it.
    const piece = this.#waiting.shift();
    if (!piece) return;
    this.pass.submit();
    this.pass.gpu.pause(() => this.#begin(piece));
  }

  async #begin(piece: readonly Part[]): Promise<void> {
    const passed = this.#passed.splice(0), { read } = await this.exchange.beginSum(piece);
    void read.then(() => tell(passed), () => {}); // a fault is the sum's
  }

  /**
   * In place of what watches the micro-batch: who looks whether the card has done a layer waits for it
   * in Deno, where nothing else then goes on. A layer is told of once a piece after it has been read.
   */
  watching(watch: Watch | undefined): Gpu["watch"] {
    return watch && ((part, index, count) => {
      const done = watch(part, index, count);
      if (part === "forward" || !this.#isOpen) return done;
      this.pass.gpu.enqueue(() => this.#passed.push(done));
      return undefined;
    });
  }

  /** Once all micro-batches are given: the rest, and the loss. */
  async finish(): Promise<void> {
    const { states, goesByGroups } = this.training.optimizer;
    const others = goesByGroups ? [] : states.filter((state) => !this.#added.has(state));
    const rest = [...this.#complete, ...others.map(gradientPart)];
    const told = () => tell(this.#passed.splice(0));
    await this.exchange.finishSums(this.#waiting, rest, this.lossIndex, told);
    told();
  }
}

/** Of layers that are seen at once. */
function tell(passed: readonly ReturnType<Watch>[]): void {
  for (const [index, done] of passed.entries()) done(index < passed.length - 1);
}
