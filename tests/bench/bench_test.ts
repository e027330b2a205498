import { assert, assertEquals } from "@std/assert";
import { bench, benchCases, formatMeasurement, type Measurement } from "../../bench/bench.ts";
import { median } from "../../bench/timing.ts";
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
