import { assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { newtonSchulz } from "../../../src/kernels/optim/newton_schulz.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { newtonSchulz as oracle } from "../../oracles/optim/newton_schulz.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";

const OPTIONS = { coefficients: [3.4445, -4.775, 2.0315], eps: 1e-7 } as const;

/** X·Xᵀ and its square, of an X (size, 2·size) of numbers of about `scale`. */
function gramOf(size: number, scale: number) {
  const x = randomNormal(2 * size * size, size, scale), gram = new Float32Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      let sum = 0;
      for (let k = 0; k < 2 * size; k++) sum += x[2 * size * i + k] * x[2 * size * j + k];
      gram[size * i + j] = sum;
    }
  }
  const square = Float32Array.from({ length: size * size }, (_, at) => {
    const i = Math.floor(at / size), j = at % size;
    let sum = 0;
    for (let k = 0; k < size; k++) sum += gram[i * size + k] * gram[k * size + j];
    return sum;
  });
  return { gram, square };
}

for (const size of [1, 7, 33, 96]) {
  for (const scale of [1, 1e-6]) {
    for (const normalise of [true, false]) {
      const name = `newton_schulz k ${size}, of ${scale}${normalise ? ", normalising" : ""}`;
      gpuTest(`${name}, agrees with the oracle`, async (gpu) => {
        const values = gramOf(size, scale);
        const gram = upload(gpu, "gram", [size, size], values.gram);
        const square = upload(gpu, "square", [size, size], values.square);
        runPass(gpu, (pass) => newtonSchulz(pass, { gram, square, normalise, ...OPTIONS }));
        const expected = oracle(values.gram, size, { normalise, ...OPTIONS });
        // A few float32 operations; terms of a normalised X cancel to a part of a = 3.4.
        const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const close = { atol: 2e-6 * largest, rtol: 1e-5 };
        assertClose("polynomial", await download(gpu, square), expected, close);
      });
    }
  }
}

gpuTest("newton_schulz of a zero matrix is finite", async (gpu) => {
  const gram = upload(gpu, "gram", [9, 9]), square = upload(gpu, "square", [9, 9]);
  runPass(gpu, (pass) => newtonSchulz(pass, { gram, square, normalise: true, ...OPTIONS }));
  const expected = oracle(new Float32Array(81), 9, { normalise: true, ...OPTIONS });
  assertClose("polynomial", await download(gpu, square), expected, { atol: 0, rtol: 1e-6 });
});

gpuTest("newton_schulz refuses a square of another size", (gpu) => {
  const gram = upload(gpu, "gram", [9, 9]), square = upload(gpu, "square", [9, 8]);
  assertThrows(
    () => newtonSchulz(new KernelPass(gpu), { gram, square, normalise: true, ...OPTIONS }),
    ShapeError,
    "newtonSchulz: square must be (9, 9), got (9, 8)",
  );
});

testAlternatives(import.meta.url);
