import { assert, assertEquals } from "@std/assert";
import { bench, benchCases, formatMeasurement, type Measurement } from "../../bench/bench.ts";
import { benchStep, optimizerShare, stepOperations } from "../../bench/step.ts";
import { alternating, median, Stopwatch } from "../../bench/timing.ts";
import { PRESETS } from "../../src/model/config.ts";
import { gpuTest } from "../support.ts";

gpuTest("bench yields both peaks, then the cases that were asked for", async (gpu) => {
  const before = gpu.account.live;
  const found: Measurement[] = [];
  for await (const each of bench(gpu, { quick: true, filter: "scale_rows" })) found.push(each);
  assertEquals(found.map(({ name }) => name), ["peak multiply-add", "peak copy", "scale_rows"]);
  const [arithmetic, copying, kernel] = found;
  assert(arithmetic.gflops! > 0 && arithmetic.share_of_peak === 1);
  assert(copying.gbps! > 0 && copying.share_of_peak === 1);
  assert(kernel.ms! > 0 && kernel.gbps! > 0 && kernel.share_of_peak > 0);
  assertEquals(gpu.account.live, before, "operands end with their case");
});

gpuTest("bench times a step, and each of its phases by itself", async (gpu) => {
  const before = gpu.account.live;
  const watch = await Stopwatch.create(gpu, { batchMilliseconds: 1, batches: 1 });
  const { phases, step_ms, optimizer_share } = await benchStep(watch, ["llama_nano", 1, 8]);
  const names = "forward, head and loss, backward, projection back, adam, requantise, refresh";
  assertEquals(Object.keys(phases).join(", "), names);
  assert(step_ms > 0 && Object.values(phases).every((ms) => ms > 0));
  assert(Number.isFinite(optimizer_share));
  assertEquals(gpu.account.live, before);
});

gpuTest("bench cases have names of their own", (gpu) => {
  const names = benchCases(gpu).map(({ name, shape }) => `${name}, ${shape}`);
  assertEquals(new Set(names).size, names.length);
});

Deno.test("a measurement as a line for people", () => {
  assertEquals(median([3, 1, 2]), 2);
  const line = formatMeasurement({
    name: "sum",
    shape: "(8)",
    ms: 1.234,
    gbps: 5.67,
    share_of_peak: 0.128,
  });
  assertEquals(line.split(/\s{2,}/), ["sum", "(8)", "1.23", "5.7 GB/s", "13 %"]);
});

Deno.test("the operations of a step: 6 a weight and token, and 12 a visible pair's element", () => {
  // GaLore's llama_60m: 8 layers of 4·512² + 3·512·1376 weights, a head of 32,000 · 512.
  const weights = 8 * (4 * 512 ** 2 + 3 * 512 * 1376) + 32_000 * 512;
  const pairs = 4 * 8 * 8 * (256 * 257 / 2);
  assertEquals(stepOperations(PRESETS.llama_60m, 4, 256), 6 * 1024 * weights + 12 * pairs * 64);
});

Deno.test("the optimizer's share: of passes that grow with the tokens, a refresh in 200 steps", () => {
  const phases = { "projection back": 20, adam: 10, requantise: 10, refresh: 2000 };
  assertEquals(optimizerShare(phases, 140, 1024), 50 / (50 + 400));
  assertEquals(optimizerShare(phases, 140, 4096), 50 / (50 + 100));
});

Deno.test("alternating batches: medians of one repetition, and long work three times at most", async () => {
  const order: string[] = [];
  const batch = (name: string, ms: number) => (count: number) => {
    order.push(name);
    return Promise.resolve(ms * count);
  };
  const effort = { batchMilliseconds: 40, batches: 5 };
  assertEquals(await alternating([batch("a", 50), batch("b", 100)], effort), [50, 100]);
  assertEquals(order.slice(-10).join(""), "ababababab");
  order.length = 0;
  assertEquals(await alternating([batch("a", 3000)], effort), [3000]);
  assertEquals(order.length, 1 + 3);
});
