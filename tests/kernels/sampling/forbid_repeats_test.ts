import { assert } from "@std/assert";
import { KernelPass } from "../../../src/gpu/pass.ts";
import { forbidRepeats } from "../../../src/kernels/sampling/forbid_repeats.ts";
import { ShapeError } from "../../../src/numbers/shape_error.ts";
import { forbidden } from "../../oracles/sampling/forbid_repeats.ts";
import { download, gpuTest, randomStream, runPass, upload } from "../../support.ts";
import { testAlternatives } from "../support_strategies.ts";
import { assertRefuses } from "../../support_errors.ts";

gpuTest("repeats of every size are forbidden, and nothing else", async (gpu) => {
  for (const [length, vocabulary] of [[1, 5], [9, 3], [70, 4], [300, 7]]) {
    const next = randomStream(length);
    const ids = Array.from({ length }, () => Math.floor(next() * vocabulary));
    const tokens = gpu.tensor({
      name: "tokens",
      shape: [length + 3],
      dtype: "uint32",
      purpose: "workspace",
    });
    gpu.write(tokens, Uint32Array.from(ids));
    for (const size of [1, 2, 3, 5, length, length + 1]) {
      const logits = upload(gpu, "logits", [1, vocabulary], new Float32Array(vocabulary).fill(1));
      runPass(gpu, (pass) => forbidRepeats(pass, { tokens, length, size, logits }));
      const expected = forbidden(ids, size);
      (await download(gpu, logits)).forEach((logit, id) =>
        assert((logit < -3e38) === expected.has(id), `${length}, ${size}: ${id} has ${logit}`)
      );
    }
  }
});

gpuTest("forbidRepeats refuses more tokens than there are", (gpu) => {
  const tokens = gpu.tensor({ name: "tokens", shape: [4], dtype: "uint32", purpose: "workspace" });
  const io = { tokens, length: 5, size: 2, logits: upload(gpu, "logits", [1, 3]) };
  const message = "forbidRepeats: size must be 1 to 61440 and length at most 4, got 2 and 5";
  assertRefuses(() => forbidRepeats(new KernelPass(gpu), io), ShapeError, message);
});

testAlternatives(import.meta.url);
