/**
 * What a step costs in several processes, for docs/scaling.md: `deno task scaling-table` writes it there.
 * Bytes are those of the code that plans a run; seconds are simulated from them, a card's speed and a
 * network's.
 *
 * @module
 */
import { PlanAllocator } from "../src/gpu/allocator.ts";
import { CONSUMER_CARD } from "../src/gpu/capabilities.ts";
import { type PresetName, PRESETS } from "../src/model/config.ts";
import { fromFileUrl } from "../src/packages/std_path.ts";
import { PIECE_BYTES, type WireFormat } from "../src/parallel/ranks.ts";
import { markdownTable } from "../src/report/markdown.ts";
import { buildTraining, type Training } from "../src/train/build.ts";
import { bytesPerStep, WITHIN } from "../src/train/exchange.ts";
import { bytesPerMeeting } from "../src/train/local_steps.ts";
import { memoryOptions } from "../src/train/memory_options.ts";
import { trainingShape } from "../src/train/method.ts";
import type { MethodName } from "../src/train/methods.ts";

/** Tokens of a step of all processes together: 512 sequences of 256, as in GaLore's paper. */
const TOKENS = 131_072;

/**
 * Tokens a second of one card, an NVIDIA H200 in docs/cards.md by Q-GaLore; of 7B nothing was measured
 * at such a batch: as many as of 1B, divided by how many more parameters it has.
 */
const SPEEDS: Readonly<Partial<Record<PresetName, number>>> = {
  llama_60m: 99_977,
  llama_1b: 2853,
  llama_7b: 2853 / 5,
};
const MODELS = Object.keys(SPEEDS) as PresetName[];

/** Bits a second, and seconds until a message arrives. Of Wi-Fi and latencies we assume usual ones. */
interface Network {
  readonly name: string;
  readonly bits: number;
  readonly latency: number;
}

const NETWORKS: readonly Network[] = [
  { name: "Wi-Fi, 200 Mb/s", bits: 2e8, latency: 3e-3 },
  { name: "1 GbE", bits: 1e9, latency: 2e-4 },
  { name: "10 GbE", bits: 1e10, latency: 1e-4 },
  { name: "100 GbE", bits: 1e11, latency: 2e-5 },
];

/**
 * Bytes a second that are copied out of a card, which does nothing else meanwhile: we assume them. Until
 * a process has them, seconds and bytes a second, as measured on the software adapter. And bytes a second
 * that a process adds up and writes back, which we assume.
 */
const COPY = 1e10, READ_SECONDS = 0.011, READ = 2.8e9, HOST = 1e9;
/** Of an exchange: a meeting, the parts, the sums. */
const MESSAGES = 3;

/** How a model is trained in several processes. */
interface Manner {
  readonly name: string;
  readonly optimizer: MethodName;
  readonly format?: WireFormat;
  readonly shards?: boolean;
  readonly localSteps?: number;
}

const GALORE = "q_galore_adamw8bit";
const MANNERS: readonly Manner[] = [
  { name: "`adamw`", optimizer: "adamw" },
  { name: "Q-GaLore", optimizer: GALORE },
  { name: "bfloat16", optimizer: GALORE, format: "bfloat16" },
  { name: "`--shard-states`", optimizer: GALORE, shards: true },
  { name: "`--local-steps 20`", optimizer: GALORE, localSteps: 20 },
  { name: "`--local-steps 100`", optimizer: GALORE, localSteps: 100 },
];

/** A gradient, and the share of the backward pass that it takes, with those of its layer's inputs. */
interface Gradient {
  readonly bytes: number;
  readonly share: number;
}

/** What one exchange sends, and in how many steps it is made once. */
interface Exchanged {
  /** Of content, by each process. */
  readonly sent: number;
  /** In float32 in a process's memory. */
  readonly held: number;
  readonly every: number;
  /** In the order of the backward pass, if it begins within that. */
  readonly within: readonly Gradient[];
}

function exchanged(model: PresetName, manner: Manner, ranks: number): Exchanged {
  const { optimizer, format, shards, localSteps } = manner, config = PRESETS[model];
  const given = memoryOptions.parse({ model, optimizer, batchSize: 1, seqLen: 256 });
  const { optimizer: plain, ...shape } = trainingShape(given, config);
  const shares = shards ? { count: ranks, own: 0 } : undefined;
  const own = localSteps ? plain : { ...plain, exchange: true, shares };
  const training: Training = buildTraining(
    new PlanAllocator(),
    config,
    { ...shape, optimizer: own },
    CONSUMER_CARD,
  );
  const of = (size: number, format?: WireFormat) =>
    localSteps ? bytesPerMeeting(training, size, format) : bytesPerStep(training, size, 0, format);
  const within = localSteps || shards ? [] : gradientsOf(training);
  // Two processes send each number once.
  return { sent: of(ranks, format), held: of(2), every: localSteps ?? 1, within };
}

/** Those of matrices; an embedding's takes next to no time. */
function gradientsOf({ optimizer: { states } }: Training): Gradient[] {
  const matrices = states.filter(({ parameter }) => parameter.shape.length > 1).toReversed();
  const work = matrices.map(({ parameter: { kind, shape: [rows, columns] } }) =>
    kind === "embedding" ? 0 : rows * columns
  );
  const all = work.reduce((a, b) => a + b);
  return matrices.map(({ accumulated }, index) => ({
    bytes: accumulated!.byteLength,
    share: work[index] / all,
  }));
}

/** Pieces on their way from a card to the others, as src/train/pieces.ts sends them. */
class Travel {
  /** When the last piece but one has arrived. */
  #arrived = 0;
  #waiting: { readonly bytes: number; readonly read: number } | undefined;

  constructor(private readonly network: (bytes: number) => number) {}

  /** Asks for a piece when the card is ready for that; returns when it goes on. */
  begin(bytes: number, ready: number): number {
    const asked = Math.max(ready, this.#arrived) + bytes / COPY;
    const read = asked + READ_SECONDS + bytes / READ;
    this.#depart(asked, read);
    this.#waiting = { bytes, read };
    return asked;
  }

  /** When all has arrived. */
  end(): number {
    this.#depart();
    return this.#arrived;
  }

  /**
   * The last piece travels once the next one is asked for, and is added up once that is read: a process
   * does either on one thread.
   */
  #depart(from = 0, free = 0): void {
    if (!this.#waiting) return;
    const { bytes, read } = this.#waiting;
    const there = Math.max(from, this.#arrived, read) + this.network(bytes);
    this.#arrived = Math.max(there, free) + bytes / HOST;
    this.#waiting = undefined;
  }
}

/** Seconds of a step: a third forward, the rest back, in one batch, and the exchange within and after. */
function secondsOf(
  { sent, held, every, within }: Exchanged,
  { bits, latency }: Network,
  compute: number,
): number {
  const travel = new Travel((bytes) => MESSAGES * latency + 8 * bytes * (sent / held) / bits);
  let card = within.length ? compute / 3 : compute, complete = 0, left = held;
  const pieces: number[] = [];
  for (const { bytes, share } of within) {
    card += share * compute * 2 / 3;
    complete += bytes;
    if (complete >= WITHIN.leastBytes) {
      for (; complete > 0; complete -= pieces.at(-1)!) {
        pieces.push(Math.min(complete, PIECE_BYTES));
      }
    }
    const piece = pieces.shift();
    if (!piece) continue;
    card = travel.begin(piece, card);
    left -= piece;
  }
  const done = Math.max(card, travel.end());
  let next = done;
  for (; left > 0; left -= PIECE_BYTES) next = travel.begin(Math.min(left, PIECE_BYTES), next);
  const end = Math.max(done, travel.end());
  return within.length ? end : compute + (end - compute) / every;
}

/** Gigabytes that a process sends in a step on average. */
function bytesTable(): string {
  const head = ["", ...MANNERS.map(({ name }) => name)];
  const rows = MODELS.flatMap((model) =>
    [2, 8].map((ranks) => [
      `${model}, ${ranks}`,
      ...MANNERS.map((manner) => {
        const { sent, every } = exchanged(model, manner, ranks);
        return figure(sent / every / 1e9);
      }),
    ])
  );
  return markdownTable(head, rows, { right: true });
}

/** Seconds of a step in eight processes, and the share of them that is no exchange. */
function secondsTable(model: PresetName, ranks = 8): string {
  const compute = TOKENS / ranks / SPEEDS[model]!;
  const all = MANNERS.map((manner) => exchanged(model, manner, ranks));
  const rows = NETWORKS.map((network) => [
    network.name,
    ...all.map((each) => {
      const seconds = secondsOf(each, network, compute);
      return `${figure(seconds)} (${Math.round(100 * compute / seconds)}%)`;
    }),
  ]);
  return `\`${model}\`, of which ${figure(compute)} s are a card's own work:\n\n${
    markdownTable(["", ...MANNERS.map(({ name }) => name)], rows, { right: true })
  }`;
}

/** Three digits. */
function figure(value: number): string {
  return value < 1000 ? value.toPrecision(3) : value.toFixed(0);
}

/** What stands between these marks in the document, by their name. */
export const PARTS: Readonly<Record<string, () => string>> = {
  bytes: bytesTable,
  seconds: () => MODELS.map((model) => secondsTable(model)).join("\n\n"),
};

/** Where a part of the document begins and ends. */
export function marks(name: string): readonly [begin: string, end: string] {
  return [`<!-- ${name}: written by \`deno task scaling-table\` -->`, `<!-- end of ${name} -->`];
}

if (import.meta.main) {
  const path = fromFileUrl(new URL("../docs/scaling.md", import.meta.url));
  let text = await Deno.readTextFile(path);
  for (const [name, make] of Object.entries(PARTS)) {
    const [begin, end] = marks(name);
    const [before, rest] = text.split(begin), after = rest.split(end)[1];
    text = `${before}${begin}\n\n${make()}\n\n${end}${after}`;
  }
  await Deno.writeTextFile(path, text);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "-q", path] }).output();
}
