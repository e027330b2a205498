import { assertThrows } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { STABLE_SPAM, stableSpam } from "../../../src/kernels/optim/stable_spam.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { stableSpam as oracle } from "../../oracles/optim/stable_spam.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { strategies, testAlternatives } from "../support_strategies.ts";

const scratchOf = (gpu: Gpu) => ({
  parts: upload(gpu, "parts", [STABLE_SPAM.parts]),
  figures: upload(gpu, "figures", [STABLE_SPAM.figures]),
  factor: upload(gpu, "factor", [1]),
});

gpuTest("stable_spam follows the oracle, with spikes and without", async (gpu) => {
  const scratch = scratchOf(gpu);
  for (const _ of strategies(gpu)) {
    for (const shape of [[1, 1], [3, 257], [5, 5461]]) {
      const state = upload(gpu, "state", [STABLE_SPAM.state]), count = shape[0] * shape[1];
      const means = { largest: 0, norm: 0, square: 0 };
      for (let step = 1; step <= 5; step++) {
        const values = randomNormal(count, step, 10 ** (step % 3 - 2));
        if (step === 4) values[count - 1] *= 100;
        if (step === 5) values.fill(0);
        const gradient = upload(gpu, "gradient", shape, values);
        runPass(gpu, (pass) => stableSpam(pass, { gradient, state, scratch, step }));
        const expected = oracle(values, means, step);
        // A sum of up to 27,305 squares in float32, in parts, and a few quotients.
        const rtol = 1e-5;
        assertClose("gradient", await download(gpu, gradient), expected, { atol: 1e-12, rtol });
        const { largest, norm, square } = means;
        assertClose("state", await download(gpu, state), [largest, norm, square], {
          atol: 0,
          rtol,
        });
      }
    }
  }
});

gpuTest("stable_spam refuses a state of another size", (gpu) => {
  const gradient = upload(gpu, "gradient", [8]), state = upload(gpu, "state", [2]);
  assertThrows(
    () => stableSpam(new KernelPass(gpu), { gradient, state, scratch: scratchOf(gpu), step: 1 }),
    ShapeError,
    "stableSpam: state must be (3), got (2)",
  );
});

testAlternatives(import.meta.url);
