import { assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { packTensor, unpackTensor } from "../../../src/numbers/plain.ts";
import { type GateActivation, glu } from "../../../src/kernels/misc/glu.ts";
import { glu as oracle } from "../../oracles/misc/glu.ts";
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
import { strategyTest, testAlternatives } from "../support_strategies.ts";

const ACTIVATIONS = ["silu", "gelu", "gelu_tanh"] as const;

for (const [rows, columns] of [[1, 8], [3, 257], [33, 64], [5, 5461]]) {
  strategyTest(
    (strategy) => `glu (${rows}, ${columns}) agrees with the oracle, ${strategy}`,
    async (gpu) => {
      for (const activation of ACTIVATIONS) {
        for (const dtype of ["float32", "bfloat16"] as const) {
          const gates = rounded(randomNormal(rows * columns, 1, 3), dtype);
          const ups = rounded(randomNormal(rows * columns, 2), dtype);
          const gate = upload(gpu, "gate", [rows, columns], gates, dtype);
          const up = upload(gpu, "up", [rows, columns], ups, dtype);
          const h = upload(gpu, "h", [rows, columns], undefined, dtype);
          runPass(gpu, (pass) => glu(pass, { activation, gate, up, h }));
          // float32: exp is allowed a few ulps, more for large arguments; the rest is four roundings.
          const rtol = 2e-6 + OUTPUT_ROUNDING[dtype];
          const expected = oracle(activation, gates, ups);
          assertClose(activation, await download(gpu, h), expected, { atol: 1e-7, rtol });
        }
      }
    },
  );
}

/** A row of gates, each times 2. */
async function twice(gpu: Gpu, activation: GateActivation, gates: number[]) {
  const gate = upload(gpu, "gate", [gates.length], gates);
  const up = upload(gpu, "up", [gates.length], gates.map(() => 2));
  const h = upload(gpu, "h", [gates.length]);
  runPass(gpu, (pass) => glu(pass, { activation, gate, up, h }));
  return await download(gpu, h);
}

gpuTest("glu stays finite where exp or tanh would overflow", async (gpu) => {
  const gates = [-1e30, -1e4, -200, -89, -80, 0, 80, 200, 1e4, 1e30];
  const silu = oracle("silu", gates, gates.map(() => 2));
  // Only σ(−80) is given for what is less: some 1e-35, times the gate.
  silu[0] = 2 * gates[0] / (1 + Math.exp(80));
  const close = { atol: 1e-30, rtol: 1e-6 };
  assertClose("silu", await twice(gpu, "silu", gates), silu, close);
  for (const activation of ["gelu", "gelu_tanh"] as const) {
    const gelu = oracle(activation, gates, gates.map(() => 2));
    assertClose(activation, (await twice(gpu, activation, gates)).slice(1), gelu.slice(1), close);
  }
});

gpuTest("glu has PyTorch's gelu(approximate='tanh')", async (gpu) => {
  const gates = [-12, -6, -3, -1, -0.5, 0, 0.25, 1, 3, 6];
  // torch 2.13.0, torch.nn.functional.gelu(x, approximate="tanh") of these in float64.
  const gelu = [
    -0,
    -8.43964897967453e-11,
    -0.0036373920817729943,
    -0.15880800939172324,
    -0.15428599017485606,
    0,
    0.149675350701685,
    0.8411919906082768,
    2.996362607918227,
    5.9999999999156035,
  ];
  // A few ulps of exp, whose argument, some −24 at −6, is rounded, too.
  const close = { atol: 1e-30, rtol: 5e-6 };
  assertClose("gelu", await twice(gpu, "gelu_tanh", gates), gelu.map((y) => 2 * y), close);
});

gpuTest("glu has PyTorch's gelu", async (gpu) => {
  const gates = [-6, -3, -1, -0.5, 0, 0.25, 1, 3, 6];
  // torch 2.13.0, torch.nn.functional.gelu(x) of these in float64.
  const gelu = [
    -5.919525869479969e-9,
    -0.00404969409489031,
    -0.15865525393145702,
    -0.15426876936299344,
    0,
    0.14967658142073093,
    0.841344746068543,
    2.99595030590511,
    5.999999994080474,
  ];
  const close = { atol: 1e-30, rtol: 3e-6 }; // as above, at half the argument
  assertClose("gelu", await twice(gpu, "gelu", gates), gelu.map((y) => 2 * y), close);
});

gpuTest("glu walks tensors that exceed one dispatch", async (gpu) => {
  const rows = (1 << 20) + 3; // a range is 2^23 elements: the second holds the last three rows
  const [gate, up, h] = ["gate", "up", "h"].map((name) =>
    upload(gpu, name, [rows, 8], undefined, "bfloat16")
  );
  const gates = rounded(randomNormal(32, 1), "bfloat16");
  const ups = rounded(randomNormal(32, 2), "bfloat16");
  // The last row of the first range, and the second range.
  const byteOffset = (rows - 4) * 16;
  const part = { ...gate, shape: [4, 8] };
  gpu.write(gate, packTensor(part, gates), byteOffset);
  gpu.write(up, packTensor(part, ups), byteOffset);
  runPass(gpu, (pass) => glu(pass, { activation: "silu", gate, up, h }));
  const written = unpackTensor(part, await gpu.read(h, byteOffset));
  const rtol = 2e-6 + OUTPUT_ROUNDING.bfloat16;
  assertClose("h", written, oracle("silu", gates, ups), { atol: 0, rtol });
  for (const tensor of [gate, up, h]) gpu.release(tensor);
});

gpuTest("glu refuses operands of other shapes and mixed formats", (gpu) => {
  const gate = upload(gpu, "gate", [4, 16]), h = upload(gpu, "h", [4, 16]);
  const half = upload(gpu, "half", [4, 16], undefined, "bfloat16");
  const wide = upload(gpu, "wide", [4, 24]);
  const activation = "silu";
  assertThrows(
    () => glu(new KernelPass(gpu), { activation, gate, up: wide, h }),
    ShapeError,
    "glu: up must be (4, 16), got (4, 24)",
  );
  assertThrows(
    () => glu(new KernelPass(gpu), { activation, gate, up: half, h }),
    ShapeError,
    "glu: activations must all be float32 or all bfloat16",
  );
});

testAlternatives(import.meta.url);
