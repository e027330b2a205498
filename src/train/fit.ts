/**
 * What of a model fits a card: the largest batch by method, rank and length of sequences, and the
 * options that it needs. Each figure is the plan of a run with these options (plan.ts).
 *
 * @module
 */
import { type Capabilities, CONSUMER_CARD } from "../gpu/capabilities.ts";
import type { LlamaConfig } from "../model/config.ts";
import { longestSequence } from "../model/rope_scaling.ts";
import { PRETRAIN_METHODS } from "./method_fields.ts";
import { METHOD_NAMES, type MethodName, methodOf, rankOptionOf } from "./methods.ts";
import type { MemoryInput } from "./memory_options.ts";
import { plansFinetuning } from "./option_effects.ts";
import { type MemoryPlan, planMemory, shapeOfProcess } from "./plan.ts";
import { rankOf } from "./presets.ts";
import { SAVINGS } from "./savings.ts";
import { type SizedRun, Sizing, type Values } from "./sizing.ts";

/** Options with which a run fits, and its memory with them. */
export interface Fit {
  /** Those that were left open, with the largest `batchSize`, and those that it needs to fit. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The run's memory with them. */
  readonly plan: MemoryPlan;
}

/** A search that pauses before each of its plans, which take some milliseconds. */
export type Planning<Result> = Generator<void, Result>;

/** More sequences at once make no step faster. */
export const MOST_SEQUENCES = 512;
/** Tokens of a sequence, where they are left open. */
const LENGTHS = [256, 512, 1024, 2048];
const LEAST_RANK = 8, LEAST_LENGTH = 32;
/** Of the memory of a run: an option that saves less is not worth its cost, nor its name. */
const LEAST_SAVING = 0.01;

/**
 * What fits into so many bytes: the most tokens a batch first, and of equals what needs the fewest
 * options. `options` says what is settled, with `batchSize` as the least; the methods, ranks and
 * lengths that it leaves open are tried.
 *
 * @example
 * ```ts
 * import { planFit, PRESETS } from "../../mod.ts";
 *
 * const [first] = planFit(PRESETS.llama_1b, { model: "llama_1b" }, 12e9);
 * console.log(first.options, first.plan.plannedPeakBytes);
 * ```
 */
export function planFit(
  config: LlamaConfig,
  options: MemoryInput,
  bytes: number,
  capabilities: Capabilities = CONSUMER_CARD,
): Fit[] {
  return atOnce(whatFits({ config, options }, bytes, capabilities));
}

/** Does a search without its pauses. */
export function atOnce<Result>(planning: Planning<Result>): Result {
  for (;;) {
    const { done, value } = planning.next();
    if (done) return value;
  }
}

/** {@link planFit}, of options that may be those of a run. */
export function* whatFits(
  run: SizedRun,
  bytes: number,
  capabilities: Capabilities,
): Planning<Fit[]> {
  const search = new Search(run, bytes, capabilities), rows: Fit[][] = [];
  const lengths = openLengths(run);
  const { batchSize: least = 1 } = run.options as { batchSize?: number };
  const batches = { least, most: Math.max(least, MOST_SEQUENCES) };
  for (const open of openMethods(run)) {
    const longest = { ...open, seqLen: lengths.at(-1) };
    let before = new Map<unknown, unknown>();
    for (const savings of yield* search.savings(longest, [1, MOST_SEQUENCES])) {
      const row: Fit[] = [], pace: Pace = {};
      for (const seqLen of lengths) {
        const fit = yield* search.largestBatch({ ...open, ...savings, seqLen }, batches, pace);
        if (fit) row.push(fit);
      }
      const found = new Map(row.map(({ options }) => [options.seqLen, options.batchSize]));
      if (lengths.some((length) => found.get(length) !== before.get(length))) rows.push(row);
      before = found;
    }
  }
  const tokens = (row: Fit[]) => Math.max(...row.map(tokensOf));
  const size = ([{ options }]: Fit[]) => Object.keys(options).length;
  return rows.sort((a, b) => tokens(b) - tokens(a) || size(a) - size(b)).flat();
}

/**
 * What would make a run fit, at most three ways, the nearest first: options that save memory alone,
 * a smaller batch, a lower rank, shorter sequences. Undefined if options do not decide its size, so
 * that none can be tried.
 */
export function* nearestFits(
  run: SizedRun,
  bytes: number,
  capabilities: Capabilities,
): Planning<Fit[] | undefined> {
  const search = new Search(run, bytes, capabilities), found = new Map<string, Fit>();
  if (!search.knows(run, capabilities)) return undefined;
  const add = (fit: Fit | undefined) => {
    if (fit) found.set(JSON.stringify(fit.options), fit);
    return fit !== undefined;
  };
  const { batchSize, seqLen } = run.options as { batchSize: number; seqLen: number };
  const ladder = yield* search.savings({}, [1, batchSize]), all = ladder.at(-1)!;
  for (const savings of ladder.slice(1)) {
    if (add(yield* search.fit(savings))) break;
  }
  for (const savings of found.size ? [{}] : [all, {}]) {
    add(yield* search.largestBatch(savings, { most: batchSize - 1 }));
  }
  const ranks = lowerRanks(run);
  for (const savings of [{}, all]) {
    for (const rank of ranks) {
      if (add(yield* search.fit({ ...savings, ...rank }))) break;
    }
  }
  const smaller = [...ranks, ...halves(seqLen, LEAST_LENGTH).map((seqLen) => ({ seqLen }))];
  for (const change of found.size ? [] : smaller) {
    if (add(yield* search.largestBatch({ ...all, ...change }, { most: batchSize }))) break;
  }
  return [...found.values()].slice(0, 3);
}

/** What is known of one length of sequences when the batch of another is looked for. */
interface Pace {
  /** The bytes of a token. */
  bytes?: number;
  /** How many fit. */
  tokens?: number;
}

/** Plans of a run with other options, and which of them fit. */
class Search {
  readonly #sizing: Sizing;
  readonly #bytes: number;
  readonly #largest: number;

  constructor(run: SizedRun, bytes: number, capabilities: Capabilities) {
    this.#sizing = new Sizing(run, capabilities);
    this.#bytes = bytes;
    this.#largest = capabilities.limits.maxBufferSize;
  }

  /** Whether options decide the run's size: a recipe may have a shape of its own. */
  knows({ config, shape, objective }: SizedRun, capabilities: Capabilities): boolean {
    if (!shape) return true;
    const all = shapeOfProcess(shape, undefined);
    const own = planMemory(config, all, capabilities, objective);
    return this.#sizing.plan()?.plannedPeakBytes === own.plannedPeakBytes;
  }

  *#plan(options: Values): Planning<MemoryPlan | undefined> {
    yield;
    return this.#sizing.plan(options);
  }

  #fits(plan: MemoryPlan | undefined): boolean {
    return plan !== undefined && plan.allocatedBytes <= this.#bytes &&
      plan.largest.bytes <= this.#largest;
  }

  /** The plan with these options, if it fits. */
  *fit(options: Values): Planning<Fit | undefined> {
    const plan = yield* this.#plan(options);
    return plan && this.#fits(plan) ? { options, plan } : undefined;
  }

  /**
   * The largest batch with these options, from `least` to `most`. Bytes grow almost in proportion to
   * its tokens, so two plans say where to look, or the `pace` of another length, which is kept up; from
   * there, since blocks are taken whole, up and down.
   */
  *largestBatch(
    options: Values,
    { least = 1, most }: { readonly least?: number; readonly most: number },
    pace: Pace = {},
  ): Planning<Fit | undefined> {
    if (most < least) return undefined;
    const at = (batchSize: number) => this.#plan({ ...options, batchSize });
    const length = Number(options.seqLen ?? 1);
    let first: MemoryPlan | undefined;
    if (pace.tokens === undefined) {
      first = yield* at(least);
      if (!first || !this.#fits(first)) return undefined;
      const second = yield* at(least + 1);
      const growth = Math.max(1, (second?.plannedPeakBytes ?? 0) - first.plannedPeakBytes);
      pace.bytes = growth / length;
      pace.tokens = (least + this.#room(first, growth)) * length;
    }
    let low = Math.max(least, Math.min(most, Math.floor(pace.tokens / length)));
    let high = most + 1, plan = yield* at(low);
    while (!this.#fits(plan)) {
      if (low === least) return undefined;
      high = low;
      const growth = first && plan
        ? (plan.plannedPeakBytes - first.plannedPeakBytes) / (low - least)
        : pace.bytes! * length;
      const nearer = plan
        ? Math.min(
          low + this.#room(plan, growth),
          Math.floor(low * this.#largest / plan.largest.bytes),
        )
        : half(least + low); // a size that no plan can have
      low = Math.max(least, Math.min(low - 1, nearer));
      plan = yield* at(low);
    }
    for (let step = 1; high - low > 1; step *= 2) {
      const next = Math.min(low + step, half(low + high)), more = yield* at(next);
      if (this.#fits(more)) [low, plan] = [next, more];
      else [high, step] = [next, 0.5];
    }
    pace.tokens = low * length;
    return { options: { ...options, batchSize: low }, plan: plan! };
  }

  /** Sequences for which there is room beside a plan; below 0 where it is too large. */
  #room({ allocatedBytes }: MemoryPlan, bytesOfOne: number): number {
    return Math.floor((this.#bytes - allocatedBytes) / bytesOfOne);
  }

  /**
   * The options that save enough beside these, each with those before it; none at first. Some save of
   * what grows with the batch, some of what does not: it is enough in the smallest or the largest.
   */
  *savings(options: Values, batches: readonly number[]): Planning<Values[]> {
    const ladder: Values[] = [{}];
    let before = new Peaks(options, (options) => this.#plan(options));
    for (const { option, value, includes } of SAVINGS) {
      const kept = Object.entries(ladder.at(-1)!).filter(([name]) => name !== includes);
      const savings = { ...Object.fromEntries(kept), [option]: value };
      const after = new Peaks({ ...options, ...savings }, (options) => this.#plan(options));
      if (!(yield* after.savesBeside(before, batches))) continue;
      before = after;
      ladder.push(savings);
    }
    return ladder;
  }
}

/** Bytes of the plans of some options by batch, each planned when it is asked for. */
class Peaks {
  readonly #known = new Map<number, number>();

  constructor(
    private readonly options: Values,
    private readonly plan: (options: Values) => Planning<MemoryPlan | undefined>,
  ) {}

  /** NaN where there is no such plan. */
  *at(batchSize: number): Planning<number> {
    let bytes = this.#known.get(batchSize);
    if (bytes === undefined) {
      const plan = yield* this.plan({ ...this.options, batchSize });
      this.#known.set(batchSize, bytes = plan?.plannedPeakBytes ?? NaN);
    }
    return bytes;
  }

  /** Whether one of the batches takes enough less than before. */
  *savesBeside(before: Peaks, batches: readonly number[]): Planning<boolean> {
    for (const batch of batches) {
      const bytes = yield* this.at(batch);
      if (bytes <= (1 - LEAST_SAVING) * (yield* before.at(batch))) return true;
    }
    return false;
  }
}

/** Of numbers beyond what shifts take, too. */
const half = (number: number) => Math.floor(number / 2);

const tokensOf = ({ options: { batchSize, seqLen } }: Fit) => Number(batchSize) * Number(seqLen);

/** The methods, each with its ranks, of which those that do not go with the rest have no plan. */
function openMethods({ config, options }: SizedRun): Values[] {
  const given = options as Values, { finetune, from } = given;
  const isTrained = finetune === true || from !== undefined;
  const names = given.optimizer !== undefined
    ? [given.optimizer as MethodName]
    : isTrained
    ? METHOD_NAMES
    : PRETRAIN_METHODS;
  return names.flatMap((optimizer): Values[] => {
    const method = methodOf(optimizer), name = rankOptionOf(method);
    // By themselves adapters are planned for fine-tuning.
    const asked = given.optimizer === undefined && !isTrained && plansFinetuning({ optimizer });
    const row = { optimizer, ...(asked && { finetune: false }) };
    const isFinetuned = isTrained || !asked && plansFinetuning({ ...given, optimizer });
    if (!name || isFinetuned && name === "loraRank") return [row];
    const usual = rankOf({}, config, method), own = given[name];
    const ranks = typeof own === "number" ? [own] : [usual, ...halves(usual, usual >> 2)];
    return ranks.map((rank) => ({ ...row, [name]: rank }));
  });
}

function openLengths({ config, options }: SizedRun): number[] {
  const { seqLen } = options as Values, longest = longestSequence(config);
  if (typeof seqLen === "number") return [seqLen];
  const lengths = LENGTHS.filter((length) => length <= longest);
  return lengths.length ? lengths : [longest];
}

/** Options for lower ranks than the run's, if its method has one. */
function lowerRanks({ config, options }: SizedRun): Values[] {
  const { optimizer, rank, loraRank } = options as Values;
  const method = methodOf(optimizer as MethodName), name = rankOptionOf(method);
  if (!name) return [];
  const given = (name === "rank" ? rank : loraRank) as number | undefined;
  const own = rankOf({ rank: given }, config, method);
  return halves(own, LEAST_RANK).map((rank) => ({ [name]: rank }));
}

/** Half of a number, a quarter, and so on, down to the least. */
function halves(number: number, least: number): number[] {
  const half = number >> 1;
  return half >= Math.max(1, least) ? [half, ...halves(half, least)] : [];
}
