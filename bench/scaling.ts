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
import { bytesPerStep } from "../src/train/exchange.ts";
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
 * Bytes a second of gradients that are read from a card, as measured on the software adapter, and that a
 * process adds up and writes back, which we assume.
 */
const READ = 1.9e9, HOST = 1e9;
/** Of an exchange: a meeting, the parts, the sums. */
const MESSAGES = 3;

/** A way to train a model in several processes. */
interface Way {
  readonly name: string;
  readonly optimizer: MethodName;
  readonly format?: WireFormat;
  readonly shards?: boolean;
  readonly localSteps?: number;
}

const GALORE = "q_galore_adamw8bit";
const WAYS: readonly Way[] = [
  { name: "`adamw`", optimizer: "adamw" },
  { name: "Q-GaLore", optimizer: GALORE },
  { name: "bfloat16", optimizer: GALORE, format: "bfloat16" },
  { name: "`--shard-states`", optimizer: GALORE, shards: true },
  { name: "`--local-steps 20`", optimizer: GALORE, localSteps: 20 },
  { name: "`--local-steps 100`", optimizer: GALORE, localSteps: 100 },
];

/** What one exchange sends, and in how many steps it is made once. */
interface Exchanged {
  /** Of content, by each process. */
  readonly sent: number;
  /** In float32 in a process's memory. */
  readonly held: number;
  readonly every: number;
}

function exchanged(model: PresetName, way: Way, ranks: number): Exchanged {
  const { optimizer, format, shards, localSteps } = way, config = PRESETS[model];
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
  // Two processes send each number once.
  return { sent: of(ranks, format), held: of(2), every: localSteps ?? 1 };
}

/** Seconds of a step: its own work, and its part of an exchange in pieces, the next read meanwhile. */
function secondsOf(
  { sent, held, every }: Exchanged,
  { bits, latency }: Network,
  compute: number,
): number {
  const pieces = Math.ceil(held / PIECE_BYTES), bytes = held / pieces;
  const travel = MESSAGES * latency + 8 * sent / pieces / bits + bytes / HOST;
  let read = bytes / READ, free = 0;
  for (let piece = 0; piece < pieces; piece++) {
    free = Math.max(free, read) + travel;
    read = Math.max(read, free - travel) + bytes / READ;
  }
  return compute + free / every;
}

/** Gigabytes that a process sends in a step on average. */
function bytesTable(): string {
  const head = ["", ...WAYS.map(({ name }) => name)];
  const rows = MODELS.flatMap((model) =>
    [2, 8].map((ranks) => [
      `${model}, ${ranks}`,
      ...WAYS.map((way) => {
        const { sent, every } = exchanged(model, way, ranks);
        return figure(sent / every / 1e9);
      }),
    ])
  );
  return markdownTable(head, rows, { right: true });
}

/** Seconds of a step in eight processes, and the share of them that is no exchange. */
function secondsTable(model: PresetName, ranks = 8): string {
  const compute = TOKENS / ranks / SPEEDS[model]!;
  const ways = WAYS.map((way) => exchanged(model, way, ranks));
  const rows = NETWORKS.map((network) => [
    network.name,
    ...ways.map((way) => {
      const seconds = secondsOf(way, network, compute);
      return `${figure(seconds)} (${Math.round(100 * compute / seconds)}%)`;
    }),
  ]);
  return `\`${model}\`, of which ${figure(compute)} s are a card's own work:\n\n${
    markdownTable(["", ...WAYS.map(({ name }) => name)], rows, { right: true })
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
