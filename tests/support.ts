/** Shared by the tests: one device per file, random operands, element-wise comparison. */
import { Gpu } from "../src/gpu/gpu.ts";
import { KernelPass } from "../src/gpu/pass.ts";
import type { DType } from "../src/numbers/layout.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { fromBfloat16, toBfloat16 } from "./oracles/bfloat16.ts";
import { packTensor, unpackTensor } from "../src/numbers/plain.ts";

let opened: Promise<Gpu> | undefined;

/**
 * The device that the tests of a file share: opening another takes a fraction of a second, and
 * compiling kernels again several. It is closed after the last test, as a process runs many files and
 * a driver allows only a few dozen devices.
 */
export function sharedGpu(): Promise<Gpu> {
  return opened ??= Gpu.open();
}
Deno.test.afterAll(async () => (await opened?.catch(() => undefined))?.close());

/** A test on {@link sharedGpu}, so leak checks are off. */
export function gpuTest(name: string, run: (gpu: Gpu) => void | Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => await run(await sharedGpu()),
  });
}

/** A seeded stream of numbers in [0, 1): mulberry32. */
export function randomStream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Normal numbers (Box-Muller), as float32. */
export function randomNormal(count: number, seed: number, scale = 1): Float32Array<ArrayBuffer> {
  const next = randomStream(seed);
  return Float32Array.from(
    { length: count },
    () => scale * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  );
}

/** What storing a result costs, relative: bfloat16 keeps 8 bits, so half a unit is at most 2^-8. */
export const OUTPUT_ROUNDING = { float32: 0, bfloat16: 2 ** -8 } as const;

/** The values that a tensor of this format actually holds, as input for oracles. */
export function rounded(values: Float32Array<ArrayBuffer>, dtype: "float32" | "bfloat16") {
  return dtype === "float32" ? values : values.map((value) => fromBfloat16(toBfloat16(value)));
}

/** A tensor on the device; `values` are logical, row-major. */
export function upload(
  gpu: Gpu,
  name: string,
  shape: readonly number[],
  values?: ArrayLike<number>,
  dtype: DType = "float32",
): Tensor {
  const tensor = gpu.tensor({ name, shape, dtype, purpose: "workspace" });
  if (values) gpu.write(tensor, packTensor(tensor, values));
  return tensor;
}

/** The logical elements of a tensor. */
export async function download(gpu: Gpu, tensor: Tensor): Promise<Float32Array> {
  return unpackTensor(tensor, await gpu.read(tensor));
}

/** Records and submits. */
export function runPass(gpu: Gpu, record: (pass: KernelPass) => void): void {
  const pass = new KernelPass(gpu);
  record(pass);
  pass.submit();
}

/**
 * Asserts |actual − expected| ≤ atol + rtol·|expected| for every element, and returns the largest
 * share of that allowance that was used.
 */
export function assertClose(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { atol, rtol }: { atol: number; rtol: number },
): number {
  if (actual.length !== expected.length) {
    throw new Error(`${what}: ${actual.length} elements, expected ${expected.length}`);
  }
  let worst = 0, at = 0;
  for (let i = 0; i < expected.length; i++) {
    const used = Math.abs(actual[i] - expected[i]) / (atol + rtol * Math.abs(expected[i]));
    if (!(used <= worst)) [worst, at] = [used, i];
  }
  if (!(worst <= 1)) {
    throw new Error(
      `${what}: element ${at} is ${actual[at]}, expected ${expected[at]} (${
        worst.toFixed(2)
      } times the allowed error)`,
    );
  }
  return worst;
}
