/**
 * Our kernels beside those of TensorFlow.js and jax-js, on the same adapter in the same process,
 * alternately: `deno task bench --peers [--quick] [--json] [--filter TEXT]`. All compute the same in
 * float32 from the same operands, which is checked; times are by the wall clock, the host's work
 * included.
 */
import { parseArgs } from "node:util";
import { sizesFor } from "../../bench/case.ts";
import { alternating, EFFORT, Stopwatch, wallClock } from "../../bench/timing.ts";
import { adapterName } from "../../src/gpu/adapter.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { type Contender, operandsOf, type Prepared } from "./peers/contender.ts";
import { type Operation, operations } from "./peers/operations.ts";
import { ours } from "./peers/ours.ts";

/** A peer may sum in another order. */
const TOLERANCE = 1e-3;

const PEERS: Record<string, () => Promise<Contender>> = {
  "tfjs-webgpu": async () => (await import("./peers/tfjs.ts")).openTfjs(),
  "jax-js": async () => (await import("./peers/jax_js.ts")).openJaxJs(),
};

/** A line of `--json`. */
interface Comparison {
  readonly name: string;
  readonly shape: string;
  /** Milliseconds of ours, the median of several batches. */
  readonly ms: number;
  /** Theirs by name, or why not. */
  readonly peers: Readonly<Record<string, { ms: number; times_ours: number } | { error: string }>>;
}

/** What a peer's device refused: that work is not done, and so takes no time. */
type Refusals = Map<Contender, string>;

export async function benchPeers(args: string[]): Promise<void> {
  const { values: { quick = false, json = false, filter = "" } } = parseArgs({
    args,
    options: {
      peers: { type: "boolean" },
      quick: { type: "boolean" },
      json: { type: "boolean" },
      filter: { type: "string" },
    },
  });
  using gpu = await Gpu.open();
  const all = operations(sizesFor(gpu.capabilities.software));
  const chosen = all.filter(({ kind }) => kind.includes(filter));
  if (!chosen.length) {
    const kinds = new Set(all.map(({ kind }) => kind));
    throw new Error(`--filter: no operation is "${filter}": they are ${[...kinds].join(", ")}`);
  }
  const watch = await Stopwatch.create(gpu, EFFORT[quick ? "quick" : "full"]);
  if (!json) console.log(`adapter: ${adapterName(gpu.adapter)}; milliseconds, and times ours`);
  const peers: Contender[] = [], refused: Refusals = new Map();
  for (const [name, open] of Object.entries(PEERS)) {
    try {
      const peer = await open();
      peer.device.addEventListener("uncapturederror", (event) => {
        event.preventDefault();
        refused.set(peer, (event as GPUUncapturedErrorEvent).error.message);
      });
      peers.push(peer);
    } catch (error) {
      console.log(`${name} does not run here: ${messageOf(error)}`);
    }
  }
  if (!json) console.log(row(["operation", "shape", "ours", ...peers.map(({ name }) => name)]));
  for (const operation of chosen) {
    const compared = await compare(watch, operation, ours(gpu), peers, refused);
    console.log(json ? JSON.stringify(compared) : formatComparison(compared, peers));
  }
}

async function compare(
  watch: Stopwatch,
  operation: Operation,
  own: Contender,
  peers: readonly Contender[],
  refused: Refusals,
): Promise<Comparison> {
  const { kind, ...sizes } = operation;
  const operands = operandsOf(operation);
  const mine = own.prepare(operation, operands), expected = await mine.result();
  const failures = new Map<Contender, string>();
  const running = new Map<Contender, Prepared>();
  const attempt = async (peer: Contender, run: () => Promise<void>) => {
    try {
      await run();
    } catch (error) {
      failures.set(peer, messageOf(error));
      running.delete(peer);
    }
  };
  const expectRight = async (peer: Contender, prepared: Prepared) => {
    const values = await prepared.result();
    const refusal = refused.get(peer);
    refused.delete(peer);
    if (refusal) throw new Error(refusal);
    expectSame(values, expected);
  };
  for (const peer of peers) {
    await attempt(peer, async () => {
      const prepared = peer.prepare(operation, operands);
      running.set(peer, prepared);
      await expectRight(peer, prepared);
    });
  }
  const timed = [...running];
  const [ms, ...theirs] = await alternating(
    [[own, mine] as const, ...timed].map(([{ device }, { run }]) =>
      wallClock(run, () => device.queue.onSubmittedWorkDone(), watch.waiting)
    ),
    watch.effort,
  );
  // Again: whoever failed meanwhile was fast.
  for (const [peer, prepared] of timed) await attempt(peer, () => expectRight(peer, prepared));
  for (const { release } of [mine, ...timed.map(([, prepared]) => prepared)]) release();
  const times = new Map(timed.map(([peer], i) => [peer, theirs[i]]));
  const found = peers.map((peer) => {
    const error = failures.get(peer), peerMs = times.get(peer)!;
    return [peer.name, error ? { error } : { ms: peerMs, times_ours: peerMs / ms }] as const;
  });
  const shape = Object.entries(sizes).map(([name, size]) => `${name}=${size}`).join(" ");
  return { name: kind, shape, ms, peers: Object.fromEntries(found) };
}

/** A peer that computes something else is not compared. */
function expectSame(values: Float32Array, expected: Float32Array): void {
  if (values.length !== expected.length) {
    throw new Error(`its result has ${values.length} elements, ours ${expected.length}`);
  }
  let largest = 0, difference = 0;
  for (const [i, value] of expected.entries()) {
    largest = Math.max(largest, Math.abs(value));
    difference = Math.max(difference, Math.abs(value - values[i]));
  }
  if (!(difference <= TOLERANCE * largest)) {
    throw new Error(`its result differs by up to ${difference} of at most ${largest}`);
  }
}

function formatComparison(
  { name, shape, ms, peers }: Comparison,
  order: readonly Contender[],
): string {
  const cells = order.map(({ name }) => peers[name]).map((peer) =>
    "error" in peer ? peer.error : `${peer.ms.toFixed(2)} (${peer.times_ours.toFixed(2)})`
  );
  return row([name, shape, ms.toFixed(2), ...cells]);
}

function row([name, shape, ...cells]: readonly string[]): string {
  return [name.padEnd(12), shape.padEnd(36), ...cells.map((cell) => cell.padStart(18))].join("");
}

const messageOf = (error: unknown) => error instanceof Error ? error.message : String(error);
