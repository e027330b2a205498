import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { Scope } from "../../../src/gpu/scope.ts";
import { rowRange } from "../../../src/gpu/tensor.ts";
import { addBias } from "../../../src/kernels/misc/add_bias.ts";
import { packTensor, unpackTensor } from "../../../src/numbers/plain.ts";
import { addBias as oracle } from "../../oracles/misc/add_bias.ts";
import {
  assertClose,
  download,
  gpuTest,
  OUTPUT_ROUNDING,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

for (const [rows, columns] of [[1, 8], [3, 257], [70, 512], [5, 5461]]) {
  gpuTest(`add_bias (${rows}, ${columns}) adds to every row`, async (gpu) => {
    const biases = randomNormal(columns, 2), bias = upload(gpu, "bias", [columns], biases);
    for (const dtype of ["float32", "bfloat16"] as const) {
      const values = rounded(randomNormal(rows * columns, 1), dtype);
      const y = upload(gpu, "y", [rows, columns], values, dtype);
      runPass(gpu, (pass) => addBias(pass, { y, bias }));
      // One addition, rounded once: 2^-24 of the sum, and what the format costs.
      const rtol = 2 ** -24 + OUTPUT_ROUNDING[dtype];
      assertClose("y", await download(gpu, y), oracle(values, biases), { atol: 1e-30, rtol });
    }
  });
}

gpuTest("add_bias leaves the padding zero, and rows outside a view as they were", async (gpu) => {
  const [rows, columns] = [130, 9], stride = 16;
  const y = upload(gpu, "y", [rows, columns], new Float32Array(rows * columns).fill(1));
  const bias = upload(gpu, "bias", [columns], new Float32Array(columns).fill(2));
  runPass(gpu, (pass) => addBias(pass, { y: rowRange(y, 64, 128), bias }));
  const stored = new Float32Array((await gpu.read(y)).buffer);
  const expected = Array.from({ length: rows * stride }, (_, i) => {
    if (i % stride >= columns) return 0;
    return i < 64 * stride || i >= 128 * stride ? 1 : 3;
  });
  assertEquals([...stored], expected);
});

gpuTest("add_bias walks a matrix larger than one binding", async (gpu) => {
  const columns = 8192, border = gpu.limits.maxStorageBufferBindingSize / (4 * columns);
  if (border > 10_000) return; // on a card bindings hold gigabytes: too much for a test
  const scope = new Scope(gpu), shape = [border + 3, columns];
  const y = scope.tensor({ name: "y", shape, dtype: "float32", purpose: "workspace" });
  const biases = randomNormal(columns, 2), bias = upload(gpu, "bias", [columns], biases);
  // Both sides of the boundary, and the end.
  const part = { ...y, shape: [4, columns] }, byteOffset = (border - 1) * columns * 4;
  const values = randomNormal(4 * columns, 1);
  gpu.write(y, packTensor(part, values), byteOffset);
  runPass(gpu, (pass) => addBias(pass, { y, bias }));
  const written = unpackTensor(part, await gpu.read(y, byteOffset));
  assertClose("y", written, oracle(values, biases), { atol: 1e-30, rtol: 2 ** -24 });
  const first = await gpu.read(y, 0, columns * 4);
  assertEquals(new Float32Array(first.buffer), biases);
  scope.release();
});

gpuTest("add_bias refuses a bias of another width or format", (gpu) => {
  const y = upload(gpu, "y", [4, 16]), narrow = upload(gpu, "narrow", [8]);
  const half = upload(gpu, "half", [16], undefined, "bfloat16");
  assertThrows(
    () => addBias(new KernelPass(gpu), { y, bias: narrow }),
    ShapeError,
    "addBias: bias must be (16), got (8)",
  );
  assertThrows(
    () => addBias(new KernelPass(gpu), { y, bias: half }),
    ShapeError,
    "addBias: bias must be float32, got bfloat16",
  );
});

testAlternatives(import.meta.url);
