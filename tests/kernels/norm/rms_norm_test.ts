import { assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { viewAs } from "../../../src/gpu/tensor.ts";
import { packTensor, unpackTensor } from "../../../src/numbers/plain.ts";
import { Scope } from "../../../src/gpu/scope.ts";
import { rmsNorm } from "../../../src/kernels/norm/rms_norm.ts";
import { rmsNorm as oracle } from "../../oracles/norm/rms_norm.ts";
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
import { LOOPS, sharings, testAlternatives } from "../support_strategies.ts";

for (const [rows, columns] of [[1, 8], [3, 257], [258, 128], [5, 5461]]) {
  gpuTest(`rms_norm (${rows}, ${columns}) agrees with the oracle`, async (gpu) => {
    const gains = randomNormal(columns, 2);
    for (const dtype of ["float32", "bfloat16"] as const) {
      const values = rounded(randomNormal(rows * columns, 1), dtype);
      const expected = oracle(values, gains, rows, 1e-6);
      const x = upload(gpu, "x", [rows, columns], values, dtype);
      const weight = upload(gpu, "weight", [columns], gains);
      for (const strategy of sharings(gpu, LOOPS)) {
        const y = upload(gpu, "y", [rows, columns], undefined, dtype);
        const rstd = upload(gpu, "rstd", [rows]);
        runPass(gpu, (pass) => rmsNorm(pass, { x, weight, y, rstd, eps: 1e-6 }));
        const float32 = 3e-6; // sums of some thousand float32 squares
        const rtol = float32 + OUTPUT_ROUNDING[dtype];
        assertClose(`y, ${strategy}`, await download(gpu, y), expected.y, { atol: 1e-6, rtol });
        assertClose("rstd", await download(gpu, rstd), expected.rstd, { atol: 0, rtol: float32 });
      }
    }
  });
}

gpuTest("rms_norm walks a matrix larger than one binding", async (gpu) => {
  const columns = 8192, rows = gpu.limits.maxStorageBufferBindingSize / (4 * columns) + 3;
  if (rows > 10_000) return; // on a card bindings hold gigabytes: too much for a test
  const scope = new Scope(gpu);
  const make = (name: string, shape: readonly number[]) =>
    scope.tensor({ name, shape, dtype: "float32", purpose: "workspace" });
  const x = make("x", [rows, columns]), y = make("y", [rows, columns]), rstd = make("rstd", [rows]);
  const gains = randomNormal(columns, 2), weight = upload(gpu, "weight", [columns], gains);
  const picked = [0, rows - 4, rows - 3, rows - 1]; // either side of the border, and the ends
  for (const row of picked) gpu.write(x, randomNormal(columns, row), 4 * row * columns);
  runPass(gpu, (pass) => rmsNorm(pass, { x, weight, y, rstd, eps: 1e-6 }));
  const scales = await download(gpu, rstd);
  for (const row of picked) {
    const expected = oracle(randomNormal(columns, row), gains, 1, 1e-6);
    const bytes = await gpu.read(y, 4 * row * columns, 4 * columns);
    const tolerance = { atol: 1e-6, rtol: 3e-6 }; // as above
    assertClose(`y of row ${row}`, new Float32Array(bytes.buffer), expected.y, tolerance);
    assertClose(`rstd of row ${row}`, [scales[row]], expected.rstd, tolerance);
  }
  scope.release();
});

gpuTest("rms_norm adds an offset to the weight", async (gpu) => {
  const [rows, columns] = [3, 257], gains = randomNormal(columns, 2, 0.1);
  for (const dtype of ["float32", "bfloat16"] as const) {
    const values = rounded(randomNormal(rows * columns, 1), dtype);
    const expected = oracle(values, gains, rows, 1e-6, 1);
    const x = upload(gpu, "x", [rows, columns], values, dtype);
    const weight = upload(gpu, "weight", [columns], gains);
    const y = upload(gpu, "y", [rows, columns], undefined, dtype);
    const rstd = upload(gpu, "rstd", [rows]);
    runPass(gpu, (pass) => rmsNorm(pass, { x, weight, y, rstd, eps: 1e-6, offset: 1 }));
    const rtol = 3e-6 + OUTPUT_ROUNDING[dtype]; // as above
    assertClose("y", await download(gpu, y), expected.y, { atol: 1e-6, rtol });
  }
});

gpuTest("rms_norm of more heads than one dispatch has threads", async (gpu) => {
  // (N, H·D) seen as (N·H, D): a dispatch takes 65,535 workgroups of 64 rows.
  const [heads, size] = [64, 8], border = 65_535 * 64, positions = border / heads + 2;
  const scope = new Scope(gpu), rows = positions * heads;
  const make = (name: string, shape: readonly number[], dtype: "float32" | "bfloat16") =>
    scope.tensor({ name, shape, dtype, purpose: "workspace" });
  const q = make("q", [positions, heads * size], "bfloat16");
  const x = viewAs(q, "q.heads", [rows, size]);
  const y = make("y", [rows, size], "bfloat16"), rstd = make("rstd", [rows], "float32");
  const gains = randomNormal(size, 2), weight = upload(gpu, "weight", [size], gains);
  // The last heads of the first dispatch, and the second.
  const first = border - 4, count = rows - first, byteOffset = first * size * 2;
  const values = rounded(randomNormal(count * size, 1), "bfloat16");
  const part = { ...x, shape: [count, size] };
  gpu.write(q, packTensor(part, values), byteOffset);
  runPass(gpu, (pass) => rmsNorm(pass, { x, weight, y, rstd, eps: 1e-6 }));
  const expected = oracle(values, gains, count, 1e-6);
  const written = unpackTensor(part, await gpu.read(y, byteOffset));
  const rtol = 3e-6 + OUTPUT_ROUNDING.bfloat16; // as above
  assertClose("y", written, expected.y, { atol: 1e-6, rtol });
  const scales = new Float32Array((await gpu.read(rstd, 4 * first)).buffer).slice(0, count);
  assertClose("rstd", scales, expected.rstd, { atol: 0, rtol: 3e-6 });
  scope.release();
});

gpuTest("rms_norm refuses a weight of another width", (gpu) => {
  const x = upload(gpu, "x", [4, 16]), weight = upload(gpu, "weight", [8]);
  assertThrows(
    () => rmsNorm(new KernelPass(gpu), { x, weight, y: x, rstd: x, eps: 1e-6 }),
    ShapeError,
    "rmsNorm: weight must be (16), got (8)",
  );
});

testAlternatives(import.meta.url);
