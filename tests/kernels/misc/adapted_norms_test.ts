import { assertEquals, assertThrows } from "@std/assert";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import type { Tensor } from "../../../src/gpu/tensor.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { adaptedNorms } from "../../../src/kernels/misc/adapted_norms.ts";
import { adapted, normProducts, rowNorms } from "../../oracles/misc/adapted_norms.ts";
import {
  assertClose,
  download,
  gpuTest,
  randomNormal,
  rounded,
  runPass,
  upload,
} from "../../support.ts";
import { knownMatrix } from "../support_matrices.ts";
import { LOOPS, sharings, testAlternatives } from "../support_strategies.ts";

type Format = "float32" | "bfloat16" | "int8" | "nf4";

/** Padding is zero where a matrix is made by quantising; the known ones have none. */
function matrix(gpu: Gpu, format: Format, [out, inner]: readonly [number, number]) {
  if (format === "int8" || format === "nf4") {
    return knownMatrix(gpu, "weight", [out, inner], format, 4);
  }
  const values = rounded(randomNormal(out * inner, 1), format);
  return { tensor: upload(gpu, "weight", [out, inner], values, format), values };
}

function operands(gpu: Gpu, weight: Tensor, values: ArrayLike<number>, rank: number) {
  const [out, inner] = weight.shape, scale = 1.5;
  const a = randomNormal(rank * inner, 2, 0.3), b = randomNormal(out * rank, 3, 0.3);
  const m = randomNormal(out, 5), terms = { weight: values, a, b, scale };
  const products = Float32Array.from(normProducts(terms, rank));
  return {
    io: {
      weight,
      b: upload(gpu, "b", [out, rank], b),
      products: upload(gpu, "products", [rank, out], products),
      magnitude: upload(gpu, "magnitude", [out], m),
      norm: upload(gpu, "norm", [out]),
      factor: upload(gpu, "factor", [out]),
    },
    norms: rowNorms(adapted(terms, rank), inner),
    m,
  };
}

for (const [out, inner, rank] of [[1, 8, 1], [21, 136, 33]] as const) {
  gpuTest(`adapted_norms (${out}, ${inner}), rank ${rank}, in every format`, async (gpu) => {
    for (const format of ["float32", "bfloat16", "int8", "nf4"] as const) {
      const { tensor, values } = matrix(gpu, format, [out, inner]);
      const { io, norms, m } = operands(gpu, tensor, values, rank);
      for (const strategy of sharings(gpu, LOOPS)) {
        runPass(gpu, (pass) => adaptedNorms(pass, io));
        // A hundred roundings of terms that cancel to some percent at worst.
        const close = { atol: 1e-6, rtol: 2e-5 };
        assertClose(`norm, ${format}, ${strategy}`, await download(gpu, io.norm), norms, close);
        const factors = norms.map((norm, i) => m[i] / norm);
        assertClose(`factor, ${strategy}`, await download(gpu, io.factor), factors, close);
      }
    }
  });
}

gpuTest("adapted_norms of odd widths, and of rows of zeros", async (gpu) => {
  const [out, inner, rank] = [5, 257, 3];
  const values = randomNormal(out * inner, 1);
  values.fill(0, inner, 2 * inner);
  const { io, norms } = operands(gpu, upload(gpu, "w", [out, inner], values), values, rank);
  runPass(gpu, (pass) => adaptedNorms(pass, io));
  assertClose("norm", await download(gpu, io.norm), norms, { atol: 1e-6, rtol: 2e-5 });
  const none = upload(gpu, "b", [out, rank]), still = { ...io, b: none };
  runPass(gpu, (pass) => adaptedNorms(pass, still));
  assertClose("norm", await download(gpu, io.norm), rowNorms(values, inner), {
    atol: 0,
    rtol: 1e-6,
  });
  assertEquals((await download(gpu, io.factor))[1], 0);
});

gpuTest("adapted_norms refuses factors of another matrix", (gpu) => {
  const { tensor, values } = matrix(gpu, "float32", [4, 16]);
  const { io } = operands(gpu, tensor, values, 2);
  const products = upload(gpu, "products", [2, 8]);
  assertThrows(
    () => adaptedNorms(new KernelPass(gpu), { ...io, products }),
    ShapeError,
    "adaptedNorms: products must be (2, 4), got (2, 8)",
  );
});

testAlternatives(import.meta.url);
