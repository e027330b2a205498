import { assert, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { gluBackward } from "../../../src/kernels/misc/glu_backward.ts";
import { centralDifferences, inner } from "../../oracles/central_differences.ts";
import { glu } from "../../oracles/misc/glu.ts";
import { gluBackward as oracle } from "../../oracles/misc/glu_backward.ts";
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

Deno.test("the oracle of glu_backward agrees with central differences", () => {
  const [gate, up, dh] = [1, 2, 3].map((seed) => Float64Array.from(randomNormal(12, seed)));
  for (const activation of ACTIVATIONS) {
    const { dgate, dup } = oracle(activation, gate, up, dh);
    const close = { atol: 1e-7, rtol: 1e-7 };
    const bySteps = {
      gate: centralDifferences(gate, (moved) => inner(dh, glu(activation, moved, up))),
      up: centralDifferences(up, (moved) => inner(dh, glu(activation, gate, moved))),
    };
    assertClose("dgate", dgate, bySteps.gate, close);
    assertClose("dup", dup, bySteps.up, close);
  }
});

for (const [rows, columns] of [[1, 8], [3, 257], [5, 5461]]) {
  strategyTest(
    (strategy) => `glu_backward (${rows}, ${columns}) agrees with the oracle, ${strategy}`,
    async (gpu) => {
      for (const activation of ACTIVATIONS) {
        for (const dtype of ["float32", "bfloat16"] as const) {
          const [gates, ups, dhs] = [1, 2, 3].map((seed) =>
            rounded(randomNormal(rows * columns, seed, 2), dtype)
          );
          const gate = upload(gpu, "gate", [rows, columns], gates, dtype);
          const up = upload(gpu, "up", [rows, columns], ups, dtype);
          const dh = upload(gpu, "dh", [rows, columns], dhs, dtype);
          runPass(gpu, (pass) => gluBackward(pass, { activation, gate, up, dh }));
          const expected = oracle(activation, gates, ups, dhs);
          // float32: exp is allowed a few ulps; dgate crosses zero, where a sum cancels.
          const tolerance = { atol: 2e-6, rtol: 2e-6 + OUTPUT_ROUNDING[dtype] };
          assertClose(`${activation}: dgate`, await download(gpu, gate), expected.dgate, tolerance);
          assertClose(`${activation}: dup`, await download(gpu, up), expected.dup, tolerance);
          assertClose(`${activation}: h`, await download(gpu, dh), expected.h, tolerance);
        }
      }
    },
  );
}

gpuTest("glu_backward has PyTorch's gradient of gelu(approximate='tanh')", async (gpu) => {
  const gates = [-12, -6, -3, -1, -0.5, 0, 0.25, 1, 3, 6], ones = gates.map(() => 1);
  // torch 2.13.0, the gradient of torch.nn.functional.gelu(x, approximate="tanh") in float64.
  const slopes = [
    0,
    -7.709976012836329e-10,
    -0.011584166630969648,
    -0.08296408384578252,
    0.13263009646535764,
    0.5,
    0.6953540951510604,
    1.0829640838457826,
    1.0115841666309695,
    1.0000000007709977,
  ];
  const [gate, up, dh] = [gates, ones, ones].map((values) => upload(gpu, "row", [10], values));
  runPass(gpu, (pass) => gluBackward(pass, { activation: "gelu_tanh", gate, up, dh }));
  // A few ulps of exp, whose argument, some −24 at −6, is rounded, too.
  assertClose("dgate", await download(gpu, gate), slopes, { atol: 1e-30, rtol: 5e-6 });
});

gpuTest("glu_backward has PyTorch's gradient of gelu", async (gpu) => {
  const gates = [-6, -3, -1, -0.5, 0, 0.25, 1, 3], ones = gates.map(() => 1);
  // torch 2.13.0, the gradient of torch.nn.functional.gelu(x) in float64.
  const slopes = [
    -3.546870945402639e-8,
    -0.01194564720418392,
    -0.08331547058768635,
    0.13250487534383712,
    0.5,
    0.695373354883636,
    1.0833154705876864,
    1.011945647204184,
  ];
  const [gate, up, dh] = [gates, ones, ones].map((values) => upload(gpu, "row", [8], values));
  runPass(gpu, (pass) => gluBackward(pass, { activation: "gelu", gate, up, dh }));
  assertClose("dgate", await download(gpu, gate), slopes, { atol: 1e-30, rtol: 3e-6 });
});

gpuTest("glu_backward stays finite where exp or tanh would overflow", async (gpu) => {
  const gates = [-1e30, -1e4, -200, -89, -11, 11, 80, 200, 1e4, 1e30], ones = gates.map(() => 1);
  for (const activation of ACTIVATIONS) {
    const [gate, up, dh] = [gates, ones, ones].map((values) => upload(gpu, "row", [10], values));
    runPass(gpu, (pass) => gluBackward(pass, { activation, gate, up, dh }));
    const dgate = await download(gpu, gate);
    assert(dgate.every(Number.isFinite), `${activation}: ${dgate}`);
    const { dgate: expected } = oracle(activation, gates.slice(1, 9), ones, ones);
    assertClose(activation, dgate.slice(1, 9), expected, { atol: 1e-30, rtol: 2e-6 });
  }
});

gpuTest("glu_backward refuses operands of other shapes", (gpu) => {
  const gate = upload(gpu, "gate", [4, 16]), dh = upload(gpu, "dh", [3, 16]);
  assertThrows(
    () => gluBackward(new KernelPass(gpu), { activation: "silu", gate, up: gate, dh }),
    ShapeError,
    "gluBackward: dh must be (4, 16), got (3, 16)",
  );
});

testAlternatives(import.meta.url);
