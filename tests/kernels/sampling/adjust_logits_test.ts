import { assertEquals } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { adjustLogits, IN_PROMPT } from "../../../src/kernels/sampling/adjust_logits.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { adjustLogits as oracle } from "../../oracles/sampling/adjust_logits.ts";
import { assertClose, download, gpuTest, randomNormal, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";
import { assertRefuses } from "../../support_errors.ts";

/** Of no prompt and no answer, both, and several times the same. */
const PROMPT = [0, 3, 5, 5, 9], GENERATED = [5, 7, 7, 7, 12, 3];

for (const vocabulary of [13, 300, 5461]) {
  gpuTest(`biases and penalties of ${vocabulary} tokens agree with the oracle`, async (gpu) => {
    const values = randomNormal(vocabulary, 1, 4), bias = new Float32Array(vocabulary);
    bias.set([2.5, 0, 0, -100, 0, 7]);
    const counts = new Uint32Array(vocabulary);
    for (const id of GENERATED) counts[id]++;
    for (const id of PROMPT) counts[id] = (counts[id] | IN_PROMPT) >>> 0;
    for (
      const [repetitionPenalty, frequencyPenalty, presencePenalty] of [
        [1, 0, 0],
        [1.3, 0, 0],
        [0.8, 0.5, 0],
        [1, 0, 1.25],
        [1.1, -0.5, 0.25],
      ]
    ) {
      const logits = upload(gpu, "logits", [1, vocabulary], values);
      const occurrences = gpu.tensor({
        name: "occurrences",
        shape: [vocabulary],
        dtype: "uint32",
        purpose: "workspace",
      });
      gpu.write(occurrences, counts);
      const io = { repetitionPenalty, frequencyPenalty, presencePenalty };
      runPass(gpu, (pass) => {
        adjustLogits(pass, {
          logits,
          bias: upload(gpu, "bias", [vocabulary], bias),
          occurrences,
          ...io,
        });
      });
      const expected = oracle(values, { bias, prompt: PROMPT, generated: GENERATED, ...io });
      // A quotient and two sums, each rounded to float32; a sum may cancel, hence atol.
      assertClose(JSON.stringify(io), await download(gpu, logits), expected, {
        atol: 1e-6,
        rtol: 5e-7,
      });
    }
  });
}

gpuTest("without a penalty a logit keeps its bits", async (gpu) => {
  const values = randomNormal(1000, 2, 4);
  const logits = upload(gpu, "logits", [1, 1000], values);
  const occurrences = gpu.tensor({
    name: "occurrences",
    shape: [1000],
    dtype: "uint32",
    purpose: "workspace",
  });
  gpu.write(occurrences, new Uint32Array(1000).fill(1));
  const bias = upload(gpu, "bias", [1000], new Float32Array(1000));
  const none = { repetitionPenalty: 1, frequencyPenalty: 0, presencePenalty: 0 };
  runPass(gpu, (pass) => adjustLogits(pass, { logits, bias, occurrences, ...none }));
  assertEquals(await download(gpu, logits), values);
});

gpuTest("adjustLogits refuses a bias of another vocabulary", (gpu) => {
  const occurrences = gpu.tensor({
    name: "occurrences",
    shape: [9],
    dtype: "uint32",
    purpose: "workspace",
  });
  const io = {
    logits: upload(gpu, "logits", [1, 9]),
    bias: upload(gpu, "bias", [8]),
    occurrences,
    repetitionPenalty: 1,
    frequencyPenalty: 0,
    presencePenalty: 0,
  };
  const message = "adjustLogits: bias must be (9), got (8)";
  assertRefuses(() => adjustLogits(new KernelPass(gpu), io), ShapeError, message);
});

testAlternatives(import.meta.url);
