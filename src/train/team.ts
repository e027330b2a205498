/**
 * The ranks of a run. Rank 0 leads: it alone writes, evaluates, reports and decides what comes next,
 * and the others do what it says, at the same step. Every rank reads all of the data's sequences and
 * trains on its share of each step's.
 */
import { Crc32 } from "../formats/checkpoint/checksum.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Llama } from "../model/llama.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import { sharesOf } from "../optim/shares.ts";
import { UserError } from "../options/user_error.ts";
import { ALONE, gatherText, type Ranks, ranksText, type WireFormat } from "../parallel/ranks.ts";
import type { Training } from "./build.ts";
import { NotFiniteError, ranksNotFiniteError } from "./divergence.ts";
import { Exchange } from "./exchange.ts";
import type { LocalSteps } from "./local_steps.ts";
import { keptGradientNotes } from "./kept_gradient_notes.ts";
import { outerChecksum } from "./outer_state.ts";
import { CollectedStates, giveStates } from "./rank_states.ts";
import type { Recipe } from "./recipe.ts";
import { type Fetch, stateTensors } from "./state.ts";

/** What all ranks do next. */
export type Order = "step" | "check" | "fetch" | "gather" | "save" | "end" | "failed";

const ORDERS: readonly Order[] = ["step", "check", "fetch", "gather", "save", "end", "failed"];
/** What another rank says in place of an order: go on, or stop. */
const GO_ON = 0x10, STOP = 0x11;
/** What it says in place of its checksum once what it has trained is not finite. */
const NOT_FINITE = "not finite";

/** Milliseconds for which a failed run waits for the others, that they may end by themselves. */
const FAREWELL_MS = 10_000;

/** Bytes that are read at a time for a checksum. */
const CHECKED_BYTES = 16 << 20;

/** The recipe with gradients that wait for their exchange, if it can be shared by these ranks. */
export function sharedRecipe(
  recipe: Recipe,
  ranks: Pick<Ranks, "size" | "rank"> | undefined,
): Recipe {
  const { size, rank } = ranks ?? ALONE;
  if (size === 1) {
    return { ...recipe, warnings: [...recipe.warnings, ...aloneTexts(recipe.options)] };
  }
  const { shape, options } = recipe, { gradientAccumulation, localSteps } = options;
  const { optimizer } = shape;
  if (optimizer.accumulatorQuant && localSteps === undefined) {
    throw new UserError(
      phrase`${option("accumulatorQuant", true)}: ${size} processes exchange gradients in float32,
        and cannot sum them in INT8`,
      phrase`leave it out: each process sums fewer batches by itself`,
    );
  }
  if (gradientAccumulation % size) {
    throw new UserError(
      phrase`${option("gradientAccumulation", gradientAccumulation)}: the batches of a step cannot
        be dealt out to ${size} processes evenly`,
      phrase`give a multiple of ${size}`,
    );
  }
  const own = localSteps === undefined
    ? { exchange: true, shares: sharesOf(options, { count: size, own: rank }) }
    // Each trains by itself, on its own batches.
    : { gradientAccumulation: gradientAccumulation / size };
  const shared = { ...shape, optimizer: { ...optimizer, ...own } };
  const notes = keptGradientNotes(options, shared, size);
  return { ...recipe, shape: shared, warnings: [...recipe.warnings, ...notes] };
}

/** What a run of one process says of options for several. */
function aloneTexts(options: Recipe["options"]): Phrase[] {
  const { localSteps, communicationDataType: format } = options;
  const noEffect = (name: string, value: unknown, why: string) =>
    phrase`${option(name, value)} has no effect: one process ${why}, and ${NONE}`;
  const texts: Phrase[] = [];
  const sharing = (["shardWeights", "shardStates"] as const).find((name) => options[name]);
  if (sharing) texts.push(noEffect(sharing, true, "has nothing to share"));
  if (format === "bfloat16") texts.push(noEffect("communicationDataType", format, "sends nothing"));
  if (localSteps !== undefined) {
    const own = option("localSteps", localSteps);
    texts.push(phrase`${own}: one process takes outer steps by itself, since ${NONE}`);
  }
  return texts;
}

const NONE = "no MPI launcher started several";

export class Team {
  readonly exchange: Exchange;
  readonly #stopping = new AbortController();
  #checked: number | undefined;
  /** The checksum of what ranks that train by themselves last met in. */
  #met: string | undefined;
  /** Its ranks have gone, each its own way. */
  #dissolved = false;
  /** What is read from other ranks, one after the other. */
  #fetching: Promise<void> = Promise.resolve();

  constructor(
    private readonly gpu: Gpu,
    private readonly training: Training,
    readonly ranks: Ranks,
    /** Where they train by themselves between meetings. */
    private readonly local?: LocalSteps,
    format: WireFormat = "float32",
  ) {
    this.exchange = new Exchange(gpu, training, ranks, format);
  }

  /** Aborted once another rank was asked to stop. */
  get stopped(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Of rank 0: what all do now. */
  async order(order: Order): Promise<void> {
    await this.#fetching.catch(() => {}); // reported to whoever waits for it
    await this.#say(order);
  }

  async #say(order: Order): Promise<void> {
    const answers = await this.ranks.gather(Uint8Array.of(ORDERS.indexOf(order)));
    if (answers.some(([answer]) => answer === STOP)) this.#stopping.abort();
  }

  /**
   * Of rank 0, on every way out of the run: the others leave it as well, unless they have. Those that do
   * not come are not waited for long where the run has failed, which is still to be reported.
   */
  async dismiss(order: "end" | "failed", failedMs: number = FAREWELL_MS): Promise<void> {
    if (this.#dissolved) return;
    this.#dissolved = true;
    const told = this.order(order);
    if (order === "end") return await told;
    const { promise, resolve } = Promise.withResolvers<void>(),
      timer = setTimeout(resolve, failedMs);
    try {
      await Promise.race([told, promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Of the others: the next order. `stops` asks rank 0 to end the run. */
  async nextOrder(stops: boolean): Promise<Order> {
    const [[order]] = await this.ranks.gather(Uint8Array.of(stops ? STOP : GO_ON));
    return ORDERS[order];
  }

  /** Of rank 0: reads what another rank keeps, which lends it. */
  readonly fetch: Fetch = ({ index, start }, into) => {
    // They may not come any more, or to another operation.
    if (this.exchange.isAbandoned) {
      return Promise.reject(new Error("what other ranks keep is lost with the step that failed"));
    }
    return this.#fetching = this.#fetching.then(async () => {
      await this.#say("fetch");
      await this.#lend(Float64Array.of(index, start, into.length), into);
    });
  };

  /** Of rank 0, where the weights of layers are shared: gathers them outside of a step. */
  get gather(): Llama["gather"] {
    if (!this.training.optimizer.shape.shares?.weights) return undefined;
    return (pass, layer) => {
      pass.submit();
      this.gpu.pause(async () => {
        await this.order("gather");
        await this.gatherOrdered(Uint8Array.of(layer, layer >> 8));
      });
    };
  }

  /** Of all, once it is ordered: the layer that rank 0 names. */
  async gatherOrdered(layer = new Uint8Array(2)): Promise<void> {
    await this.ranks.broadcast(layer);
    await this.exchange.shares!.gather(layer[0] | layer[1] << 8);
  }

  /** Of the others: what rank 0 reads, each from its keeper. */
  lend(): Promise<void> {
    return this.#lend(new Float64Array(3));
  }

  /** Of all. `wanted`, of rank 0: which tensor, from which byte on, and how many of them. */
  async #lend(wanted: Float64Array<ArrayBuffer>, into?: Uint8Array<ArrayBuffer>): Promise<void> {
    const { gpu, ranks } = this;
    await ranks.broadcast(new Uint8Array(wanted.buffer));
    const [index, start, count] = wanted, bytes = into ?? new Uint8Array(count);
    const { tensor, keeper } = stateTensors(this.training)[index];
    if (keeper === ranks.rank) await gpu.readInto(tensor, bytes, start);
    await ranks.give(bytes, keeper!);
  }

  /** Of ranks that train by themselves: the outer step after this one. */
  async meet(step: number, rates: OptimizerRates): Promise<void> {
    try {
      await this.local!.meet(step, rates);
    } catch (error) {
      // All have found the same.
      this.#dissolved ||= error instanceof NotFiniteError;
      throw error;
    }
    this.#met = undefined;
    await this.compare(step);
  }

  /**
   * Of rank 0, of ranks that train by themselves: the states of the others after this step, for a
   * checkpoint.
   */
  async collectStates(step: number): Promise<CollectedStates | undefined> {
    if (!this.local) return undefined;
    await this.check(step);
    await this.order("save");
    return await CollectedStates.begin(this.ranks, this.training);
  }

  /** Of the others, once it is ordered. */
  giveStates(): Promise<void> {
    return giveStates(this.gpu, this.training, this.ranks);
  }

  /**
   * Of rank 0: throws unless all ranks have the same weights and states after this step; where they
   * train by themselves, the same as they last met in.
   */
  async check(step: number): Promise<void> {
    if (step === this.#checked) return;
    await this.order("check");
    await this.compare(step);
    this.#checked = step;
  }

  /**
   * Of all: the same, once it is ordered. `isFinite`: what this rank has trained. Of ranks that
   * exchange gradients rank 0 sees that itself.
   */
  async compare(step: number, isFinite = true): Promise<void> {
    const own = isFinite || !this.local ? await this.#checksum() : NOT_FINITE;
    const sums = await gatherText(this.ranks, own);
    const others = sums.flatMap((sum, rank) => sum === sums[0] ? [] : [rank]);
    if (!others.length) return;
    this.#dissolved = true;
    const diverged = others.filter((rank) => sums[rank] === NOT_FINITE);
    if (diverged.length) throw ranksNotFiniteError(step, diverged);
    throw new UserError(
      `after step ${step} the weights or the optimizer's states of ${ranksText(others)} are not ` +
        `those of rank 0 (CRC-32 ${sums.join(", ")}): their processes no longer train one model`,
      phrase`do all ranks have the same card, driver and Deno? Continue from the last checkpoint
        with ${option("resume", "auto")}`,
    );
  }

  /** Of all that a checkpoint would hold and more than one has. */
  async #checksum(): Promise<string> {
    if (this.local) return this.#met ??= outerChecksum(this.local.states);
    const sum = new Crc32();
    for (const { tensor, keeper } of stateTensors(this.training)) {
      if (keeper !== undefined) continue;
      for (let at = 0; at < tensor.byteLength; at += CHECKED_BYTES) {
        const bytes = Math.min(CHECKED_BYTES, tensor.byteLength - at);
        sum.update(await this.gpu.read(tensor, at, bytes));
      }
    }
    return sum.digest();
  }
}
