import { assert, assertEquals } from "@std/assert";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { storedElements } from "../../src/numbers/layout.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { adam8bit, adamBlocks } from "../../src/kernels/optim/adam_blockwise.ts";
import { adam } from "../../src/kernels/optim/adam.ts";
import { applyUpdate } from "../../src/kernels/optim/apply_update.ts";
import { flatRanges } from "../../src/kernels/flat.ts";
import { groupDequantize } from "../../src/kernels/quantise/group_dequantize.ts";
import { groupQuantize } from "../../src/kernels/quantise/group_quantize.ts";
import { gpuTest, randomNormal, runPass, upload } from "../support.ts";
import { CONSUMER_CARD } from "../../src/gpu/capabilities.ts";

// More than the 8,388,608 elements of a range, and a piece of a block at the end.
const SHAPE = [2051, 4104] as const;
const PERIOD = 256;

/** A tensor whose blocks of 256 elements are all alike, so that results must be, too. */
function periodic(gpu: Gpu, name: string, seed: number): Tensor {
  const period = randomNormal(PERIOD, seed);
  const values = Float32Array.from(
    { length: SHAPE[0] * SHAPE[1] },
    (_, i) => period[i % PERIOD],
  );
  return upload(gpu, name, SHAPE, values);
}

/** Asserts that every block of `size` bytes is the first one; a piece at the end has its own range. */
async function assertPeriodic(gpu: Gpu, tensor: Tensor, size: number): Promise<void> {
  const stored = await gpu.read(tensor);
  const bytes = stored.subarray(0, Math.floor(stored.length / size) * size);
  assert(bytes.subarray(0, size).some((byte) => byte !== 0), `${tensor.name} is zero`);
  const odd = bytes.findIndex((byte, i) => byte !== bytes[i % size]);
  assertEquals(odd, -1, `${tensor.name} of ${bytes.length} bytes`);
}

Deno.test("ranges begin at whole groups and at aligned addresses, and cover all", () => {
  const stored = { shape: [20_000_000], stride: 20_000_000 } as unknown as Tensor;
  const gpu = { capabilities: { ...CONSUMER_CARD, software: true } };
  for (const unit of [1, 256, 384, 1000]) {
    const ranges = [...flatRanges({ gpu }, stored, unit)];
    assert(ranges.length >= 3);
    ranges.forEach(({ start, end }, i) => {
      assertEquals(start, i ? ranges[i - 1].end : 0);
      assertEquals([start % unit, start % 512], [0, 0]);
      assert(end - start <= 8388608);
    });
    assertEquals(ranges.at(-1)!.end, storedElements(stored));
  }
});

gpuTest("kernels give every range of a large tensor what is its own", async (gpu) => {
  const weight = periodic(gpu, "weight", 1), update = periodic(gpu, "update", 2);
  const m = upload(gpu, "m", SHAPE), v = upload(gpu, "v", SHAPE);
  runPass(gpu, (pass) => applyUpdate(pass, { weight, update, decay: 0.5 }));
  await assertPeriodic(gpu, weight, 4 * PERIOD);

  const spec = { name: "int8", shape: SHAPE, dtype: "int8", groupSize: PERIOD } as const;
  const int8 = gpu.tensor({ ...spec, purpose: "weights" });
  runPass(gpu, (pass) => {
    groupQuantize(pass, { source: weight, target: int8 });
    applyUpdate(pass, { weight: int8, update, decay: 0.5 });
    groupDequantize(pass, { source: int8, target: weight });
  });
  await assertPeriodic(gpu, weight, 4 * PERIOD);
  await assertPeriodic(gpu, int8, PERIOD);

  const rates = { step: 1, lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 };
  const codes = (name: string) => upload(gpu, name, SHAPE, undefined, "uint8");
  const maxima = (name: string) => upload(gpu, name, [adamBlocks(weight)]);
  const state = {
    m: codes("codes_m"),
    v: codes("codes_v"),
    absmaxM: maxima("absmax_m"),
    absmaxV: maxima("absmax_v"),
  };
  runPass(gpu, (pass) => {
    adam8bit(pass, { gradient: weight, ...state, ...rates });
    adam(pass, { gradient: update, m, v, ...rates });
  });
  for (const tensor of [weight, update, m, v]) await assertPeriodic(gpu, tensor, 4 * PERIOD);
  await assertPeriodic(gpu, state.m, PERIOD);
  await assertPeriodic(gpu, state.v, PERIOD);
  for (const tensor of [weight, update, m, v, int8, ...Object.values(state)]) gpu.release(tensor);
});
